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

/** The layers after a cut. */
export interface OpenTail {
  run(features: Float32Array): Promise<Answer["outputs"]>;
  close(): Promise<void>;
}

/** Opens the layers after a cut. */
export async function openTail(model: OnnxModel, cut: number): Promise<OpenTail> {
  const path = join(tmpdir(), `unseen-tail-${randomBytes(8).toString("hex")}.onnx`);
  await writeFile(path, splitModel(model, cut).tail, { mode: 0o600 });
  const runner = new TailRunner();
  return {
    run: (features) => runner.run(path, features),
    async close() {
      runner.close();
      await rm(path, { force: true });
    },
  };
}
