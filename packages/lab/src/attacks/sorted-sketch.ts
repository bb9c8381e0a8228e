/**
 * What is left of a row of numbers whose order a key has changed, in few numbers.
 * @module
 */
import { matrix, rowOf, type Matrix } from "../numeric/matrix.ts";

/** Numbers kept of a row, at most. */
export const SKETCH_WIDTH = 64;

/**
 * Sorts each row and takes means over sections that are short at both ends, where a token differs most from others:
 * `(rows, n)` -> `(rows, at most 64)`. Sorts `of` in place.
 */
export function sortedSketch(of: Matrix): Matrix {
  const edges = sections(of.columns);
  const out = matrix(of.rows, edges.length - 1);
  for (let i = 0; i < of.rows; i += 1) {
    const row = rowOf(of, i);
    row.sort();
    for (let section = 0; section < out.columns; section += 1) {
      const [start, end] = [edges[section] as number, edges[section + 1] as number];
      let sum = 0;
      for (let k = start; k < end; k += 1) sum += row[k] as number;
      out.values[i * out.columns + section] = sum / (end - start);
    }
  }
  return out;
}

/** Edges of the sections, at the places of Chebyshev's nodes. */
function sections(count: number): number[] {
  if (count <= SKETCH_WIDTH) return Array.from({ length: count + 1 }, (_, i) => i);
  return [
    ...new Set(Array.from({ length: SKETCH_WIDTH + 1 }, (_, i) => Math.round((count * (1 - Math.cos((Math.PI * i) / SKETCH_WIDTH))) / 2))),
  ];
}
