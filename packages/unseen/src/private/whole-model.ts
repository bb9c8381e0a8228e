/**
 * A model without any protection, to compare with.
 * @module
 */
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import { splitModel } from "@unseen/fhe/graph/split-model.ts";
import { TailRunner } from "@unseen/hub/creator/tail-runner.ts";
import type { Answer } from "@unseen/hub/features-message.ts";

/** Outputs of the whole model. */
export async function runWhole(path: string, picture: Float64Array): Promise<Answer["outputs"]> {
  const runner = new TailRunner();
  try {
    return await runner.run(path, Float32Array.from(picture));
  } finally {
    runner.close();
  }
}

/** Outputs of the layers after a cut. */
export async function runTail(model: OnnxModel, cut: number, features: Float32Array): Promise<Answer["outputs"]> {
  const path = join(tmpdir(), `unseen-tail-${randomBytes(8).toString("hex")}.onnx`);
  const runner = new TailRunner();
  try {
    await writeFile(path, splitModel(model, cut).tail, { mode: 0o600 });
    return await runner.run(path, features);
  } finally {
    runner.close();
    await rm(path, { force: true });
  }
}
