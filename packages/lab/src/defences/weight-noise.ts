/**
 * Noise on the weights: the published way to blur what an attacker matches, and what the model can do with it.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { changingWeights } from "./changed-weights.ts";
import type { Defence } from "./defence.ts";

/** From nothing to twice what there is. */
const DIALS = [0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 2];

/** Noise of AloePri's defaults: the head gets a fifth of what the word table gets. */
const HEAD_SHARE = 0.2;

/** Gaussian noise on every matrix, as a share of the matrix's own standard deviation. Norms' gains and biases stay. */
export const weightNoise: Defence = changingWeights({
  name: "weight-noise",
  title: "Adds Gaussian noise to every matrix before it is encrypted.",
  dial: "noise's standard deviation, relative to that of each matrix",
  dials: DIALS,
  source: "the noise of AloePri (arXiv 2603.01499) on all weights",
  unties: false,
  changes: () => true,
  change: (values, _matrix, dial, random) => addNoise(values, dial, random),
});

/**
 * Gaussian noise on the word table, and a fifth of it on the head, as a share of each one's standard deviation.
 * Tied weights are stored apart, each with noise of its own.
 */
export const tableNoise: Defence = changingWeights({
  name: "table-noise",
  title: "Adds Gaussian noise to the word table, and a fifth of it to the head, before they are encrypted.",
  dial: "noise's standard deviation on the word table, relative to that of the table",
  dials: DIALS,
  source: "AloePri (arXiv 2603.01499), whose defaults are 1.0 and 0.2",
  unties: true,
  changes: ({ part }) => part !== "inner",
  change: (values, { part }, dial, random) => addNoise(values, part === "head" ? HEAD_SHARE * dial : dial, random),
});

/** Adds N(0, (relative · std)²) to each number, in place. */
export function addNoise(values: Float64Array, relative: number, random: RandomStream): void {
  const scale = relative * standardDeviation(values);
  for (let at = 0; at < values.length; at += 1) values[at]! += scale * random.gaussian();
}

function standardDeviation(values: Float64Array): number {
  let mean = 0;
  for (const value of values) mean += value / values.length;
  let square = 0;
  for (const value of values) square += (value - mean) ** 2 / values.length;
  return Math.sqrt(square);
}
