/**
 * The chest X-ray network and pictures that its proofs run on: the MedMNIST test set where it is here, drawn pictures elsewhere.
 * @module
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { decodeOnnx, type OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import { withPictureScale, type Head } from "@unseen/fhe/layer.ts";
import { readPictures, type PictureSet } from "@unseen/lab/leak/pictures.ts";
import { drawPictures } from "@unseen/lab/leak/synthetic.ts";
import { sharedPath } from "../tests/shared.ts";

export const XRAY_MODEL = fileURLToPath(new URL("../packages/unseen/models/xray-cnn/model.onnx", import.meta.url));

/** A network with pictures. */
export interface Subject {
  readonly name: string;
  /** Of the ONNX file. */
  readonly path: string;
  /** What a white pixel is to the model. */
  readonly scale: number;
  readonly model: OnnxModel;
  /** For pixels from 0 to 1. */
  readonly heads: readonly Head[];
  /** What the pictures are. */
  readonly source: string;
  /** (28 x 28) bytes each. */
  readonly pictures: readonly Uint8Array[];
}

/** The X-ray network with so many pictures. */
export async function openXray(count: number): Promise<Subject> {
  const model = decodeOnnx(readFileSync(XRAY_MODEL));
  const { heads } = readHeads(model);
  const { shape } = heads[0]!;
  const path = sharedPath("data/vision/pneumoniamnist.npz");
  const { test } = path
    ? await readPictures(path, shape, { train: 1, test: count, seed: 1 })
    : drawPictures(shape, { train: 1, test: count, seed: 1 });
  const source = path ? "X-rays of the PneumoniaMNIST test set" : "drawn pictures";
  return { name: "xray", path: XRAY_MODEL, scale: 1, model, heads, source, pictures: separate(test, count) };
}

/** The MNIST network with so many test images; null where they are not here. */
export async function openMnist(count: number): Promise<Subject | null> {
  const [path, images] = [sharedPath("data/vision/mnist-cnn.onnx"), sharedPath("data/vision/t10k-images-idx3-ubyte.gz")];
  if (!path || !images) return null;
  const model = decodeOnnx(readFileSync(path));
  const heads = readHeads(model).heads.map((head) => withPictureScale(head, 255));
  const read = await readPictures(images, heads[0]!.shape, { train: count, test: count, seed: 1 });
  return { name: "mnist", path, scale: 255, model, heads, source: "MNIST test images", pictures: separate(read.test, count) };
}

function separate({ bytes, count: held }: PictureSet, count: number): Uint8Array[] {
  const size = bytes.length / held;
  return Array.from({ length: Math.min(count, held) }, (_, index) => bytes.slice(index * size, (index + 1) * size));
}
