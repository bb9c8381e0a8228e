/**
 * What `unseen compare` measured: every protection on one model, on one machine, in one run.
 *
 * | request                   | body | answer                                          |
 * | ------------------------- | ---- | ----------------------------------------------- |
 * | `GET /console/comparison` |      | `{comparison: Comparison \| null}`, the last run |
 *
 * While a `compare` job runs, its details are `{kind: "protection", value: ProtectionRow}`, again for the same row as it is measured
 * further, and `{kind: "head", value: HeadRow}`.
 * @module
 */
import type { FidelityRow } from "./library.ts";

export interface Comparison {
  /** ISO 8601, UTC; when it was done. */
  readonly date: string;
  /** Name of the model. */
  readonly model: string;
  readonly machine: { readonly processor: string; readonly cores: number; readonly memoryBytes: number; readonly system: string };
  readonly quick: boolean;
  /** Of all answers that were timed. */
  readonly promptTokens: number;
  readonly rounds: number;
  readonly seconds: number;
  /** The same in a terminal. */
  readonly command: string;
  readonly rows: readonly ProtectionRow[];
  /** null: it could not be measured, and `headFailure` says why. */
  readonly head: HeadRow | null;
  readonly headFailure: string | null;
}

export type ProtectionId = "plain" | "permute" | "rotate" | "attested" | "servers" | "distant-servers";

/** One protection. Figures are null while they are not measured, and where `refusal` says why they cannot be. */
export interface ProtectionRow {
  readonly id: ProtectionId;
  readonly name: string;
  /** What the untrusted side learns, in one line. */
  readonly learns: string;
  /** Median, of tokens after the first. */
  readonly tokensPerSecond: number | null;
  /** Median, from the request to the first token. */
  readonly firstTokenSeconds: number | null;
  /** Median of paired ratios: time per token, that of the plain model 1. */
  readonly overhead: number | null;
  /** The least and the most of these ratios: where two ranges overlap, a difference says nothing. */
  readonly overheadRange: readonly [number, number] | null;
  /** Against the plain model in 32-bit floating point; null also for that model itself. */
  readonly fidelity: FidelityRow | null;
  /** Both ways, of one token, whether of the prompt or of the answer. */
  readonly bytesPerToken: number | null;
  /** Tokens of each answer that was timed. */
  readonly answerTokens: number | null;
  /** Rounds that the medians are of so far. */
  readonly rounds: number;
  /** Milliseconds added to each round trip; null where the question makes no sense. */
  readonly roundTrip: number | null;
  readonly refusal: string | null;
}

/** First layers of the bundled network for pictures, on ciphertext and in clear. */
export interface HeadRow {
  readonly network: string;
  readonly cut: number;
  readonly layers: readonly string[];
  readonly scheme: string;
  readonly learns: string;
  /** Medians, of one picture. */
  readonly ciphertextSeconds: number;
  readonly clearSeconds: number;
  /** Median of paired ratios. */
  readonly overhead: number;
  /** Of any feature, against the same layers in clear. */
  readonly largestError: number;
  readonly keyBytes: number;
  readonly pictureBytes: number;
  readonly featureBytes: number;
}
