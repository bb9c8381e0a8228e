/** The reference on numbers that can be worked out by hand. ONNX Runtime's are in `read-heads.test.ts`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Head, Layer, Shape } from "../layer.ts";
import { runClear } from "./run-clear.ts";

const shape = { channels: 2, height: 2, width: 2 };
const picture = Float64Array.of(1, 2, 3, 4, 10, 20, 30, 40);
const head = (layers: readonly Layer[], output: Shape, normalise: Head["normalise"] = null): Head => ({
  input: "picture",
  shape,
  normalise,
  layers,
  value: "features",
  output,
});
const step = (output: Shape): { value: string; title: string; input: Shape; output: Shape } => ({
  value: "features",
  title: "layer",
  input: shape,
  output,
});

test("each layer on two channels of two by two", () => {
  const run = (layer: Layer, normalise: Head["normalise"] = null): number[] => [
    ...runClear(head([layer], layer.output, normalise), picture),
  ];
  const convolution: Layer = {
    ...step({ channels: 1, height: 2, width: 1 }),
    kind: "convolution",
    weight: Float64Array.of(1, 2, 0, 1),
    bias: Float64Array.of(0.5),
    kernel: [1, 2],
    strides: [1, 2],
    dilations: [1, 2],
    pads: [0, 1, 0, 0],
    groups: 1,
  };
  // A border on the left, and one column between the two that a window sees: 2 x[1] + y[1].
  assert.deepEqual(run(convolution), [4 + 20 + 0.5, 8 + 40 + 0.5]);
  const pooled = { channels: 2, height: 1, width: 1 };
  const pool = { ...step(pooled), kind: "average-pool", kernel: [2, 2], strides: [2, 2], pads: [1, 0, 0, 0] } as const;
  assert.deepEqual(run({ ...pool, countIncludePad: false }), [1.5, 15]);
  assert.deepEqual(run({ ...pool, countIncludePad: true }), [0.75, 7.5]);
  const dense: Layer = {
    ...step({ channels: 1, height: 1, width: 1 }),
    kind: "dense",
    weight: Float64Array.of(1, 0, 0, 0, 0, 0, 0, 2),
    bias: Float64Array.of(-1),
  };
  assert.deepEqual(run(dense), [80]);
  assert.deepEqual(run({ ...step(shape), kind: "polynomial", coefficients: [1, 0, 1] }), [2, 5, 10, 17, 101, 401, 901, 1601]);
  const scale = { factor: Float64Array.of(1, 0.1), summand: Float64Array.of(-1, 0) };
  assert.deepEqual(run({ ...step(shape), kind: "scale", ...scale }), [0, 1, 2, 3, 1, 2, 3, 4]);
  assert.deepEqual(run(dense, scale), [0 + 8 - 1]);
});

test("the picture stays as it was, and must have its size", () => {
  const before = picture.slice();
  assert.deepEqual(runClear(head([], shape), picture), before);
  runClear(head([], shape), picture).fill(0);
  assert.deepEqual(picture, before);
  assert.throws(
    () => runClear(head([], shape), new Float64Array(7)),
    (error) => UnseenError.isInstance(error) && error.code === "REQUEST_INVALID" && /8 values, got 7/.test(error.message),
  );
});
