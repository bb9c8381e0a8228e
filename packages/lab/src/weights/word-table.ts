/**
 * The word table of an ONNX model: all that an attacker needs of it here.
 * @module
 */
import { basename } from "node:path";
import type { OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { matrix } from "../numeric/matrix.ts";
import type { Weights } from "./weights.ts";

/** The largest float32 table of `vocabulary` rows. Throws `CHECKPOINT_MISSING_TENSOR`. */
export function wordTable(model: OnnxModel, path: string, vocabulary: number): Weights {
  const [table] = [...model.graph.initializers.values()]
    .filter(({ type, shape }) => type === "float32" && shape.length === 2 && shape[0] === vocabulary)
    .toSorted((a, b) => b.bytes - a.bytes);
  if (!table || vocabulary === 0)
    throw new UnseenError("CHECKPOINT_MISSING_TENSOR", `${basename(path)} has no float32 word table of ${vocabulary} rows.`, {
      hint: "The attacks on vocabularies need a model that takes token ids.",
    });
  const hidden = table.shape[1] as number;
  return {
    name: basename(path, ".onnx"),
    kind: "onnx",
    vocabulary,
    hidden,
    layers: 0,
    layout: null,
    embedding() {
      const bytes = table.read();
      const numbers = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
      return matrix(vocabulary, hidden, Float64Array.from(numbers));
    },
    head: () => null,
    layer: () => null,
    model: null,
    path,
  };
}
