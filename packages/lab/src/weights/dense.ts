/**
 * A linear layer that many rows go through at once.
 * @module
 */
import type { Linear } from "@unseen/core/reference/weights.ts";
import { rowOf, type Matrix } from "../numeric/matrix.ts";
import { multiplyTransposed } from "../numeric/multiply.ts";
import { plain } from "./fold.ts";

/** y = W x + b, in float64. */
export interface Dense {
  readonly weight: Matrix; // (out, in)
  readonly bias: Float32Array | null; // (out)
}

/** A layer as it is stored, in float64. */
export function dense(linear: Linear): Dense {
  return { weight: plain(linear), bias: linear.bias };
}

/** `(rows, in)` -> `(rows, out)`. */
export function applyDense({ weight, bias }: Dense, x: Matrix): Matrix {
  const y = multiplyTransposed(x, weight);
  if (!bias) return y;
  for (let i = 0; i < y.rows; i += 1) {
    const row = rowOf(y, i);
    for (let k = 0; k < row.length; k += 1) row[k]! += bias[k] as number;
  }
  return y;
}
