import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { encodeOnnx, onnxNode } from "@unseen/core/checkpoint/onnx-encode.ts";
import { tensorOf } from "@unseen/core/checkpoint/onnx-tensor.ts";
import type { OnnxValueInfo } from "@unseen/core/checkpoint/onnx.ts";
import type { ErrorCode, UnseenError } from "@unseen/core/errors.ts";
import { Stem } from "./stem.ts";

const directory = await mkdtemp(join(tmpdir(), "unseen-stem-"));
const stems: Stem[] = [];
after(async () => {
  for (const stem of stems) stem.close();
  await rm(directory, { recursive: true });
});

const float = (name: string): OnnxValueInfo => ({ name, type: "float32", shape: ["batch", 3] });
const weights = tensorOf("two", "float32", [1], new Uint8Array(Float32Array.of(2).buffer));

/** y = 2x and z = x·x. */
const doubling = encodeOnnx({
  nodes: [onnxNode("Mul", ["x", "two"], ["y"]), onnxNode("Mul", ["x", "x"], ["z"])],
  initializers: new Map([["two", weights]]),
  inputs: [float("x")],
  outputs: [float("y"), float("z")],
});

async function open(name: string, content: Uint8Array | string, timeout?: number): Promise<Stem> {
  const file = join(directory, name);
  await writeFile(file, content);
  const stem = new Stem(file, timeout);
  stems.push(stem);
  return stem;
}

const input = { shape: [1, 3], values: Float64Array.of(1, -2, 3) };
const refuses =
  (code: ErrorCode) =>
  (error: UnseenError): boolean =>
    error.code === code;

test("a stem gives every output by name, starts on demand and stays", async () => {
  const stem = await open("doubling.onnx", doubling);
  assert.equal(stem.processId, null);
  const outputs = await stem.run(input);
  assert.deepEqual([...outputs.keys()], ["y", "z"]);
  assert.deepEqual(outputs.get("y"), { shape: [1, 3], values: Float64Array.of(2, -4, 6) });
  assert.deepEqual(outputs.get("z")?.values, Float64Array.of(1, 4, 9));
  const first = stem.processId;
  await stem.run(input);
  assert.equal(stem.processId, first);
});

test("runs that come together are answered one by one, each with its own", async () => {
  const stem = await open("many.onnx", doubling);
  const answers = await Promise.all([1, 2, 3, 4].map((value) => stem.run({ shape: [1, 3], values: Float64Array.of(value, 0, 0) })));
  assert.deepEqual(
    answers.map((outputs) => outputs.get("y")!.values[0]),
    [2, 4, 6, 8],
  );
});

test("a stem that dies fails its run and is replaced for the next", async () => {
  const stem = await open("dying.onnx", doubling);
  await stem.run(input);
  const first = stem.processId!;
  const running = stem.run(input);
  process.kill(first, "SIGKILL");
  await running.catch((error: UnseenError) => assert.equal(error.code, "ENGINE_CRASHED"));
  assert.equal((await stem.run(input)).size, 2);
  assert.notEqual(stem.processId, first);
});

test("an input of another shape is refused, and the stem goes on", async () => {
  const stem = await open("shapes.onnx", doubling);
  await assert.rejects(stem.run({ shape: [2, 2], values: new Float64Array(4) }), refuses("BUNDLE_INVALID"));
  assert.equal((await stem.run(input)).size, 2);
});

test("what is no stem is BUNDLE_INVALID and leaves no process behind", async () => {
  const twoInputs = encodeOnnx({ nodes: [onnxNode("Add", ["a", "b"], ["y"])], inputs: [float("a"), float("b")], outputs: [float("y")] });
  for (const [name, content] of [
    ["text.onnx", "not a model"],
    ["empty.onnx", ""],
    ["two.onnx", twoInputs],
  ] as const) {
    const stem = await open(name, content);
    await assert.rejects(stem.run(input), refuses("BUNDLE_INVALID"), name);
    assert.equal(stem.processId, null);
  }
});

test("a stem that does not answer in time is ended", async () => {
  const stem = await open("slow.onnx", doubling, 1);
  await assert.rejects(stem.run(input), refuses("ENGINE_CRASHED"));
});
