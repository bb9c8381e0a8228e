/**
 * The first layers of an image model, as arithmetic that can be done on ciphertext.
 * @module
 */
import type { OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import type { Head } from "../layer.ts";
import { findCuts } from "./find-cuts.ts";

/**
 * All legal cuts of an ONNX image model: `heads[k - 1]` has the layers up to cut k. `end` says why there are no more.
 *
 * Weights are float64, with biases and batch normalisations folded in (https://onnx.ai/onnx/operators). What ciphertext cannot do
 * ends the list; a model that begins with it has no head.
 *
 * @throws UnseenError `CUT_UNAVAILABLE` where the model does not take one picture; `CHECKPOINT_MALFORMED`, `CHECKPOINT_DUPLICATE`,
 *   `CHECKPOINT_TRUNCATED` for damaged files
 * @example
 * ```ts
 * const { heads, end } = readHeads(await openOnnx("model.onnx"));
 * ```
 */
export function readHeads(model: OnnxModel): { heads: Head[]; end: string } {
  const { cuts, end } = findCuts(model);
  return { heads: cuts.map(({ head }) => head), end };
}
