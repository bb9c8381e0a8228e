/**
 * Softmax without an array for each row: attention has millions of short ones.
 * @module
 */

/** Softmax of one row, in place. */
export function softmaxInPlace(x: Float64Array): void {
  let highest = -Infinity;
  for (let i = 0; i < x.length; i += 1) highest = Math.max(highest, x[i] as number);
  let total = 0;
  for (let i = 0; i < x.length; i += 1) total += x[i] = Math.exp((x[i] as number) - highest);
  for (let i = 0; i < x.length; i += 1) x[i]! /= total;
}
