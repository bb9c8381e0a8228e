/**
 * What an attested host shows: `GET /v1/attestation` binds the TLS key of its connections to the program that runs inside the enclave.
 * @module
 */
import { randomBytes } from "node:crypto";
import { getConnInfo } from "@hono/node-server/conninfo";
import type { TlsIdentity } from "@unseen/attest/attested-key.ts";
import type { BoundKeys, Evidence, QuoteSource } from "@unseen/attest/evidence.ts";
import { SIMULATOR_WARNING } from "@unseen/attest/shout.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Context } from "hono";

/** Requests that may wait for a quote (CWE-770): the hardware makes one at a time, and slowly. */
const MAXIMUM_WAITING = 64;
/** Quotes that one address may ask for at once, and how many more it may each second (CWE-400). */
const BURST = 32;
const PER_SECOND = 1;
/** Addresses whose askings are remembered (CWE-770); who falls out begins anew. */
const MAXIMUM_ADDRESSES = 4096;

/** A host's keys and the evidence for them. */
export interface Attestation {
  readonly kind: Evidence["kind"];
  /** Made inside; connections end here. */
  readonly tls: TlsIdentity;
  /** @param nonce 32 bytes. @throws UnseenError ATTESTATION_UNAVAILABLE, OVERLOADED */
  evidence(nonce: Uint8Array): Promise<Evidence>;
}

/**
 * Makes the keys of a host, new at each start: a key that the platform derives would also be known to whoever runs its key service, and to
 * another version of the program under the same name.
 * @throws UnseenError ATTESTATION_UNAVAILABLE where there is no trusted hardware
 */
export async function prepareAttestation(source: QuoteSource, hostname: string): Promise<Attestation> {
  // Loaded here: hosts without an enclave do without certificates.
  const { tlsIdentity } = await import("@unseen/attest/attested-key.ts");
  const { makeSealingKey } = await import("@unseen/attest/hpke.ts");
  const { makeEvidence } = await import("@unseen/attest/make-evidence.ts");
  const tls = await tlsIdentity({ ...source, deriveKey: async () => randomBytes(32) }, hostname);
  const { publicKey: hpkePublicKey } = await makeSealingKey();
  const keys: BoundKeys = { hpkePublicKey, tlsKeyHash: tls.keyHash };
  // A machine that gives no quotes shall not look as if it served.
  await makeEvidence(source, { nonce: randomBytes(32), keys });
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  return {
    kind: source.kind,
    tls,
    async evidence(nonce) {
      if (waiting >= MAXIMUM_WAITING) throw tooOften();
      waiting += 1;
      const mine = last.catch(() => {}).then(() => makeEvidence(source, { nonce, keys }));
      last = mine;
      try {
        return await mine;
      } finally {
        waiting -= 1;
      }
    },
  };
}

/** Answers `GET /v1/attestation?nonce=BASE64URL`. */
export function attestationRoute(attestation: Attestation, now: () => number = Date.now): (context: Context) => Promise<Response> {
  const spend = limitByAddress(now);
  return async (context) => {
    const nonce = context.req.query("nonce") ?? "";
    if (!/^[A-Za-z0-9_-]{43}$/.test(nonce)) throw new UnseenError("REQUEST_INVALID", "nonce: expected 32 bytes as base64url.");
    if (!spend(getConnInfo(context).remote.address ?? "")) throw tooOften();
    const evidence = await attestation.evidence(Buffer.from(nonce, "base64url"));
    context.header("cache-control", "no-store");
    return context.json(evidence);
  };
}

/** What `/health` says besides: a simulator says that it is one. */
export function attestationFacts({ kind }: Attestation): object {
  return kind === "simulator" ? { attestation: kind, warning: SIMULATOR_WARNING } : { attestation: kind };
}

/** A bucket for each address: whether one more quote may be had now. */
function limitByAddress(now: () => number): (address: string) => boolean {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return (address) => {
    const { tokens, at } = buckets.get(address) ?? { tokens: BURST, at: now() };
    const filled = Math.min(BURST, tokens + ((now() - at) / 1000) * PER_SECOND);
    buckets.delete(address); // the newest stands last
    buckets.set(address, { tokens: filled >= 1 ? filled - 1 : filled, at: now() });
    if (buckets.size > MAXIMUM_ADDRESSES) buckets.delete(buckets.keys().next().value as string);
    return filled >= 1;
  };
}

function tooOften(): UnseenError {
  return new UnseenError("OVERLOADED", "evidence is asked for too often.", { hint: "Keep what was verified, and try again in a moment." });
}
