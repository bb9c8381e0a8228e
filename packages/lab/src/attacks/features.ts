/**
 * Features of token ids: a row of numbers each, that a key changes in no way or in one that can be undone.
 * @module
 */
import { matrix, rowOf, type Matrix } from "../numeric/matrix.ts";
import { mapped } from "../weights/batched.ts";

/** The features of `rows` tokens side by side: `(V, a)`, `(V, b)`, ... -> `(V, a + b + ...)`. */
export function joinColumns(parts: readonly Matrix[], rows = parts[0]?.rows ?? 0): Matrix {
  const out = matrix(
    rows,
    parts.reduce((sum, { columns }) => sum + columns, 0),
  );
  let start = 0;
  for (const part of parts) {
    for (let i = 0; i < rows; i += 1) out.values.set(rowOf(part, i), i * out.columns + start);
    start += part.columns;
  }
  return out;
}

/** The rows of all parts, one part below the other: `(a, n)`, `(b, n)`, ... -> `(a + b + ..., n)`. */
export function joinRows(parts: readonly Matrix[]): Matrix {
  const out = matrix(
    parts.reduce((sum, { rows }) => sum + rows, 0),
    parts[0]?.columns ?? 0,
  );
  let start = 0;
  for (const { values } of parts) {
    out.values.set(values, start);
    start += values.length;
  }
  return out;
}

/** Columns of the same length side by side: `(V)` each -> `(V, columns)`. */
export function ofColumns(columns: readonly Float64Array[]): Matrix {
  return joinColumns(columns.map((values) => matrix(values.length, 1, values)));
}

/**
 * Every column with mean 0 and deviation 1. Done to each of two models on its own, it takes away what noise adds to all
 * tokens alike. Columns that are constant become zero.
 */
export function standardised(of: Matrix): Matrix {
  const { rows, columns, values } = of;
  const [mean, square] = [new Float64Array(columns), new Float64Array(columns)];
  values.forEach((value, at) => (mean[at % columns]! += value / rows));
  values.forEach((value, at) => (square[at % columns]! += (value - (mean[at % columns] as number)) ** 2 / rows));
  const scale = square.map((variance, k) => (variance > 1e-24 * (mean[k] as number) ** 2 && variance > 0 ? 1 / Math.sqrt(variance) : 0));
  return mapped(of, (value, at) => (value - (mean[at % columns] as number)) * (scale[at % columns] as number));
}
