/**
 * Evidence: a quote by trusted hardware that binds keys, which were made inside an enclave, to the program that runs there.
 * @module
 */
import { createHash } from "node:crypto";
import { z } from "zod";

/** Names the layout of what a quote binds. */
const LAYOUT = "unseen-attest/v1";

const base64 = (maximum: number): z.ZodString =>
  z
    .string()
    .max(maximum)
    .regex(/^[A-Za-z0-9+/]*={0,2}$/);

/** What an enclave sends to whoever asks. Limits: CWE-770. */
export const evidenceSchema = z.object({
  version: z.literal(1),
  /** "simulator" is a quote under a root that anybody can make: it proves nothing. */
  kind: z.enum(["tdx", "simulator"]),
  /** TDX quote, base64. */
  quote: base64(64_000),
  /** dstack's event log, as JSON text, from which RTMR3 is replayed. */
  eventLog: z.string().max(4_000_000),
  /** The vendor's statements, stapled (base64 of JSON); whoever verifies may fetch their own. */
  collateral: base64(1_000_000).nullable(),
  /** X25519 public key for HPKE, base64 of 32 bytes. */
  hpkePublicKey: base64(64),
  /** SHA-256 of the TLS certificate's SubjectPublicKeyInfo, base64; null where the enclave serves no TLS. */
  tlsKeyHash: base64(64).nullable(),
});

export type Evidence = z.infer<typeof evidenceSchema>;

/** Keys that a quote binds. */
export interface BoundKeys {
  /** 32 bytes. */
  readonly hpkePublicKey: Uint8Array;
  /** SHA-256 of the SubjectPublicKeyInfo (DER), or null. */
  readonly tlsKeyHash: Uint8Array | null;
}

/**
 * The 64 bytes of `report_data`: SHA-512 over layout, nonce and the hashes of both keys. A missing TLS key is the hash of nothing.
 * @param nonce 32 bytes that whoever asks drew at random
 */
export function reportData(nonce: Uint8Array, { hpkePublicKey, tlsKeyHash }: BoundKeys): Uint8Array {
  const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
  return createHash("sha512")
    .update(LAYOUT)
    .update(nonce)
    .update(sha256(hpkePublicKey))
    .update(tlsKeyHash ?? sha256(new Uint8Array(0)))
    .digest();
}

/** Where quotes come from: the platform, or the simulator. */
export interface QuoteSource {
  readonly kind: Evidence["kind"];
  /** @param data 64 bytes. @throws UnseenError ATTESTATION_UNAVAILABLE */
  quote(data: Uint8Array): Promise<{ readonly quote: Uint8Array; readonly eventLog: string; readonly collateral: object | null }>;
  /** 32 secret bytes that only this program on this platform gets, the same after every start. @throws UnseenError ATTESTATION_UNAVAILABLE */
  deriveKey(purpose: string): Promise<Uint8Array>;
}
