/**
 * The pairing of rows with columns that costs least.
 * @module
 */
import type { Matrix } from "../numeric/matrix.ts";

/**
 * For each row of a square matrix of costs its column, each column once, with the least sum.
 *
 * Source: Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems",
 * Computing 38 (1987); here without its initialisation, in O(n³).
 *
 * @throws RangeError unless the matrix is square
 */
export function assign({ rows, columns, values }: Matrix): Uint32Array {
  if (rows !== columns) throw new RangeError(`assign: expected a square matrix, got ${rows} x ${columns}.`);
  const rowPrice = new Float64Array(rows);
  const columnPrice = new Float64Array(columns);
  const rowOfColumn = new Int32Array(columns).fill(-1);
  const columnOfRow = new Uint32Array(rows);
  for (let start = 0; start < rows; start += 1) {
    const distance = new Float64Array(columns).fill(Infinity);
    const via = new Int32Array(columns).fill(-1); // the column before, on the way from `start`; -1 directly
    const done = new Uint8Array(columns);
    let row = start;
    let base = 0;
    let last = -1;
    let end = -1;
    while (end < 0) {
      let nearest = -1;
      for (let column = 0; column < columns; column += 1) {
        if (done[column] === 1) continue;
        const reduced = (values[row * columns + column] as number) - (rowPrice[row] as number) - (columnPrice[column] as number);
        if (base + reduced < (distance[column] as number)) {
          distance[column] = base + reduced;
          via[column] = last;
        }
        if (nearest < 0 || (distance[column] as number) < (distance[nearest] as number)) nearest = column;
      }
      done[nearest] = 1;
      base = distance[nearest] as number;
      last = nearest;
      if (rowOfColumn[nearest] === -1) end = nearest;
      else row = rowOfColumn[nearest] as number;
    }
    rowPrice[start]! += base;
    for (let column = 0; column < columns; column += 1) {
      if (done[column] === 0 || column === end) continue;
      const slack = base - (distance[column] as number);
      columnPrice[column]! -= slack;
      rowPrice[rowOfColumn[column] as number]! += slack;
    }
    for (let column = end; column >= 0;) {
      const before = via[column] as number;
      const owner = before < 0 ? start : (rowOfColumn[before] as number);
      rowOfColumn[column] = owner;
      columnOfRow[owner] = column;
      column = before;
    }
  }
  return columnOfRow;
}
