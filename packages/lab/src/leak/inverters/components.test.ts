import assert from "node:assert/strict";
import { test } from "node:test";
import { matrix } from "../../numeric/matrix.ts";
import { multiply } from "../../numeric/multiply.ts";
import { randomNumbers } from "../heads.fixture.ts";
import { Components, LinearReader } from "./components.ts";
import type { Examples } from "./inverter.ts";

const COUNT = 120;

/** Features that are a linear map of six numbers. */
function examples(width: number, noise: number): { examples: Examples; truth: Float64Array } {
  const truth = randomNumbers(COUNT * 6, "truth");
  for (let k = 0; k < 6; k += 1) {
    let mean = 0;
    for (let row = 0; row < COUNT; row += 1) mean += truth[row * 6 + k]! / COUNT;
    for (let row = 0; row < COUNT; row += 1) truth[row * 6 + k]! -= mean;
  }
  const clean = Float32Array.from(multiply(matrix(COUNT, 6, truth), matrix(6, width, randomNumbers(6 * width, "mix"))).values);
  const disturbance = randomNumbers(clean.length, "noise");
  const features = clean.map((value, at) => value + 3 + noise * disturbance[at]!);
  return { examples: { count: COUNT, pictures: new Float32Array(0), clean, features }, truth };
}

const error = (left: Float64Array, right: Float64Array): number =>
  Math.sqrt(left.reduce((sum, value, at) => sum + (value - right[at]!) ** 2, 0) / left.length);

test("what features hold linearly is read from them, wide ones too", () => {
  for (const width of [40, 20_000]) {
    const { examples: each, truth } = examples(width, 0);
    const reader = new LinearReader(new Components(each, 10), matrix(COUNT, 6, truth), 1e-9);
    assert.ok(error(reader.read(each.features, COUNT).values, truth) < 1e-3);
  }
});

test("of features that are noise alone only the mean is read", () => {
  const { examples: each, truth } = examples(40, 1000);
  const reader = new LinearReader(new Components(each, 10), matrix(COUNT, 6, truth), 1e-6);
  assert.ok(error(reader.read(each.features, COUNT).values, new Float64Array(truth.length)) < 0.1);
});
