/**
 * Cuts a model into two files: the head for the enclave, the tail for its creator.
 * @module
 */
import { extractOnnx } from "@unseen/core/checkpoint/onnx-extract.ts";
import type { OnnxModel, OnnxValueInfo } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { findCuts } from "./find-cuts.ts";

/** A model in two ONNX files; the value at the cut leaves one and enters the other under its own name. */
export interface SplitModel {
  /** From the model's input to the cut. */
  readonly head: Uint8Array;
  /** From the cut to the model's outputs. */
  readonly tail: Uint8Array;
}

/**
 * Splits a model at a cut, counted from 1 as in `readHeads`. The batch stays open where it was.
 *
 * @throws UnseenError `CUT_UNAVAILABLE` where the model has no such cut; as `readHeads` and `extractOnnx`
 */
export function splitModel(model: OnnxModel, cut: number): SplitModel {
  const { cuts, end } = findCuts(model);
  const chosen = cuts[cut - 1];
  if (!chosen)
    throw new UnseenError("CUT_UNAVAILABLE", `expected a cut from 1 to ${cuts.length}, got ${cut}; ${end}.`, {
      hint: cuts.length > 0 ? "Choose one of the cuts that the plan lists." : "No layer of this model can run on ciphertext.",
    });
  const { inputs, outputs } = model.graph;
  const value: OnnxValueInfo = {
    name: chosen.head.value,
    type: "float32",
    shape: [inputs[0]?.shape?.[0] ?? null, ...chosen.dimensions],
  };
  return { head: extractOnnx(model, { inputs, outputs: [value] }), tail: extractOnnx(model, { inputs: [value], outputs }) };
}
