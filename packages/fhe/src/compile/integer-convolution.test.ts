import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { runClear } from "../graph/run-clear.ts";
import type { Convolution, Head } from "../layer.ts";
import { exact, type BfvParameters } from "../parameters.ts";
import type { IntegerForm } from "../program.ts";
import { compile } from "./compile.ts";
import { convolution, Draws, headOf, polynomial, randomConvolution, randomPicture } from "./random-head.fixture.ts";
import { simulate } from "./simulate.ts";

/** Few slots, so that several ciphertexts occur. */
const small: BfvParameters = { scheme: "bfv", degree: 128, plainBits: 30 };
const parametersWith = (degree: number): BfvParameters => ({ ...small, degree });

/** The convolution of whole numbers, by the definition of the operator. */
function convolveIntegers(
  layer: Convolution,
  { weight, bias, outputSteps, pictureStep }: IntegerForm,
  picture: Float64Array,
): Float64Array {
  const whole: Convolution = { ...layer, weight, bias };
  const pixels = picture.map((value) => Math.round(value / pictureStep));
  const plane = layer.output.height * layer.output.width;
  return runClear(headOf(layer.input, [whole]), pixels).map((value, index) => value * (outputSteps[Math.floor(index / plane)] ?? 0));
}

function run(
  head: Head,
  parameters: BfvParameters,
  picture: Float64Array,
  pictureStep: number,
): { features: Float64Array; integers: IntegerForm } {
  const program = compile(head, parameters, { pictureStep });
  assert.ok(program.integers);
  assert.deepEqual([program.depth, program.relinearises, program.rotations], [1, false, []]);
  // The simulator refuses sums of 2^(plainBits - 2) and more.
  return { features: program.unpack(simulate(program, program.pack(picture), new Draws(0))), integers: program.integers };
}

describe("compileIntegers", () => {
  test("computes the convolution of whole numbers exactly, and the real one to its steps", () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const draws = new Draws(seed);
      const shape = { channels: draws.whole(1, 4), height: draws.whole(1, 14), width: draws.whole(1, 14) };
      const drawn = randomConvolution(draws, shape);
      // Ciphertexts whose weights are all zero have no exact form.
      const layer = { ...drawn, weight: drawn.weight.map((weight) => weight || 0.01) };
      const pictureStep = draws.one(1 / 255, 1);
      const picture = randomPicture(draws, shape).map((value) => value * 255 * pictureStep);
      const head = headOf(shape, [layer]);
      const { features, integers } = run(head, parametersWith(draws.one(128, 1024)), picture, pictureStep);
      assert.deepEqual(features, convolveIntegers(layer, integers, picture), `seed ${seed}`);
      const largest = Math.max(...layer.weight.map(Math.abs), ...layer.bias.map(Math.abs));
      for (const [index, value] of runClear(head, picture).entries())
        assert.ok(Math.abs(value - (features[index] ?? Number.NaN)) < 1e-4 * largest * 255 * pictureStep, `seed ${seed}, feature ${index}`);
    }
  });

  test("stays within its bound for the brightest picture", () => {
    const draws = new Draws(70);
    const shape = { channels: 3, height: 5, width: 5 };
    const layer = convolution(draws, shape, 4, {});
    const positive = { ...layer, weight: layer.weight.map(Math.abs), bias: layer.bias.map(Math.abs) };
    const { integers } = run(headOf(shape, [positive]), small, new Float64Array(75).fill(1), 1 / 255);
    // And uses it: a weight that counts has 13 bits or more.
    assert.ok(integers.weight.some((weight) => weight > 2 ** 13));
  });

  test("takes the normalisation of the picture into weights and bias", () => {
    const draws = new Draws(71);
    const shape = { channels: 2, height: 6, width: 6 };
    const normalise = { factor: Float64Array.of(2, -0.5), summand: Float64Array.of(-1, 0.25) };
    const head = headOf(shape, [convolution(draws, shape, 3, {})], normalise);
    const picture = randomPicture(draws, shape);
    const { features } = run(head, small, picture, 1 / 255);
    for (const [index, value] of runClear(head, picture).entries()) assert.ok(Math.abs(value - (features[index] ?? Number.NaN)) < 1e-4);
    const padded = headOf(shape, [convolution(draws, shape, 3, { pads: [1, 1, 1, 1] })], normalise);
    assert.throws(() => compile(padded, small), /shifted before a convolution with zeros at the edge/);
    const factors = headOf(shape, [convolution(draws, shape, 3, { pads: [1, 1, 1, 1] })], { ...normalise, summand: new Float64Array(2) });
    assert.equal(run(factors, small, picture, 1 / 255).features.length, 108);
  });

  test("serves one convolution alone", () => {
    const shape = { channels: 1, height: 4, width: 4 };
    const layer = convolution(new Draws(72), shape, 2, {});
    const unavailable = (error: unknown): boolean => UnseenError.isInstance(error) && error.code === "CUT_UNAVAILABLE";
    assert.throws(() => compile(headOf(shape, [layer, polynomial(layer.output, [0, 0, 1])]), exact), unavailable);
    assert.throws(() => compile(headOf(shape, [polynomial(shape, [0, 0, 1])]), exact), unavailable);
    const silent = { ...layer, weight: new Float64Array(layer.weight.length) };
    assert.throws(() => compile(headOf(shape, [silent]), exact), unavailable);
  });
});
