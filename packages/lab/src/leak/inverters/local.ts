/**
 * The local inverter: each block of pixels from the features around it and from the linear inverter's guess, by a small network.
 * Convolutions keep features above their pixels, so one network serves every block, and a few pictures teach it much.
 * @module
 */
import { sizeOf } from "@unseen/fhe/layer.ts";
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { ridge } from "../../numeric/decompose.ts";
import { matrix, transpose, type Matrix } from "../../numeric/matrix.ts";
import { seeded } from "../../seed.ts";
import { Patches } from "../patches.ts";
import { toUnit, type Inverter, type Lesson } from "./inverter.ts";
import { Network } from "./network.ts";

/** How long the network learns. */
export interface Training {
  /** Steps of Adam, and blocks per step. */
  readonly steps: number;
  readonly batch: number;
  /** Units of the two hidden layers. */
  readonly hidden: readonly [number, number];
}

/** Blocks that the linear path begins from, and its ridge. */
const LINEAR_BLOCKS = 8192;
const LINEAR_LAMBDA = 1e-5;
/** Adam's first rate, which falls as a cosine. */
const RATE = 2e-3;
/** Pixels are 0..1; the network draws their distance from grey. */
const GREY = 0.5;

/** Learns on top of a guess. */
export function localInverter({ head, examples, seed }: Lesson, guesser: Inverter, { steps, batch, hidden }: Training): Inverter {
  const patches = new Patches(head);
  const places = Array.from({ length: patches.blocks }, (_, block) => patches.pixels(block));
  const [size, width] = [sizeOf(head.shape), sizeOf(head.output)];
  const row = (of: Float32Array, length: number, index: number): Float32Array => of.subarray(index * length, (index + 1) * length);
  const guesses = guesser.invert(examples.features, examples.count);

  const draw = (random: RandomStream, rows: number): { readonly inputs: Matrix; readonly targets: Matrix } => {
    const [inputs, targets] = [matrix(rows, patches.inputs), matrix(rows, patches.outputs)];
    for (let at = 0; at < rows; at += 1) {
      const index = random.below(examples.count);
      const block = random.below(patches.blocks);
      patches.look(row(examples.features, width, index), row(guesses, size, index), block, inputs.values, at * patches.inputs);
      const picture = row(examples.pictures, size, index);
      (places[block] as Int32Array).forEach((place, k) => {
        targets.values[at * patches.outputs + k] = place < 0 ? NaN : (picture[place] as number) - GREY;
      });
    }
    return { inputs, targets };
  };

  const random = seeded(seed, "leak/local");
  const first = draw(random, LINEAR_BLOCKS);
  const standardise = standardiser(first.inputs);
  const { centred, mean } = centre(first.targets);
  const linear = ridge(standardise(first.inputs), centred, LINEAR_LAMBDA);
  const network = new Network(patches.inputs, hidden, transpose(linear), mean, random);
  for (let step = 0; step < steps; step += 1) {
    const { inputs, targets } = draw(random, batch);
    network.learn(standardise(inputs), targets, (RATE * (1 + Math.cos((Math.PI * step) / steps))) / 2);
  }

  return {
    name: "local network",
    invert: (features, count) => {
      const out = new Float32Array(count * size);
      const guesses = guesser.invert(features, count);
      for (let index = 0; index < count; index += 1) {
        const inputs = matrix(patches.blocks, patches.inputs);
        for (let block = 0; block < patches.blocks; block += 1)
          patches.look(row(features, width, index), row(guesses, size, index), block, inputs.values, block * patches.inputs);
        const { values } = network.forward(standardise(inputs));
        const picture = row(out, size, index);
        places.forEach((pixels, block) =>
          pixels.forEach((place, k) => {
            if (place >= 0) picture[place] = toUnit((values[block * patches.outputs + k] as number) + GREY);
          }),
        );
      }
      return out;
    },
  };
}

/** Columns less their means; what is NaN does not count and becomes 0. */
function centre(of: Matrix): { readonly centred: Matrix; readonly mean: Float64Array } {
  const [sum, counted] = [new Float64Array(of.columns), new Float64Array(of.columns)];
  of.values.forEach((value, at) => {
    if (Number.isNaN(value)) return;
    sum[at % of.columns]! += value;
    counted[at % of.columns]! += 1;
  });
  const mean = sum.map((value, k) => value / Math.max(1, counted[k] as number));
  const values = of.values.map((value, at) => (Number.isNaN(value) ? 0 : value - (mean[at % of.columns] as number)));
  return { centred: matrix(of.rows, of.columns, values), mean };
}

/** Brings columns, in place, to the mean 0 and deviation 1 that they have in a sample. */
function standardiser(sample: Matrix): (inputs: Matrix) => Matrix {
  const [mean, square] = [new Float64Array(sample.columns), new Float64Array(sample.columns)];
  for (let at = 0; at < sample.values.length; at += 1) {
    mean[at % sample.columns]! += (sample.values[at] as number) / sample.rows;
    square[at % sample.columns]! += (sample.values[at] as number) ** 2 / sample.rows;
  }
  const factor = square.map((value, k) => 1 / Math.sqrt(Math.max(1e-12, value - (mean[k] as number) ** 2)));
  return (inputs) => {
    for (let at = 0; at < inputs.values.length; at += 1) {
      const k = at % inputs.columns;
      inputs.values[at] = ((inputs.values[at] as number) - (mean[k] as number)) * (factor[k] as number);
    }
    return inputs;
  };
}
