/**
 * What a defended model still computes, against the plain one on text.
 * @module
 */
import { setImmediate } from "node:timers/promises";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { forward, type Logits } from "@unseen/core/reference/forward.ts";
import { compareLogits } from "@unseen/core/reference/verify.ts";
import type { DefencePoint } from "../lab-report.ts";

/** Tokens of one sequence: short, because the reference has no cache. */
const SEQUENCE = 64;
/** Positions compared unless others are asked for. */
const POSITIONS = 256;

/** Compares models with one plain model, whose logits are computed once. */
export class FidelityMeter {
  readonly #sequences: readonly number[][];
  readonly #plain: readonly Logits[];

  private constructor(sequences: readonly number[][], plain: readonly Logits[]) {
    this.#sequences = sequences;
    this.#plain = plain;
  }

  /**
   * Runs the plain model. Positions x vocabulary numbers are kept.
   *
   * @param texts plain ids; cut into sequences of 64, each run from an empty context, until there are `positions`
   * @throws UnseenError `USAGE` without any text, `FAMILY_*`, `CHECKPOINT_*`, `TOKEN_OUT_OF_RANGE`
   */
  static async of(
    plain: Model,
    texts: readonly Uint32Array[],
    positions: number = POSITIONS,
    signal?: AbortSignal,
  ): Promise<FidelityMeter> {
    const sequences = cut(texts, positions);
    if (sequences.length === 0)
      throw new UnseenError("USAGE", "fidelity is measured on text, and there is none.", { hint: "Give texts that were not recorded." });
    const logits: Logits[] = [];
    for (const sequence of sequences) logits.push(await run(plain, sequence, signal));
    return new FidelityMeter(sequences, logits);
  }

  /** Throws `CHECKPOINT_*`, such as `CHECKPOINT_NON_FINITE` for a model that computes no numbers; `CHECKPOINT_WRONG_SHAPE` for another vocabulary. */
  async measure(other: Model, signal?: AbortSignal): Promise<NonNullable<DefencePoint["fidelity"]>> {
    let [divergence, agreements, tokens] = [0, 0, 0];
    for (const [index, sequence] of this.#sequences.entries()) {
      const part = compareLogits([this.#plain[index] as Logits], [await run(other, sequence, signal)]);
      divergence += part.meanKl * part.tokens;
      agreements += part.greedyAgreement * part.tokens;
      tokens += part.tokens;
    }
    return { meanKl: divergence / tokens, top1: agreements / tokens };
  }
}

async function run(model: Model, sequence: number[], signal: AbortSignal | undefined): Promise<Logits> {
  // A sequence takes a second or so: others get their turn, Ctrl-C among them.
  await setImmediate();
  signal?.throwIfAborted();
  const [logits] = forward(model, [sequence]);
  return logits as Logits;
}

function cut(texts: readonly Uint32Array[], positions: number): number[][] {
  const sequences: number[][] = [];
  let left = positions;
  for (const text of texts) {
    for (let start = 0; start < text.length && left > 0; start += SEQUENCE) {
      const sequence = [...text.subarray(start, start + Math.min(SEQUENCE, left))];
      sequences.push(sequence);
      left -= sequence.length;
    }
  }
  return sequences;
}
