import assert from "node:assert/strict";
import { test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { runClear } from "../graph/run-clear.ts";
import { shallow } from "../parameters.ts";
import { compile } from "./compile.ts";
import { gainsForPolynomials, gainsForRange } from "./gains.ts";
import { averagePool, convolution, Draws, headOf, polynomial, randomPicture } from "./random-head.fixture.ts";
import { simulate } from "./simulate.ts";

const shape = { channels: 1, height: 8, width: 8 };
const first = convolution(new Draws(1), shape, 4, {});

test("a gain makes a polynomial begin with 1, where it is moderate", () => {
  const gains = (leading: number): number[] => gainsForPolynomials(headOf(shape, [first, polynomial(first.output, [0, 1, leading])]));
  assert.deepEqual(gains(0.25), [0.5, 1]);
  assert.deepEqual(gains(-4), [2, 1]);
  assert.deepEqual(gains(1e-9), [1, 1]);
});

test("a gain makes up for a pool that only sums", () => {
  const pool = averagePool(first.output, [3, 3], [1, 1], [0, 0, 0, 0]);
  assert.deepEqual(gainsForPolynomials(headOf(shape, [first, pool])), [1 / 9, 1]);
  assert.deepEqual(gainsForPolynomials(headOf(shape, [first, pool, polynomial(pool.output, [0, 1, 0.25])])), [0.5 / 9, 0.5, 1]);
});

test("gains are one where features are small", () => {
  assert.deepEqual(
    gainsForRange(headOf(shape, [first, polynomial(first.output, [0, 0, 1]), convolution(new Draws(2), first.output, 3, {})])),
    [1, 1, 1],
  );
});

test("features far beyond what the last level holds come back right", () => {
  const draws = new Draws(3);
  const loud = { ...first, weight: first.weight.map((weight) => weight * 1000) };
  const second = convolution(draws, first.output, 3, {});
  const head = headOf(shape, [loud, polynomial(first.output, [5, 100, 1]), second], {
    factor: Float64Array.of(255),
    summand: Float64Array.of(-10),
  });
  const picture = randomPicture(draws, shape);
  const expected = runClear(head, picture);
  const largest = Math.max(...expected.map(Math.abs));
  assert.ok(largest > 1e8);
  const program = compile(head, shallow);
  const features = program.unpack(simulate(program, program.pack(picture), { noise: 1, uniform: draws.uniform }));
  for (const [index, value] of expected.entries()) assert.ok(Math.abs((features[index] ?? 0) - value) < 1e-5 * largest);
});

test("weights that are no numbers are refused", () => {
  const broken = { ...first, bias: first.bias.map(() => Number.NaN) };
  assert.throws(
    () => compile(headOf(shape, [broken]), shallow),
    (error) => UnseenError.isInstance(error) && error.code === "CUT_UNAVAILABLE" && error.message.includes("not finite"),
  );
});
