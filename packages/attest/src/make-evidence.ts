/**
 * What an enclave answers when it is challenged.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { encodeCollateral } from "./collateral.ts";
import { type BoundKeys, type Evidence, type QuoteSource, reportData } from "./evidence.ts";

/** Length of a challenge and of both bound hashes. */
const CHALLENGE_BYTES = 32;

/**
 * Evidence that binds keys, which must have been made in this enclave, to a challenge.
 *
 * @param nonce 32 bytes that whoever asks drew at random
 * @throws UnseenError REQUEST_INVALID for a nonce of another length; ATTESTATION_UNAVAILABLE
 */
export async function makeEvidence(
  source: QuoteSource,
  { nonce, keys }: { readonly nonce: Uint8Array; readonly keys: BoundKeys },
): Promise<Evidence> {
  checkNonce(nonce);
  const { quote, eventLog, collateral } = await source.quote(reportData(nonce, keys));
  return {
    version: 1,
    kind: source.kind,
    quote: base64(quote),
    eventLog,
    collateral: collateral && encodeCollateral(collateral),
    hpkePublicKey: base64(keys.hpkePublicKey),
    tlsKeyHash: keys.tlsKeyHash && base64(keys.tlsKeyHash),
  };
}

/** @throws UnseenError REQUEST_INVALID unless a challenge has 32 bytes */
export function checkNonce(nonce: Uint8Array): void {
  if (nonce.length !== CHALLENGE_BYTES)
    throw new UnseenError("REQUEST_INVALID", `nonce: expected ${CHALLENGE_BYTES} bytes, got ${nonce.length}.`, {
      hint: "Draw 32 random bytes for each challenge.",
    });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
