import assert from "node:assert/strict";
import { test } from "node:test";
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import type { Layer } from "@unseen/fhe/layer.ts";
import { convolution, headOf } from "../heads.fixture.ts";
import { psnr } from "../scores.ts";
import { drawPictures } from "../synthetic.ts";
import { descentInverter } from "./descent.ts";
import type { Inverter } from "./inverter.ts";

const shape = { channels: 1, height: 12, width: 12 };
const first = convolution({ input: shape, out: 6, kernel: 3, stride: 1, pad: 1 });
const square: Layer = { kind: "polynomial", value: "s", title: "", input: first.output, output: first.output, coefficients: [0, 0, 1] };
const grey: Inverter = { name: "grey", invert: (_, count) => new Float32Array(count * 144).fill(0.4) };
const picture = Float32Array.from(drawPictures(shape, { train: 1, test: 0, seed: 1 }).train.bytes, (byte) => byte / 255);

for (const scale of [1, 255])
  test(`finds the picture of squared features from a grey one, pixels times ${scale}`, () => {
    const head = headOf([first, square]);
    const features = Float32Array.from(
      runClear(
        head,
        Float64Array.from(picture, (value) => value * scale),
      ),
    );
    const before = psnr(picture, grey.invert(features, 1));
    const after = psnr(picture, descentInverter(head, grey, { noise: 1e-6 * scale ** 4, guess: 0.05, scale }).invert(features, 1));
    assert.ok(before < 20 && after > 35, `${before} -> ${after}`);
  });

test("leaves the guess where nothing was sent, and where features are noise", () => {
  const head = headOf([first]);
  const nothing = descentInverter(head, grey, { noise: 1e-6, guess: 0.05, scale: 1 });
  assert.deepEqual(nothing.invert(new Float32Array(6 * 144), 1), grey.invert(new Float32Array(0), 1));
  const noisy = descentInverter(head, grey, { noise: 1e9, guess: 0.05, scale: 1 });
  assert.ok(noisy.invert(new Float32Array(6 * 144).fill(3), 1).every((value) => Math.abs(value - 0.4) < 1e-3));
});
