/**
 * Opens a model as an attacker sees it.
 * @module
 */
import { resolve } from "node:path";
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { openOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { decoderMatrices } from "./decoder-matrices.ts";
import { encoderMatrices } from "./encoder-matrices.ts";
import { wordTable } from "./word-table.ts";
import type { Weights } from "./weights.ts";

/**
 * A directory, a GGUF or an ONNX file, plain or encrypted.
 *
 * @param vocabulary number of token ids, needed for ONNX alone: its word table is the largest table of so many rows
 * @throws UnseenError `CHECKPOINT_*`, `FAMILY_*`
 */
export async function openWeights(path: string, vocabulary: number): Promise<Weights> {
  const absolute = resolve(path);
  if (absolute.endsWith(".onnx")) return wordTable(await openOnnx(absolute), absolute, vocabulary);
  const model = await openModel(absolute);
  const blueprint = blueprintOf(model.config);
  if (blueprint.kind === "decoder") return decoderMatrices(model, blueprint.architecture);
  if (blueprint.vocabulary === null)
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `${path} takes no token ids, and the attacks on vocabularies have nothing to find.`, {
      hint: "What a host sees of pictures is written in docs/threat-model.md.",
    });
  return encoderMatrices(model, blueprint.architecture);
}
