/**
 * Matrices of float64, row-major.
 * @module
 */

/** `(rows, columns)` numbers, row-major. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

/** A matrix of zeros, or over given numbers. @throws RangeError where their count is another. */
export function matrix(rows: number, columns: number, values: Float64Array = new Float64Array(rows * columns)): Matrix {
  if (values.length !== rows * columns) throw new RangeError(`matrix: expected ${rows} x ${columns} numbers, got ${values.length}.`);
  return { rows, columns, values };
}

/** One row, as a view. */
export function rowOf({ values, columns }: Matrix, row: number): Float64Array {
  return values.subarray(row * columns, (row + 1) * columns);
}

/** Chosen rows in a given order, as a copy. */
export function takeRows(from: Matrix, rows: ArrayLike<number>): Matrix {
  const out = matrix(rows.length, from.columns);
  for (let i = 0; i < rows.length; i += 1) out.values.set(rowOf(from, rows[i] as number), i * from.columns);
  return out;
}

/** The transpose, as a copy. */
export function transpose({ rows, columns, values }: Matrix): Matrix {
  const out = new Float64Array(values.length);
  for (let i = 0; i < rows; i += 1) for (let j = 0; j < columns; j += 1) out[j * rows + i] = values[i * columns + j] as number;
  return matrix(columns, rows, out);
}

/** Each row less its own mean. */
export function centreRows(from: Matrix): Matrix {
  const out = matrix(from.rows, from.columns, from.values.slice());
  for (let i = 0; i < out.rows; i += 1) {
    const row = rowOf(out, i);
    let mean = 0;
    for (const value of row) mean += value / row.length;
    for (let k = 0; k < row.length; k += 1) row[k]! -= mean;
  }
  return out;
}

/** The mean of all rows: `(columns)`. */
export function meanRow(from: Matrix): Float64Array {
  const mean = new Float64Array(from.columns);
  for (let i = 0; i < from.rows; i += 1) for (let k = 0; k < from.columns; k += 1) mean[k]! += from.values[i * from.columns + k] as number;
  return mean.map((sum) => sum / from.rows);
}

/** Each row less a given one. */
export function subtractRow(from: Matrix, row: Float64Array): Matrix {
  return matrix(
    from.rows,
    from.columns,
    from.values.map((value, at) => value - (row[at % from.columns] as number)),
  );
}

/** Euclidean length of each row: `(rows)`. */
export function rowNorms(from: Matrix): Float64Array {
  return Float64Array.from({ length: from.rows }, (_, i) => {
    let square = 0;
    for (const value of rowOf(from, i)) square += value * value;
    return Math.sqrt(square);
  });
}

/** Numbers of each row in descending order, in place; what is left of a row when its columns may have been permuted. */
export function sortRows(of: Matrix): Matrix {
  for (let i = 0; i < of.rows; i += 1) rowOf(of, i).sort().reverse();
  return of;
}
