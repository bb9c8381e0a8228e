import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Draws } from "./compile/random-head.fixture.ts";
import { checkObfuscation, defaultObfuscation, gaussian, obfuscate, restore, type Obfuscation, type Uniform } from "./obfuscation.ts";

const shape = { channels: 4, height: 5, width: 5 };
const size = 100;
/** The least noise that may be chosen, so that everything else shows. */
const quiet: Obfuscation = { clip: null, noise: 2 ** -14, bits: 16, channels: 1 };

const uniformOf = (seed: number): Uniform => new Draws(seed).uniform;

const ramp = Float64Array.from({ length: size }, (_, index) => (index - 50) / 10); // -5 to 4.9

/** Standard deviation of the difference. */
function deviation(values: ArrayLike<number>, from: ArrayLike<number>): number {
  const differences = Array.from(values, (value, index) => value - from[index]!);
  const mean = differences.reduce((sum, each) => sum + each, 0) / differences.length;
  return Math.sqrt(differences.reduce((sum, each) => sum + (each - mean) ** 2, 0) / differences.length);
}

describe("obfuscated features", () => {
  test("stay close to what they were, with little noise and many bits", () => {
    const restored = restore(obfuscate(ramp, shape, quiet, uniformOf(1)));
    restored.forEach((value, index) => assert.ok(Math.abs(value - ramp[index]!) < 6 * 8 * 2 ** -14 + 8 / 2 ** 15));
  });

  test("are whole numbers of so many bits, whatever the features and knobs", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1e12, max: 1e12 }), { minLength: size, maxLength: size }),
        fc.record({
          clip: fc.option(fc.double({ min: 1e-6, max: 1e9, noNaN: true })),
          noise: fc.double({ min: 2 ** -14, max: 10, noNaN: true }),
          bits: fc.integer({ min: 2, max: 16 }),
          channels: fc.double({ min: 0.01, max: 1, noNaN: true }),
        }),
        fc.nat(),
        (features, settings, seed) => {
          const { step, values } = obfuscate(Float64Array.from(features), shape, settings, uniformOf(seed));
          const top = 2 ** (settings.bits - 1) - 1;
          assert.ok(step > 0 && Number.isFinite(step));
          assert.ok(values.every((value) => Math.abs(value) <= top));
        },
      ),
    );
  });

  test("have a range that is a power of two, which says little of the picture", () => {
    const stepOf = (scale: number): number =>
      obfuscate(
        ramp.map((value) => value * scale),
        shape,
        quiet,
        uniformOf(1),
      ).step;
    assert.equal(stepOf(1), 8 / 32_767);
    assert.equal(stepOf(1.2), stepOf(1), "another largest value below the same power");
    assert.equal(stepOf(1.7), 2 * stepOf(1));
    assert.equal(obfuscate(new Float64Array(size), shape, quiet, uniformOf(1)).step, 1 / 32_767, "a black picture");
  });

  test("are clipped where that is asked for", () => {
    const restored = restore(obfuscate(ramp, shape, { ...quiet, clip: 1 }, uniformOf(1)));
    assert.ok(restored.every((value) => Math.abs(value) <= 1));
    assert.ok(Math.abs(restored[0]! + 1) < 1e-3 && Math.abs(restored[99]! - 1) < 1e-3);
    assert.ok(Math.abs(restored[55]! - 0.5) < 1e-3);
  });

  test("carry noise of the deviation that was asked for, as a share of the range", () => {
    const many = { channels: 1, height: 100, width: 100 };
    for (const noise of [0.01, 0.05, 0.1]) {
      const restored = restore(obfuscate(new Float64Array(10_000).fill(0.5), many, { ...quiet, clip: 2, noise }, uniformOf(3)));
      const found = deviation(restored, new Float64Array(10_000));
      assert.ok(Math.abs(found / (2 * noise) - 1) < 0.05, `${found} for ${2 * noise}`);
    }
  });

  test("lack whole channels, others for each picture", () => {
    const uniform = uniformOf(4);
    const left = Array.from({ length: 40 }, () => {
      const { values } = obfuscate(new Float64Array(size).fill(4), shape, { ...quiet, channels: 0.5 }, uniform);
      const kept = [0, 1, 2, 3].filter((channel) => values.subarray(channel * 25, channel * 25 + 25).some((value) => value !== 0));
      assert.equal(kept.length, 2);
      assert.ok(kept.every((channel) => values.subarray(channel * 25, channel * 25 + 25).every((value) => value !== 0)));
      return kept.join();
    });
    assert.equal(new Set(left).size, 6, "every pair of four");
    const { values } = obfuscate(new Float64Array(size).fill(4), shape, { ...quiet, channels: 0.01 }, uniform);
    assert.equal(values.filter((value) => value !== 0).length, 25, "one is always sent");
  });

  test("of the same picture differ each time, but for the same random numbers", () => {
    const once = (seed: number): Int16Array => obfuscate(ramp, shape, defaultObfuscation, uniformOf(seed)).values;
    assert.deepEqual(once(1), once(1));
    assert.notDeepEqual(once(1), once(2));
  });

  test("hide the error of the encryption by default: it changes no more values than chance would", () => {
    // CKKS errors are below a millionth of the range; what they can do is move a value over a rounding border.
    const error = 1e-6;
    let changed = 0;
    for (let seed = 0; seed < 50; seed++) {
      const [clean, noisy] = [0, error].map(
        (off) =>
          obfuscate(
            ramp.map((value) => value + off),
            shape,
            { ...defaultObfuscation, clip: 8 },
            uniformOf(seed),
          ).values,
      ) as [Int16Array, Int16Array];
      changed += clean.filter((value, index) => value !== noisy[index]).length;
    }
    assert.ok(changed <= 15, `${changed} of 5000`); // expected: 5000 * 1e-6 / step = 1.3
  });

  test("are not made of what is no number", () => {
    for (const value of [Number.NaN, Infinity, -Infinity])
      assert.throws(() => obfuscate(ramp.with(7, value), shape, quiet, uniformOf(1)), { code: "EVALUATION_FAILED" });
  });
});

test("knobs out of their range are refused by name", () => {
  checkObfuscation(defaultObfuscation);
  checkObfuscation({ clip: 1e-9, noise: 10, bits: 2, channels: 1e-9 });
  for (const [changes, named] of [
    [{ clip: 0 }, /clip/],
    [{ clip: -1 }, /clip/],
    [{ clip: Infinity }, /clip/],
    [{ clip: Number.NaN }, /clip/],
    [{ noise: 0 }, /noise/],
    [{ noise: 2 ** -15 }, /noise/],
    [{ noise: 11 }, /noise/],
    [{ noise: Number.NaN }, /noise/],
    [{ bits: 1 }, /bits/],
    [{ bits: 17 }, /bits/],
    [{ bits: 2.5 }, /bits/],
    [{ channels: 0 }, /channels/],
    [{ channels: 1.1 }, /channels/],
    [{ channels: Number.NaN }, /channels/],
  ] as const) {
    const settings = { ...defaultObfuscation, ...changes };
    assert.throws(() => checkObfuscation(settings), { code: "USAGE", message: named });
    assert.throws(() => obfuscate(ramp, shape, settings, uniformOf(1)), { code: "USAGE" });
  }
});

test("the normal law has its mean, deviation and tails", () => {
  const uniform = uniformOf(5);
  const values = Array.from({ length: 50_000 }, () => gaussian(uniform));
  assert.ok(values.every(Number.isFinite));
  assert.ok(Math.abs(values.reduce((sum, value) => sum + value, 0) / values.length) < 0.03);
  assert.ok(Math.abs(deviation(values, new Float64Array(values.length)) - 1) < 0.02);
  const beyond = values.filter((value) => Math.abs(value) > 2).length / values.length;
  assert.ok(Math.abs(beyond - 0.0455) < 0.006, String(beyond));
  assert.equal(Math.abs(gaussian(() => 0)), 0);
});
