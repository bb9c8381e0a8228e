/** Weights become whole numbers that are as near as their scale allows, and activations stay where no sum overflows. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RandomStream } from "@unseen/core/algebra/random.ts";
import type { Linear } from "@unseen/core/reference/weights.ts";
import fc from "fast-check";
import { provenLimit } from "./prepare-shares.ts";
import { quantise, type QuantisedLinear } from "./quantise.ts";

const linear = (out: number, weights: readonly number[]): Linear => ({
  out,
  in: weights.length / out,
  weight: Float32Array.from(weights),
  bias: null,
});
const whole = ({ limbs: [low, high] }: QuantisedLinear, place: number): number =>
  (low![place] as number) + (high ? 256 * (high[place] as number) : 0);

const anyLinear = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 9 })).chain(([out, inward]) =>
  fc
    .array(fc.float({ noNaN: true, min: Math.fround(-1e30), max: Math.fround(1e30) }), {
      minLength: out * inward,
      maxLength: out * inward,
    })
    .map((weights) => linear(out, weights)),
);

describe("quantised weights", () => {
  for (const limbs of [1, 2] as const) {
    test(`${limbs} limb(s): within half a step of the weight, rows of zeros with scale 0`, () => {
      fc.assert(
        fc.property(anyLinear, (layer) => {
          const quantised = quantise(layer, limbs);
          for (const [place, weight] of layer.weight.entries()) {
            const scale = quantised.scales[Math.floor(place / layer.in)] as number;
            // A scale is a float32, and among subnormal ones it may be off by a whole step of them.
            const tolerance = scale * 0.5001 + 2 ** -149 * 2 ** (limbs * 8);
            assert.ok(
              Math.abs(whole(quantised, place) * scale - weight) <= tolerance,
              `${weight} became ${whole(quantised, place)} * ${scale}`,
            );
          }
          for (const [row, scale] of quantised.scales.entries())
            if (scale === 0)
              assert.ok(quantised.limbs.every((limb) => limb.subarray(row * layer.in, (row + 1) * layer.in).every((n) => n === 0)));
        }),
        { seed: 1, numRuns: 300 },
      );
    });
  }

  test("the largest magnitudes are reached, with either sign", () => {
    assert.deepEqual([...quantise(linear(1, [1, -1, 0]), 1).limbs[0]!], [127, -127, 0]);
    const { limbs, largestRowSum } = quantise(linear(1, [1, -1, 0]), 2);
    assert.deepEqual(limbs, [Int8Array.of(127, -127, 0), Int8Array.of(127, -127, 0)]);
    assert.equal(largestRowSum, 254);
  });

  for (const value of [Number.NaN, Infinity])
    test(`${value} is refused`, () => {
      assert.throws(() => quantise(linear(1, [1, value]), 1), { code: "CHECKPOINT_NON_FINITE" });
    });
});

test("for the actual weights no activation within the limit reaches beyond 32 bits", () => {
  const random = new RandomStream(new Uint8Array(32).fill(9));
  for (const [limbs, inward] of [
    [1, 3000],
    [2, 3000],
    [1, 40],
    [2, 120_000],
  ] as const) {
    const layer = linear(
      3,
      Array.from({ length: 3 * inward }, () => random.gaussian()),
    );
    const quantised = quantise(layer, limbs);
    const limit = provenLimit(quantised.largestRowSum);
    let worst = 0;
    for (const limb of quantised.limbs)
      for (let row = 0; row < 3; row += 1)
        worst = Math.max(
          worst,
          limb.subarray(row * inward, (row + 1) * inward).reduce((sum, weight) => sum + Math.abs(weight) * limit, 0),
        );
    assert.ok(worst <= 2 ** 31 - 1);
    // The next larger one could, unless the cap on activations came first.
    assert.ok(limit === 2 ** 15 - 1 || (worst / limit) * (limit + 1) > 2 ** 31 - 1);
  }
});

test("no row sum that a layer can have makes a limit that overflows, and an impossible one is a defect", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (sum) => {
      const limit = provenLimit(sum);
      assert.ok(limit >= 1 && limit * sum <= 2 ** 31 - 1);
    }),
    { seed: 2 },
  );
  assert.throws(() => provenLimit(2 ** 31), { code: "INTERNAL" });
});
