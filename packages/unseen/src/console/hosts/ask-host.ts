/**
 * Asks one host how it is, just now.
 * @module
 */
import type { HostAttestation } from "@unseen/client/engines/attested-connection.ts";
import type { HostFacts, ModelHost } from "@unseen/client/engines/engine.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Failure } from "@unseen/web/protocol/failure.ts";
import type { AttestationRow, HostRow } from "@unseen/web/protocol/library.ts";
import { failureOf } from "../site.ts";

/** How long a page waits for a host; milliseconds. */
const PATIENCE = 3_000;

/** What a host said, or why it said nothing. */
export interface HostState extends Pick<HostRow, "state" | "milliseconds" | "failure"> {
  readonly facts: HostFacts | null;
}

/** Never throws. @param closing - Ends the question early. */
export async function askHost(engine: ModelHost, closing: AbortSignal): Promise<HostState> {
  const started = performance.now();
  const late = AbortSignal.timeout(PATIENCE);
  try {
    const facts = await engine.probe(AbortSignal.any([late, closing]));
    return { state: "up", milliseconds: Math.round(performance.now() - started), failure: null, facts };
  } catch (error) {
    const failure = failureOf(late.aborted ? tooLate(engine.url) : error);
    return { state: failure.code === "HOST_LOADING" ? "loading" : "down", milliseconds: null, failure, facts: null };
  }
}

/** What a host has proved so far; null where nothing is demanded. */
export function attestationRow(attestation: HostAttestation | undefined, failure: Failure | null): AttestationRow | null {
  if (!attestation) return null;
  const { proof, simulated } = attestation;
  return {
    kind: proof?.kind ?? null,
    simulated,
    verifiedAt: proof ? new Date(proof.verifiedAt).toISOString() : null,
    measurement: proof?.measurement ?? null,
    failure: failure?.code.startsWith("ATTESTATION_") ? failure : null,
  };
}

function tooLate(url: string): UnseenError {
  return new UnseenError("HOST_TIMEOUT", `the host at ${url} did not answer within ${PATIENCE / 1000} s.`, {
    hint: "Check its log and load.",
  });
}
