/**
 * The directions in which features vary most, and linear maps from them: cheap for any number of features.
 * @module
 */
import { symmetricEigen } from "../../numeric/decompose.ts";
import { matrix, type Matrix } from "../../numeric/matrix.ts";
import { multiply, multiplyFirstTransposed } from "../../numeric/multiply.ts";
import { seeded } from "../../seed.ts";
import { meanOf } from "./inverter.ts";

/** Directions that are kept. */
const MOST_COMPONENTS = 256;
/** Numbers per row that directions are sought among; of more, runs are averaged first. */
const MOST_NUMBERS = 8192;
/** Passes over the rows. */
const PASSES = 3;
/** Share of the largest variance below which a direction is rounding. */
const VANISHING = 1e-12;

/** Principal components of rows (count, size). */
export class Components {
  readonly #run: number;
  readonly #mean: Float64Array;
  readonly #directions: Matrix;

  constructor(rows: Float32Array, count: number) {
    this.#run = Math.ceil(rows.length / count / MOST_NUMBERS);
    const short = this.#shorten(rows, count);
    this.#mean = meanOf(short, count);
    this.#directions = directionsOf(this.#centre(short, count), MOST_COMPONENTS);
  }

  /** (count, components); of the rows that the components are made of, the columns are orthogonal. */
  scores(rows: Float32Array, count: number): Matrix {
    return multiply(this.#centre(this.#shorten(rows, count), count), this.#directions);
  }

  #shorten(rows: Float32Array, count: number): Float32Array {
    if (this.#run === 1) return rows;
    const size = rows.length / count;
    const left = Math.ceil(size / this.#run);
    const out = new Float32Array(count * left);
    for (let row = 0; row < count; row += 1)
      for (let k = 0; k < size; k += 1)
        out[row * left + Math.floor(k / this.#run)]! += (rows[row * size + k] as number) / this.#run;
    return out;
  }

  #centre(rows: Float32Array, count: number): Matrix {
    const size = this.#mean.length;
    return matrix(count, size, Float64Array.from(rows, (value, at) => value - (this.#mean[at % size] as number)));
  }
}

/**
 * Directions in which rows vary most, as columns, by subspace iteration; approximate. For thousands of features and hundreds of
 * directions this is ten times as fast as `principalDirections`, which keeps more digits than the noise leaves here.
 *
 * Source: Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 53 (2011).
 */
function directionsOf(rows: Matrix, most: number): Matrix {
  const random = seeded(1, "leak/components");
  const width = Math.min(rows.columns, rows.rows, most);
  let seen = matrix(
    rows.columns,
    width,
    Float64Array.from({ length: rows.columns * width }, () => random.gaussian()),
  );
  for (let pass = 0; pass < PASSES; pass += 1) {
    const images = whiten(multiply(rows, seen));
    seen = whiten(multiplyFirstTransposed(rows, images));
  }
  const images = multiply(rows, seen);
  return multiply(seen, symmetricEigen(multiplyFirstTransposed(images, images)).vectors);
}

/** The same span with orthonormal columns, without the directions that vanish in rounding. */
function whiten(of: Matrix): Matrix {
  const { values, vectors } = symmetricEigen(multiplyFirstTransposed(of, of));
  const kept = values.filter((value) => value > (values[0] as number) * VANISHING).length;
  const map = matrix(of.columns, Math.max(1, kept));
  for (let i = 0; i < of.columns; i += 1)
    for (let k = 0; k < kept; k += 1)
      map.values[i * map.columns + k] = (vectors.values[i * of.columns + k] as number) / Math.sqrt(values[k] as number);
  return multiply(of, map);
}

/**
 * The ridge regression from orthogonal scores to targets, `(n, k)`, `(n, m)` -> `(k, m)`, both centred; a small `lambda` trusts also
 * what varies little.
 */
export function ridgeOnScores(scores: Matrix, targets: Matrix, lambda: number): Matrix {
  const products = multiplyFirstTransposed(scores, targets);
  const squares = new Float64Array(scores.columns);
  for (let at = 0; at < scores.values.length; at += 1) squares[at % scores.columns]! += (scores.values[at] as number) ** 2;
  const shift = (lambda * squares.reduce((sum, square) => sum + square, 0)) / scores.columns + 1e-300;
  const values = products.values.map((value, at) => value / ((squares[Math.floor(at / products.columns)] as number) + shift));
  return matrix(products.rows, products.columns, values);
}
