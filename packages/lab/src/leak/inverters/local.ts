/**
 * The local inverters: each block of pixels from the features around it, by ridge regression and by a small network that begins as
 * that regression. Convolutions keep features above their pixels, so one map serves every block, and a few pictures teach it much.
 * @module
 */
import { sizeOf } from "@unseen/fhe/layer.ts";
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { ridge } from "../../numeric/decompose.ts";
import { matrix, transpose, type Matrix } from "../../numeric/matrix.ts";
import { multiplyTransposed } from "../../numeric/multiply.ts";
import { seeded } from "../../seed.ts";
import { Patches } from "../patches.ts";
import { meanOf, type Inverter, type Lesson } from "./inverter.ts";
import { Network } from "./network.ts";

/** How long a network learns. */
export interface Training {
  /** Steps of Adam, and blocks per step. */
  readonly steps: number;
  readonly batch: number;
  readonly hidden: readonly [number, number];
}

const RIDGE_BLOCKS = 12_000;
const LAMBDA = 1e-5;
const RATE = 2e-3;

/** The inverter by ridge regression, and the network that goes on from it. */
export function localInverters(lesson: Lesson, training: Training, guesses: Float32Array | null): { linear: Inverter; network: (guess: ((features: Float32Array, count: number) => Float32Array) | null) => Inverter } {
  const { head, seed, examples: { count, features, pictures } } = lesson; // prettier-ignore
  const patches = new Patches(head);
  const featureSize = sizeOf(head.output);
  const pictureSize = sizeOf(head.shape);
  const mean = meanOf(pictures, count);
  const places = Array.from({ length: patches.blocks }, (_, block) => patches.pixels(block));
  const margin = guesses ? patches.guessInputs : 0;
  const width = patches.inputs + 2 + margin;
  const fillInputs = (features: Float32Array, guess: Float32Array | null, picture: number, block: number, into: Matrix, row: number): void => {
    const at = row * width;
    patches.gather(features.subarray(picture * featureSize, (picture + 1) * featureSize), block, into.values, at);
    const [v, u] = patches.place(block);
    into.values[at + patches.inputs] = v;
    into.values[at + patches.inputs + 1] = u;
    if (guess) patches.gatherGuess(guess.subarray(picture * pictureSize, (picture + 1) * pictureSize), mean, block, into.values, at + patches.inputs + 2);
  };
  const draw = (random: RandomStream, rows: number): [Matrix, Matrix] => {
    const inputs = matrix(rows, width);
    const targets = matrix(rows, patches.outputs);
    for (let row = 0; row < rows; row += 1) {
      const picture = random.below(count);
      const block = random.below(patches.blocks);
      fillInputs(features, guesses, picture, block, inputs, row);
      (places[block] as Int32Array).forEach((place, k) => {
        targets.values[row * patches.outputs + k] = place < 0 ? NaN : (pictures[picture * pictureSize + place] as number) - 0.5;
      });
    }
    return [inputs, targets];
  };
  const random = seeded(seed, "leak/local");
  const [sample, sampleTargets] = draw(random, Math.min(RIDGE_BLOCKS, count * patches.blocks));
  const { shift, scale } = standard(sample);
  const standardise = (inputs: Matrix): Matrix => {
    for (let at = 0; at < inputs.values.length; at += 1)
      inputs.values[at] = ((inputs.values[at] as number) - (shift[at % width] as number)) * (scale[at % width] as number);
    return inputs;
  };
  standardise(sample);
  const bounded = matrix(sampleTargets.rows, sampleTargets.columns, sampleTargets.values.map((v) => (Number.isNaN(v) ? 0 : v)));
  const linear = transpose(ridge(sample, bounded, LAMBDA));
  const inverter = (name: string, map: (inputs: Matrix) => Matrix, guesser: ((features: Float32Array, count: number) => Float32Array) | null): Inverter => ({
    name,
    invert: (observed, observedCount) => {
      const out = new Float32Array(observedCount * pictureSize);
      const guess = guesser ? guesser(observed, observedCount) : null;
      for (let picture = 0; picture < observedCount; picture += 1) {
        const inputs = matrix(patches.blocks, width);
        for (let block = 0; block < patches.blocks; block += 1) fillInputs(observed, guess, picture, block, inputs, block);
        const drawn = map(standardise(inputs));
        for (let block = 0; block < patches.blocks; block += 1)
          (places[block] as Int32Array).forEach((place, k) => {
            if (place >= 0)
              out[picture * pictureSize + place] = Math.max(0, Math.min(1, (drawn.values[block * patches.outputs + k] as number) + 0.5));
          });
      }
      return out;
    },
  });
  return {
    linear: inverter("local ridge", (inputs) => multiplyTransposed(inputs, linear), null),
    network: (guesser) => {
      const network = new Network(width, training.hidden, linear, random);
      for (let step = 0; step < training.steps; step += 1) {
        const [inputs, targets] = draw(random, training.batch);
        const e = network.learn(standardise(inputs), targets, (RATE * (1 + Math.cos((Math.PI * step) / training.steps))) / 2);
        if (process.env["TRACE"] && step % 500 === 0) process.stderr.write(`${step} ${e}\n`);
      }
      return inverter("local network", (inputs) => network.forward(inputs), guesser);
    },
  };
}

function standard(of: Matrix): { shift: Float64Array; scale: Float64Array } {
  const shift = new Float64Array(of.columns);
  const square = new Float64Array(of.columns);
  for (let at = 0; at < of.values.length; at += 1) {
    shift[at % of.columns]! += (of.values[at] as number) / of.rows;
    square[at % of.columns]! += (of.values[at] as number) ** 2 / of.rows;
  }
  return { shift, scale: square.map((s, k) => 1 / Math.sqrt(Math.max(1e-12, s - (shift[k] as number) ** 2))) };
}
