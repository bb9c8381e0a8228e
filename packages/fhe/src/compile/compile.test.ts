import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { runClear } from "../graph/run-clear.ts";
import type { Head, Layer } from "../layer.ts";
import { deep, shallow, type CkksParameters } from "../parameters.ts";
import { compile, compileDeep } from "./compile.ts";
import { averagePool, convolution, dense, Draws, headOf, polynomial, randomHead, randomPicture, scale } from "./random-head.fixture.ts";
import { simulate } from "./simulate.ts";

/** Few slots, so that every way to spread features over ciphertexts occurs; many levels. Too small to be secure, so SEAL would refuse it. */
const small: CkksParameters = { scheme: "ckks", degree: 256, primeBits: [60, ...Array.from({ length: 20 }, () => 40), 60], scaleBits: 40 };

/** The largest difference between the program on plain numbers and the layers themselves. */
function difference(head: Head, parameters: CkksParameters, seed: number): number {
  const draws = new Draws(seed);
  const picture = randomPicture(draws, head.shape);
  const program = compile(head, parameters);
  const features = program.unpack(simulate(program, program.pack(picture), draws));
  const expected = runClear(head, picture);
  assert.equal(features.length, expected.length);
  return features.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (expected[index] ?? Number.NaN))), 0);
}

const tiny = { channels: 1, height: 6, width: 6 };

describe("compile", () => {
  test("computes what the layers compute, for random layers of every kind", () => {
    for (let seed = 1; seed <= 150; seed += 1) {
      const draws = new Draws(seed);
      const shape = { channels: draws.whole(1, 5), height: draws.whole(1, 11), width: draws.whole(1, 11) };
      const head = randomHead(draws, shape, draws.whole(1, 4));
      const kinds = head.layers.map(({ kind }) => kind).join(", ");
      assert.ok(difference(head, small, seed) < 1e-9, `seed ${seed} (${kinds}): ${difference(head, small, seed)}`);
    }
  });

  test("splits channels that are larger than a ciphertext", () => {
    const draws = new Draws(3);
    const shape = { channels: 2, height: 17, width: 19 };
    const first = convolution(draws, shape, 3, { pads: [1, 1, 1, 1] });
    const second = convolution(draws, first.output, 2, { pads: [1, 1, 1, 1], strides: [2, 2] });
    const pool = averagePool(second.output, [3, 3], [2, 2], [1, 1, 1, 1], false);
    for (const layers of [
      [first],
      [first, second],
      [first, second, pool],
      [polynomial(shape, [0, 1, 1]), first],
      [first, dense(draws, first.output, 150)],
    ])
      assert.ok(difference(headOf(shape, layers), small, 5) < 1e-9);
  });

  test("computes layers whose weights are zero, without a product with zeros", () => {
    const draws = new Draws(4);
    const first = convolution(draws, tiny, 5, {});
    const silent = { ...first, weight: first.weight.map(() => 0) };
    const pruned = { ...first, weight: first.weight.map((weight, index) => (index % 9 < 5 ? 0 : weight)) };
    const after = convolution(draws, first.output, 3, {});
    for (const layers of [[silent], [silent, after], [pruned, after], [first, { ...after, weight: after.weight.map(() => 0) }]])
      assert.ok(difference(headOf(tiny, layers), small, 6) < 1e-9);
    assert.equal(
      compile(headOf(tiny, [pruned]), small).inputs,
      9,
      "what is sent does not depend on weights, which the sender may not know",
    );
  });

  test("writes polynomials with the fewest products in a row", () => {
    const cases: readonly (readonly [readonly number[], number])[] = [
      [[0, 0, 1], 1],
      [[0.5, 0.25, 0.125], 1],
      [[0.1, -0.3, 0.2, 0.7], 2],
      [[0.1, -0.3, 0.2, 0.7, -0.4], 2],
      [[0, 0, 0, 0, 1], 2],
      // Nearly linear: the adapted form would lose all bits.
      [[0.3, 1, 1e-6], 2],
      [[0, 1, 0, 0, 0, 1], 5],
    ];
    for (const [coefficients, depth] of cases) {
      const head = headOf(tiny, [polynomial(tiny, coefficients)]);
      assert.equal(compile(head, small).depth, depth, coefficients.join(" "));
      assert.ok(difference(head, small, 7) < 1e-9, coefficients.join(" "));
      const both: readonly Layer[] = [scale(new Draws(8), tiny), polynomial(tiny, coefficients), scale(new Draws(9), tiny)];
      assert.ok(difference(headOf(tiny, both), small, 7) < 1e-9, coefficients.join(" "));
    }
  });

  test("writes pools inside the picture as sums, which are no products", () => {
    const draws = new Draws(12);
    const first = convolution(draws, { channels: 2, height: 12, width: 12 }, 6, {});
    const square = polynomial(first.output, [0, 0, 1]);
    const pool = averagePool(first.output, [2, 2], [2, 2], [0, 0, 0, 0]);
    const rest = averagePool(pool.output, [5, 5], [1, 1], [0, 0, 0, 0]);
    const depthOf = (layers: readonly Layer[]): number => {
      const head = headOf(first.input, layers);
      assert.ok(difference(head, small, 13) < 1e-9);
      return compile(head, small).depth;
    };
    assert.equal(depthOf([first, square, pool, rest, dense(draws, rest.output, 3)]), 3);
    assert.equal(depthOf([first, pool, polynomial(pool.output, [0.1, 0.5, 0.25])]), 2);
    // Between two polynomials nothing else could scale it; at the edge its zeros are a mask, a product.
    assert.equal(depthOf([first, square, pool, polynomial(pool.output, [0, 0, 1])]), 4);
    assert.equal(depthOf([first, averagePool(first.output, [3, 3], [2, 2], [1, 1, 1, 1])]), 2);
  });

  test("needs few rotation keys", () => {
    const draws = new Draws(10);
    const picture = { channels: 1, height: 28, width: 28 };
    const halve = { pads: [1, 1, 1, 1], strides: [2, 2] } as const;
    const first = convolution(draws, picture, 16, halve);
    const second = convolution(draws, first.output, 32, halve);
    const square = polynomial(first.output, [0, 0, 1]);
    assert.deepEqual(compile(headOf(picture, [first, square]), shallow).rotations, []);
    const both = compile(headOf(picture, [first, square, second]), shallow);
    assert.deepEqual(both.rotations, [-15, 1, 14, 256]);
    assert.equal(both.inputs, 9);
    assert.equal(both.outputs.length, 2);
    const last = compile(
      headOf(picture, [first, square, second, polynomial(second.output, [0, 0, 1]), dense(draws, second.output, 64)]),
      deep,
    );
    assert.ok(last.rotations.length <= 8, String(last.rotations));
    const depthwise = compile(headOf(picture, [first, convolution(draws, first.output, 16, { ...halve, groups: 16 })]), shallow);
    assert.deepEqual(depthwise.rotations, [-15, 1, 14]);
  });

  test("keeps the errors of ciphertext small", () => {
    const draws = new Draws(11);
    const picture = { channels: 1, height: 28, width: 28 };
    const first = convolution(draws, picture, 16, { pads: [1, 1, 1, 1], strides: [2, 2] });
    const head = headOf(picture, [first, polynomial(first.output, [0.1, 0.5, 0.3]), dense(draws, first.output, 20)]);
    const program = compile(head, shallow);
    const values = randomPicture(draws, picture);
    const features = program.unpack(simulate(program, program.pack(values), { noise: 1, uniform: draws.uniform }));
    const expected = runClear(head, values);
    const errors = features.map((value, index) => Math.abs(value - (expected[index] ?? 0)));
    assert.ok(Math.max(...errors) < 1e-5 && Math.max(...errors) > 1e-10, String(Math.max(...errors)));
  });

  test("refuses more products in a row than the parameters allow", () => {
    const head = headOf(
      tiny,
      Array.from({ length: 4 }, () => polynomial(tiny, [0, 0, 1])),
    );
    assert.throws(
      () => compile(head, shallow),
      (error) =>
        UnseenError.isInstance(error) &&
        error.code === "CUT_UNAVAILABLE" &&
        error.message.includes("needs 4 products in a row; the parameters allow 3"),
    );
    assert.equal(compileDeep(head, shallow).depth, 4);
  });

  test("refuses pictures that need too many ciphertexts, at once", () => {
    const huge = { channels: 3, height: 4096, width: 4096 };
    const unavailable = (error: unknown): boolean => UnseenError.isInstance(error) && error.code === "CUT_UNAVAILABLE";
    assert.throws(() => compile(headOf(huge, [convolution(new Draws(1), huge, 8, {})]), shallow), unavailable);
    assert.throws(() => compile(headOf(huge, [polynomial(huge, [0, 0, 1])]), shallow), unavailable);
    const wide = { channels: 2048, height: 64, width: 64 };
    assert.throws(() => compile(headOf(huge, [polynomial(wide, [0, 0, 1])]), shallow), unavailable);
    assert.throws(() => compile(headOf(tiny, []), shallow), unavailable);
  });

  test("names a picture of the wrong size", () => {
    const program = compile(headOf(tiny, [polynomial(tiny, [0, 0, 1])]), shallow);
    assert.throws(() => program.pack(new Float64Array(35)), /must have 36 values, not 35/);
  });
});
