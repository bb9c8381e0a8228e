/**
 * What an unknown orthogonal map leaves of a hidden state: its length, and its inner products with other states under the same map.
 * @module
 */
import { centreRows, matrix, rowOf, type Matrix } from "../numeric/matrix.ts";
import { multiplyTransposed } from "../numeric/multiply.ts";

/** One state as its host sees it, beside others that it sees. */
export interface Invariants {
  /** Inner products with the n other states: `(n)`. */
  readonly products: Float64Array;
  /** Lengths of these: `(n)`. */
  readonly lengths: Float64Array;
  /** Its own. */
  readonly length: number;
}

/** The invariants of a state among `others`, `(n, d)`. */
export function invariantsOf(state: Float64Array, others: Matrix): Invariants {
  return {
    products: multiplyTransposed(others, matrix(1, state.length, state)).values,
    lengths: Float64Array.from({ length: others.rows }, (_, i) => Math.hypot(...rowOf(others, i))),
    length: Math.hypot(...state),
  };
}

/**
 * How badly each candidate fits: the root mean square difference of its invariants from those that were seen, relative to the
 * states' lengths. 0 for the right one under an exact map, about 1 for a state in no relation.
 *
 * @param candidates `(B, d)`, in the public model's coordinates
 * @param others `(n, d)`, what the states of `seen` are taken for
 */
export function misfits(candidates: Matrix, others: Matrix, seen: Invariants): Float64Array {
  const products = multiplyTransposed(candidates, others);
  return Float64Array.from({ length: candidates.rows }, (_, row) => {
    let square = 0;
    for (const value of rowOf(candidates, row)) square += value * value;
    let sum = (square / seen.length ** 2 - 1) ** 2;
    for (const [i, product] of rowOf(products, row).entries())
      sum += ((product - (seen.products[i] as number)) / ((seen.lengths[i] as number) * seen.length)) ** 2;
    return Math.sqrt(sum / (products.columns + 1));
  });
}

/** Rows below each other: `(n, d)`. */
export function stacked(rows: readonly Float64Array[], columns: number): Matrix {
  const out = matrix(rows.length, columns);
  for (const [i, row] of rows.entries()) rowOf(out, i).set(row);
  return out;
}

/** States as a norm reads them: LayerNorm drops the mean, and an encrypted model may have lost it already. */
export function asRead(states: Matrix, norm: "rms" | "layer"): Matrix {
  return norm === "layer" ? centreRows(states) : states;
}
