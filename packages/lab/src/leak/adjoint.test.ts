import assert from "node:assert/strict";
import { test } from "node:test";
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import { sizeOf, type Layer } from "@unseen/fhe/layer.ts";
import { linearise } from "./adjoint.ts";
import { convolution, headOf, randomNumbers } from "./heads.fixture.ts";

const shape = { channels: 2, height: 9, width: 8 };
const first = convolution({ input: shape, out: 4, kernel: 3, stride: 2, pad: 1, groups: 2 });
const polynomial: Layer = {
  kind: "polynomial",
  value: "p",
  title: "",
  input: first.output,
  output: first.output,
  coefficients: [0.3, 1, -0.5, 0.1],
};
const scale: Layer = {
  kind: "scale",
  value: "s",
  title: "",
  input: first.output,
  output: first.output,
  factor: randomNumbers(4, "factor"),
  summand: randomNumbers(4, "summand"),
};
const pool = (countIncludePad: boolean): Layer => ({
  kind: "average-pool",
  value: "a",
  title: "",
  input: first.output,
  output: { channels: 4, height: 3, width: 2 },
  kernel: [3, 3],
  strides: [2, 2],
  pads: [1, 1, 1, 0],
  countIncludePad,
});
const dilated = convolution({ input: first.output, out: 3, kernel: 2, stride: 1, pad: 0, dilation: 2 });
const dense: Layer = {
  kind: "dense",
  value: "d",
  title: "",
  input: dilated.output,
  output: { channels: 5, height: 1, width: 1 },
  weight: randomNumbers(5 * sizeOf(dilated.output), "dense"),
  bias: randomNumbers(5, "dense bias"),
};
const normalise = { factor: Float64Array.of(2, -3), summand: Float64Array.of(0.1, 0.2) };

for (const [name, layers] of Object.entries({
  "convolutions, polynomial, scale, dense": [first, polynomial, scale, dilated, dense],
  "average over padding": [first, pool(true)],
  "average without padding": [first, polynomial, pool(false)],
}))
  test(`the derivative is that of difference quotients: ${name}`, () => {
    const head = headOf(layers, normalise);
    const picture = randomNumbers(sizeOf(shape), "picture");
    const { features, pullBack } = linearise(head, picture);
    assert.deepEqual(features, runClear(head, picture));
    const vector = randomNumbers(features.length, "vector");
    const slopes = pullBack(vector);
    const along = (at: number, step: number): number =>
      runClear(
        head,
        picture.map((value, i) => (i === at ? value + step : value)),
      ).reduce((sum, value, i) => sum + value * vector[i]!, 0);
    let largest = 0;
    for (let at = 0; at < picture.length; at += 1) {
      const quotient = (along(at, 1e-5) - along(at, -1e-5)) / 2e-5;
      assert.ok(Math.abs(slopes[at]! - quotient) < 1e-5 * (1 + Math.abs(quotient)), `${at}: ${slopes[at]}, ${quotient}`);
      largest = Math.max(largest, Math.abs(quotient));
    }
    assert.ok(largest > 0.1);
  });
