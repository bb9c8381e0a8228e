import assert from "node:assert/strict";
import { test } from "node:test";
import type { Shape } from "@unseen/fhe/layer.ts";
import { seeded } from "../seed.ts";
import { meanScores, psnr, ssim } from "./scores.ts";

const filled = (shape: Shape, value: number): Float32Array => new Float32Array(shape.channels * shape.height * shape.width).fill(value);
const near = (actual: number, expected: number, tolerance = 1e-6): void =>
  assert.ok(Math.abs(actual - expected) < tolerance, `${actual}, expected ${expected}`);

test("an error of a tenth everywhere is 20 dB, of a hundredth 40 dB, none at all the most", () => {
  const shape = { channels: 1, height: 4, width: 5 };
  near(psnr(filled(shape, 0.5), filled(shape, 0.6)), 20, 1e-4);
  near(psnr(filled(shape, 0.5), filled(shape, 0.51)), 40, 1e-3);
  assert.equal(psnr(filled(shape, 0.5), filled(shape, 0.5)), 100);
});

test("SSIM of flat pictures is their luminance term, of equal ones 1", () => {
  for (const shape of [
    { channels: 1, height: 28, width: 28 },
    { channels: 3, height: 12, width: 15 },
    { channels: 2, height: 6, width: 1 },
  ]) {
    const expected = (2 * 0.4 * 0.6 + 1e-4) / (0.16 + 0.36 + 1e-4);
    near(ssim(filled(shape, 0.4), filled(shape, 0.6), shape), expected);
    near(ssim(filled(shape, 0.4), filled(shape, 0.4), shape), 1);
  }
});

test("SSIM is what its definition says, window by window", () => {
  const shape = { channels: 1, height: 13, width: 12 };
  const random = seeded(1, "ssim");
  const x = Float32Array.from(filled(shape, 0), () => random.uniform());
  const y = x.map((value) => 0.7 * value + 0.2 * random.uniform());
  let sum = 0;
  let windows = 0;
  for (let top = 0; top + 11 <= shape.height; top += 1)
    for (let left = 0; left + 11 <= shape.width; left += 1) {
      const points: { weight: number; x: number; y: number }[] = [];
      for (let i = 0; i < 11; i += 1)
        for (let j = 0; j < 11; j += 1) {
          const at = (top + i) * shape.width + left + j;
          points.push({ weight: Math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5 ** 2)), x: x[at]!, y: y[at]! });
        }
      const total = points.reduce((all, { weight }) => all + weight, 0);
      const mean = (of: (point: { x: number; y: number }) => number): number =>
        points.reduce((all, point) => all + (point.weight / total) * of(point), 0);
      const [mx, my] = [mean((p) => p.x), mean((p) => p.y)];
      const [vx, vy] = [mean((p) => (p.x - mx) ** 2), mean((p) => (p.y - my) ** 2)];
      const covariance = mean((p) => (p.x - mx) * (p.y - my));
      sum += ((2 * mx * my + 1e-4) * (2 * covariance + 9e-4)) / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4));
      windows += 1;
    }
  near(ssim(x, y, shape), sum / windows);
  assert.ok(sum / windows < 0.95);
});

test("means over several pictures", () => {
  const shape = { channels: 1, height: 2, width: 2 };
  const { psnr, ssim } = meanScores(
    Float32Array.of(0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0),
    Float32Array.of(0.6, 0.6, 0.6, 0.6, 0, 0, 0, 0),
    shape,
  );
  near(psnr, 60, 1e-4);
  near(ssim, ((2 * 0.5 * 0.6 + 1e-4) / (0.25 + 0.36 + 1e-4) + 1) / 2);
});
