/**
 * Why evidence is refused, in the words of an error.
 * @module
 */
import { type ErrorCode, UnseenError } from "@unseen/core/errors.ts";

/** A code that says why there is no good evidence. */
export type Refusal = Extract<ErrorCode, `ATTESTATION_${string}`>;

const hints: Readonly<Record<Refusal, string>> = {
  ATTESTATION_UNAVAILABLE: "Run on a machine with Intel TDX and dstack, or use the simulator for tests.",
  ATTESTATION_INVALID: "Send nothing to this machine; ask it for new evidence, and its operator where it stays so.",
  ATTESTATION_NONCE: "Send nothing; ask for evidence with a new challenge.",
  ATTESTATION_MEASUREMENT: "Send nothing; compare the program's compose file with the measurements in the policy.",
  ATTESTATION_DEBUG: "Send nothing; the operator must start the machine without debug mode.",
  ATTESTATION_REVOKED: "Send nothing; the vendor no longer vouches for this machine.",
  ATTESTATION_EXPIRED: "Check this machine's clock; otherwise the other side must renew its collateral.",
  ATTESTATION_TCB: "The operator must update the firmware; or allow the state and its advisories in the policy, knowing what they mean.",
  ATTESTATION_SIMULATOR: 'Use real hardware, or for tests alone a policy with `mode: "simulator"`.',
};

/** An error that refuses evidence, with the hint that belongs to its code. */
export function refusal(code: Refusal, message: string, cause?: unknown): UnseenError {
  return new UnseenError(code, message, { hint: hints[code], cause });
}
