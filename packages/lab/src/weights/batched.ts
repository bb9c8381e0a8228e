/**
 * Linear layers applied to many rows at once.
 * @module
 */
import type { Linear } from "@unseen/core/reference/weights.ts";
import { matrix, type Matrix } from "../numeric/matrix.ts";
import { applyDense, dense } from "./dense.ts";

/** `(n, in)` -> `(n, out)`. */
export type Batched = (x: Matrix) => Matrix;

/** A linear layer with its bias. */
export function batched(linear: Linear): Batched {
  const layer = dense(linear);
  return (x) => applyDense(layer, x);
}

/** Rows `start` to `end`, or to the last one, as a view. */
export function rowsOf({ rows, columns, values }: Matrix, start: number, end: number): Matrix {
  const stop = Math.min(end, rows);
  return matrix(stop - start, columns, values.subarray(start * columns, stop * columns));
}

/** `to` += `from`. */
export function addRows(to: Matrix, from: Matrix): void {
  for (let at = 0; at < to.values.length; at += 1) to.values[at]! += from.values[at] as number;
}

/** Every number through a function, which also gets its place in the matrix, row-major. */
export function mapped({ rows, columns, values }: Matrix, by: (value: number, at: number) => number): Matrix {
  return matrix(
    rows,
    columns,
    values.map((value, at) => by(value, at)),
  );
}
