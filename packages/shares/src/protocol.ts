/**
 * The protocol between a client and one server: frames over one HTTP/2 stream (`POST /v1/shares`), both ways, little-endian.
 *
 * ```
 * frame    = length u32 (bytes after it) | type u8 | zero u8 | zero u16 | call u32 | payload
 * HELLO    = version u16 | role u8 (0 = A, 1 = B) | zero u8 | layout digest (32) | seed (32; of zeros for A)
 * READY    = version u16 | zero u16 | largest rows of one call u32
 * MULTIPLY = group u32 | rows u32 | A: shares (rows, in) u32; B: counter u64
 * PRODUCTS = for each layer of the group, for each limb from the lowest: (rows, out) u32, modulo 2^32
 * AUDIT    = as MULTIPLY; EXACT = as PRODUCTS, each number i64, not reduced
 * FAILURE  = code u16 | message, UTF-8
 * ```
 *
 * Server B's share of a call is the key stream of AES-256 in counter mode under the seed, from the 16-byte block
 * (counter u64 big-endian | 0 u64) on, as u32 little-endian. Server A's is the rows minus that, modulo 2^32: uniform and independent of
 * the rows. A counter is never used twice under a seed.
 * @module
 */

export const PROTOCOL_VERSION = 1;

export const frameTypes = { hello: 1, ready: 2, multiply: 3, products: 4, audit: 5, exact: 6, failure: 7 } as const;
export type FrameType = (typeof frameTypes)[keyof typeof frameTypes];

/** Codes of FAILURE. */
export const failureCodes = { malformed: 1, version: 2, model: 3, group: 4, rows: 5, overloaded: 6, internal: 7 } as const;

/** Named limits (CWE-770). */
export const protocolLimits = {
  /** A frame: 512 rows of 2^16 numbers. */
  frameBytes: 256 * 1024 * 1024,
  /** Rows of one call; a longer prompt takes several. */
  rows: 512,
  /** Calls that a server holds of one connection. */
  pendingCalls: 8,
  failureBytes: 1000,
} as const;

export const HEADER_BYTES = 12;

export type ServerRole = "A" | "B";
