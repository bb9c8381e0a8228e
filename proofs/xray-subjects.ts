/**
 * The chest X-ray network and pictures that its proofs run on: the MedMNIST test set where it is here, drawn pictures elsewhere.
 * @module
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { decodeOnnx, type OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import type { Head } from "@unseen/fhe/layer.ts";
import { readPictures } from "@unseen/lab/leak/pictures.ts";
import { drawPictures } from "@unseen/lab/leak/synthetic.ts";
import { sharedPath } from "../tests/shared.ts";

export const XRAY_MODEL = fileURLToPath(new URL("../packages/unseen/models/xray-cnn/model.onnx", import.meta.url));

export interface XraySubject {
  readonly model: OnnxModel;
  readonly heads: readonly Head[];
  /** What the pictures are. */
  readonly source: string;
  /** (28 x 28) bytes each. */
  readonly pictures: readonly Uint8Array[];
}

/** The network with so many pictures. */
export async function openXray(count: number): Promise<XraySubject> {
  const model = decodeOnnx(readFileSync(XRAY_MODEL));
  const { heads } = readHeads(model);
  const { shape } = heads[0]!;
  const path = sharedPath("data/vision/pneumoniamnist.npz");
  const { test } = path
    ? await readPictures(path, shape, { train: 1, test: count, seed: 1 })
    : drawPictures(shape, { train: 1, test: count, seed: 1 });
  const size = shape.channels * shape.height * shape.width;
  const pictures = Array.from({ length: count }, (_, index) => test.bytes.slice(index * size, (index + 1) * size));
  return { model, heads, source: path ? "X-rays of the PneumoniaMNIST test set" : "drawn pictures", pictures };
}
