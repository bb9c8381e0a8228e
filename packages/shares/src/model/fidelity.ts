/**
 * How far the whole-number model is from the float model that it was made of.
 * @module
 */
import type { Model } from "@unseen/core/blueprint/model.ts";
import { encode } from "@unseen/core/reference/encoder.ts";
import { forward, type Logits } from "@unseen/core/reference/forward.ts";
import { compareLogits, type Fidelity } from "@unseen/core/reference/verify.ts";
import type { Multiplier } from "../multiplier.ts";
import type { ShareDecoder } from "./decoder.ts";
import type { ShareEncoder, TextInput } from "./encoder.ts";

/**
 * Compares the logits at every position of every sequence with those of core's float `forward`.
 *
 * @param model the one that was prepared
 * @throws UnseenError USAGE for no sequences, and what either pass throws
 */
export async function measureDecoder(
  model: Model,
  decoder: ShareDecoder,
  multiplier: Multiplier,
  sequences: readonly (readonly number[])[],
): Promise<Fidelity> {
  const actual: Logits[] = [];
  for (const ids of sequences) {
    const values = await decoder.step(decoder.start(), ids, multiplier, { logits: "all" });
    actual.push({ positions: ids.length, vocabulary: decoder.architecture.vocabulary, values });
  }
  return compareLogits(forward(model, sequences), actual);
}

/**
 * Compares every row of every output with core's float `encode`, as if all were logits.
 *
 * @param model the one that was prepared
 * @throws UnseenError USAGE for no texts, and what either pass throws
 */
export async function measureEncoder(
  model: Model,
  encoder: ShareEncoder,
  multiplier: Multiplier,
  texts: readonly TextInput[],
): Promise<Fidelity> {
  const [expected, actual]: [Logits[], Logits[]] = [[], []];
  for (const text of texts) {
    const outputs = await encoder.run(text, multiplier);
    for (const [name, { rows, columns, values }] of encode(model, text)) {
      expected.push({ positions: rows, vocabulary: columns, values });
      actual.push({ positions: rows, vocabulary: columns, values: outputs.get(name)?.values ?? new Float64Array() });
    }
  }
  return compareLogits(expected, actual);
}
