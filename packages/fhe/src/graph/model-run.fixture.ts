/**
 * For tests: what ONNX Runtime makes of a whole model and of its two parts, against what {@link runClear} makes of the head.
 * @module
 */
import assert from "node:assert/strict";
import type { GraphRuntime, Tensor } from "@unseen/core/blueprint/trace/graph-runtime.fixture.ts";
import type { Dice } from "@unseen/core/blueprint/trace/graph-builder.fixture.ts";
import { decodeOnnx, type OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import { sizeOf } from "../layer.ts";
import { readHeads } from "./read-heads.ts";
import { runClear } from "./run-clear.ts";
import { splitModel } from "./split-model.ts";

/** float32 against float64: by the largest magnitude. */
const TOLERANCE = 1e-4;

/** Fails unless both have the same numbers, to {@link TOLERANCE} of the largest. What a damaged model made infinite is not compared. */
export function isClose(got: Float64Array, expected: Float64Array, what: string): void {
  assert.equal(got.length, expected.length, what);
  if (!expected.every(Number.isFinite)) return;
  const largest = expected.reduce((most, each) => Math.max(most, Math.abs(each)), 1e-3);
  const worst = expected.reduce((most, each, i) => Math.max(most, Math.abs(each - got[i]!)), 0);
  assert.ok(worst <= TOLERANCE * largest, `${what}: differs by ${worst} at a largest magnitude of ${largest}`);
}

/** Runs one picture through a model in memory. */
export async function runOnnx(runtime: GraphRuntime, model: Uint8Array, name: string, input: Tensor): Promise<Tensor[]> {
  const [results] = await runtime.run(model, [{ [name]: input }], false);
  if (typeof results === "string" || !results) assert.fail(`ONNX Runtime: ${results}`);
  return Object.values(results);
}

/** Checks every cut of a model on one random picture, and returns how many there are. */
export async function checkCuts(runtime: GraphRuntime, model: OnnxModel, bytes: Uint8Array, dice: Dice, range = 1): Promise<number> {
  const { heads } = readHeads(model);
  const { name, shape } = model.graph.inputs[0]!;
  const size = shape!.slice(1).map(Number);
  const data = Float64Array.from({ length: size.reduce((product, each) => product * each, 1) }, () =>
    Math.fround(range * dice.uniform(-1, 1)),
  );
  const picture: Tensor = { type: "float32", shape: [1, ...size], data };
  const expected = await runOnnx(runtime, bytes, name, picture);
  for (const [index, head] of heads.entries()) {
    const parts = splitModel(model, index + 1);
    const part = decodeOnnx(parts.head);
    assert.deepEqual(part.graph.inputs, model.graph.inputs);
    assert.equal(part.graph.outputs[0]!.shape![0], shape![0], "the batch stays as it was");
    assert.deepEqual(readHeads(part).heads.at(-1), head, "the head read from its own file");
    const [features] = await runOnnx(runtime, parts.head, name, picture);
    assert.deepEqual(features!.shape, part.graph.outputs[0]!.shape!.toSpliced(0, 1, 1));
    assert.equal(features!.data.length, sizeOf(head.output));
    isClose(runClear(head, data), features!.data, `cut ${index + 1} at ${head.value}`);
    const results = await runOnnx(runtime, parts.tail, head.value, features!);
    expected.forEach((each, i) => isClose(results[i]!.data, each.data, `the tail of cut ${index + 1}`));
  }
  return heads.length;
}
