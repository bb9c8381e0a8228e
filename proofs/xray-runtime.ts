/**
 * ONNX Runtime on the whole network and on what comes after a cut: the independent implementation that ciphertext is compared with.
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import { splitModel } from "@unseen/fhe/graph/split-model.ts";
import { TailRunner } from "@unseen/hub/creator/tail-runner.ts";

/** First output of the whole model for each picture, as the model takes it. */
export async function runWholeModel(path: string, pictures: readonly Float64Array[]): Promise<number[][]> {
  const runner = new TailRunner();
  const results: number[][] = [];
  for (const picture of pictures) results.push((await runner.run(path, Float32Array.from(picture)))[0]!.values);
  runner.close();
  return results;
}

/** The later layers behind each cut. */
export interface Tails {
  run(cut: number, features: Float32Array): Promise<number[]>;
  close(): void;
}

/** Splits a model at each of its cuts. */
export async function openTails(model: OnnxModel, cuts: number): Promise<Tails> {
  const directory = mkdtempSync(join(tmpdir(), "unseen-proof-tails-"));
  for (let cut = 1; cut <= cuts; cut++) writeFileSync(join(directory, `${cut}.onnx`), splitModel(model, cut).tail);
  const runner = new TailRunner();
  return {
    run: async (cut, features) => (await runner.run(join(directory, `${cut}.onnx`), features))[0]!.values,
    close() {
      runner.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
