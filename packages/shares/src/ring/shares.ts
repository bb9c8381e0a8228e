/**
 * Additive shares modulo 2^32: x = (x - r) + r with r uniform, so that either part alone is uniform whatever x is
 * (the one-time pad of Z_2^32: Shannon, 1949).
 * @module
 */
import { createCipheriv } from "node:crypto";

const BLOCK_BYTES = 16;
const NUMBERS_PER_BLOCK = BLOCK_BYTES / 4;
/** Numbers of one call to the cipher: its input is zeros, which are kept. */
const PIECE = 1 << 16;
const zeros = new Uint8Array(PIECE * 4 + BLOCK_BYTES);

/**
 * Server B's share of a call: the key stream of AES-256 in counter mode from block (counter | 0) on, as u32 little-endian.
 *
 * @param seed 32 bytes
 * @param counter of the call, below 2^64, used once under a seed
 * @param length how many numbers
 * @param from index of the first one within the call
 * @throws RangeError for a counter or a length out of range
 */
export function maskRows(seed: Uint8Array, counter: bigint, length: number, from = 0): Uint32Array<ArrayBuffer> {
  if (counter < 0n || counter >= 1n << 64n) throw new RangeError(`expected a counter below 2^64, got ${counter}.`);
  if (!Number.isSafeInteger(length) || length < 0 || !Number.isSafeInteger(from) || from < 0) throw new RangeError("expected a length.");
  const start = Buffer.alloc(BLOCK_BYTES);
  start.writeBigUInt64BE(counter, 0);
  start.writeBigUInt64BE(BigInt(Math.floor(from / NUMBERS_PER_BLOCK)), 8);
  const cipher = createCipheriv("aes-256-ctr", seed, start);
  const skip = (from % NUMBERS_PER_BLOCK) * 4;
  if (skip > 0) cipher.update(zeros.subarray(0, skip));
  const mask = new Uint32Array(length);
  const bytes = new Uint8Array(mask.buffer);
  for (let done = 0; done < bytes.length; done += PIECE * 4)
    bytes.set(cipher.update(zeros.subarray(0, Math.min(PIECE * 4, bytes.length - done))), done);
  return mask;
}

/** Server A's share: rows - mask modulo 2^32. @throws RangeError where the lengths differ */
export function subtract(rows: Int32Array, mask: Uint32Array): Uint32Array<ArrayBuffer> {
  if (rows.length !== mask.length) throw new RangeError(`expected ${rows.length} numbers of a mask, got ${mask.length}.`);
  const share = new Uint32Array(rows.length);
  for (let i = 0; i < share.length; i += 1) share[i] = (rows[i] as number) - (mask[i] as number);
  return share;
}

/** Both products together, read as signed: a + b modulo 2^32 in [-2^31, 2^31). @throws RangeError where the lengths differ */
export function addSigned(a: Uint32Array, b: Uint32Array): Float64Array<ArrayBuffer> {
  if (a.length !== b.length) throw new RangeError(`expected ${a.length} products, got ${b.length}.`);
  const sum = new Float64Array(a.length);
  for (let i = 0; i < sum.length; i += 1) sum[i] = ((a[i] as number) + (b[i] as number)) | 0;
  return sum;
}
