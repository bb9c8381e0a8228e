/**
 * A private fine-tune of a public model, simulated: does it help that the host has the base, but not the tune?
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { matrix } from "../numeric/matrix.ts";
import { multiply } from "../numeric/multiply.ts";
import { changingWeights, type MatrixChange } from "./changed-weights.ts";
import type { Defence } from "./defence.ts";

/** Rank of the update of one matrix, as adapters usually have. */
const RANK = 8;

/**
 * Simulated: adds a random update of rank 8 to every matrix, word table and head included. Adapters leave those two alone, so a
 * real one hides less. Its direction is random where that of training is not; its size is the published one. The fidelity says how
 * far the tune is from its base, which is no loss here.
 */
export const simulatedTuning: Defence = changingWeights({
  name: "simulated-tuning",
  title: "Encrypts a private fine-tune of the public model, simulated by random updates of low rank.",
  dial: "Frobenius norm of each matrix's update, relative to that of the matrix",
  dials: [0, 0.01, 0.02, 0.03, 0.05],
  source: "LoRA (arXiv 2106.09685); a fine-tune moves weights by about 1 to 5 %",
  unties: false,
  changes: () => true,
  change: addUpdate,
});

/** Adds A · B with A `(rows, 8)` and B `(8, columns)` Gaussian, scaled to `relative` of the matrix's Frobenius norm, in place. */
export function addUpdate(
  values: Float64Array,
  { rows, columns }: Pick<MatrixChange, "rows" | "columns">,
  relative: number,
  random: RandomStream,
): void {
  const gaussian = (height: number, width: number) =>
    matrix(
      height,
      width,
      Float64Array.from({ length: height * width }, () => random.gaussian()),
    );
  const update = multiply(gaussian(rows, RANK), gaussian(RANK, columns)).values;
  const scale = (relative * frobenius(values)) / frobenius(update);
  for (let at = 0; at < values.length; at += 1) values[at]! += scale * (update[at] as number);
}

function frobenius(values: Float64Array): number {
  let square = 0;
  for (const value of values) square += value * value;
  return Math.sqrt(square);
}
