/**
 * Hands out a secret after verification, and only to the program that was verified.
 * @module
 */
import { type Purpose, type SealingKey, seal } from "./hpke.ts";
import { type Verified, type VerifyOptions, verifyEvidence } from "./verify-evidence.ts";

/** What evidence is held against, and what is released after it. */
export interface ReleaseOptions extends VerifyOptions {
  /** Not looked at before the evidence is verified. */
  readonly secret: Uint8Array;
  readonly purpose: Purpose;
  /** Authenticates the message where it is given. */
  readonly sender?: SealingKey;
}

/**
 * Verifies evidence, then seals a secret to the key that it binds.
 * @throws UnseenError as `verifyEvidence`; then nothing was sealed
 */
export async function releaseKey(
  evidence: unknown,
  options: ReleaseOptions,
): Promise<{ readonly sealed: Uint8Array; readonly verified: Verified }> {
  const verified = await verifyEvidence(evidence, options);
  return { verified, sealed: await seal(options.secret, verified.hpkePublicKey, options.purpose, options.sender) };
}
