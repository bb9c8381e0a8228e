/**
 * Norm gains folded into the matrices that read the norm.
 * @module
 */
import type { Linear } from "@unseen/core/reference/weights.ts";
import { centreRows, matrix, type Matrix } from "../numeric/matrix.ts";

/** A matrix as it is stored, in float64. */
export function plain({ out, in: inward, weight }: Linear): Matrix {
  return matrix(out, inward, Float64Array.from(weight));
}

/** Rows less their mean, where a LayerNorm reads them. */
export function centred(of: Matrix, centre: boolean): Matrix {
  return centre ? centreRows(of) : of;
}

/** W · diag(gain), and less the part that a LayerNorm's centring removes: `(out, d)`. */
export function folded(linear: Linear, gain: Float32Array, centre: boolean): Matrix {
  const out = plain(linear);
  for (let i = 0; i < out.rows; i += 1) for (let k = 0; k < out.columns; k += 1) out.values[i * out.columns + k]! *= gain[k] as number;
  return centred(out, centre);
}
