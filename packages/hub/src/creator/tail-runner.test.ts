import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import { splitModel } from "@unseen/fhe/graph/split-model.ts";
import { temporaryDirectory } from "../server/hub.fixture.ts";
import { xrayFile } from "./publication.fixture.ts";
import { TailRunner } from "./tail-runner.ts";

const directory = temporaryDirectory();
const at = (name: string): string => join(directory.path, name);
after(() => directory.remove());

const model = decodeOnnx(xrayFile);
const features = runClear(
  readHeads(model).heads[1]!,
  Float64Array.from({ length: 28 * 28 }, (_, index) => (index % 28) / 28),
);
writeFileSync(at("whole.onnx"), xrayFile);
writeFileSync(at("tail.onnx"), splitModel(model, 2).tail);

let runner = new TailRunner();
afterEach(() => {
  runner.close();
  runner = new TailRunner();
});

test("the later layers make of the first ones' features what the whole model makes of the picture", async () => {
  const [whole] = await runner.run(
    at("whole.onnx"),
    Float32Array.from({ length: 28 * 28 }, (_, index) => (index % 28) / 28),
  );
  const [parted] = await runner.run(at("tail.onnx"), Float32Array.from(features));
  assert.deepEqual([whole!.name, whole!.shape], [parted!.name, parted!.shape]);
  assert.deepEqual(parted!.shape, [1, 2]);
  parted!.values.forEach((value, index) => assert.ok(Math.abs(value - whole!.values[index]!) < 1e-4));
  assert.notEqual(parted!.values[0], parted!.values[1]);
});

test("values that are no finite numbers are no answer, and the next picture gets one", async () => {
  await assert.rejects(runner.run(at("tail.onnx"), new Float32Array(features.length).fill(Number.NaN)), { code: "JOB_FAILED" });
  assert.equal((await runner.run(at("tail.onnx"), Float32Array.from(features))).length, 1);
});

test("features of another size, and files that are no model, are refused", async () => {
  await assert.rejects(runner.run(at("tail.onnx"), new Float32Array(5)), { code: "BUNDLE_INVALID" });
  writeFileSync(at("nonsense.onnx"), "nonsense");
  await assert.rejects(runner.run(at("nonsense.onnx"), new Float32Array(5)), ({ code }: { code: string }) =>
    code.startsWith("CHECKPOINT_"),
  );
  await assert.rejects(runner.run(at("absent.onnx"), new Float32Array(5)), ({ code }: { code: string }) => code !== undefined);
});

test("a file that was refused is tried anew once it is there", async () => {
  await assert.rejects(runner.run(at("late.onnx"), Float32Array.from(features)));
  copyFileSync(at("tail.onnx"), at("late.onnx"));
  assert.equal((await runner.run(at("late.onnx"), Float32Array.from(features))).length, 1);
});

test("more files than processes are kept are served in turn", async () => {
  const names = Array.from({ length: 6 }, (_, index) => at(`tail-${index}.onnx`));
  for (const name of names) copyFileSync(at("tail.onnx"), name);
  const first = await runner.run(names[0]!, Float32Array.from(features));
  for (const name of [...names, names[0]!]) assert.deepEqual(await runner.run(name, Float32Array.from(features)), first);
});
