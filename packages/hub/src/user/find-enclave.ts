/**
 * The enclave that a user's ciphertext goes to: found through the hub, believed for its evidence alone.
 * @module
 */
import { randomBytes } from "node:crypto";
import { evidenceSchema } from "@unseen/attest/evidence.ts";
import type { Policy } from "@unseen/attest/policy.ts";
import { verifyEvidence, type Verified } from "@unseen/attest/verify-evidence.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { HubClient } from "../api/hub-client.ts";
import { call } from "../api/jobs.ts";

/** What the hub says while none is connected. */
const ABSENT: ReadonlySet<string> = new Set(["HOST_UNREACHABLE", "HOST_TIMEOUT", "OVERLOADED"]);
const PATIENCE = 60_000; // ms: an enclave that starts

/**
 * Asks an enclave for evidence with a fresh nonce and verifies it. Nothing is sent to it before.
 * @throws UnseenError ATTESTATION_* naming what is wrong; ATTESTATION_UNAVAILABLE when no enclave is connected
 */
export async function findEnclave(hub: HubClient, policy: Policy, signal?: AbortSignal): Promise<Verified> {
  const nonce = randomBytes(32);
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    try {
      const evidence = await call(
        hub,
        { kind: "enclave", key: null },
        "evidence",
        { nonce: nonce.toString("base64") },
        evidenceSchema,
        signal,
      );
      return await verifyEvidence(evidence, { nonce, policy });
    } catch (error) {
      const isAbsent = UnseenError.isInstance(error) && ABSENT.has(error.code);
      if (!isAbsent) throw error;
      if (performance.now() > deadline)
        throw new UnseenError("ATTESTATION_UNAVAILABLE", "no enclave is connected to the hub.", {
          hint: "Start one with `unseen enclave serve`, or try later.",
          cause: error,
        });
    }
  }
}
