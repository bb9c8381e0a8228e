/**
 * The directions in which features vary most, and linear maps from them: cheap for any number of features.
 * @module
 */
import { symmetricEigen } from "../../numeric/decompose.ts";
import { matrix, meanRow, subtractRow, type Matrix } from "../../numeric/matrix.ts";
import { multiply, multiplyFirstTransposed } from "../../numeric/multiply.ts";
import { seeded } from "../../seed.ts";
import { columnMeans, type Examples } from "./inverter.ts";

/** Numbers per row that directions are sought among; of more, runs are averaged first. */
const MOST_NUMBERS = 8192;
/** Passes over the rows. */
const PASSES = 3;
/** Share of the largest variance below which a direction is rounding. */
const VANISHING = 1e-12;

/** Principal components of features before the obfuscation. */
export class Components {
  /** Scores of the features that the components are made of, before and after the obfuscation: (count, components). */
  readonly clean: Matrix;
  readonly observed: Matrix;
  readonly #run: number;
  readonly #mean: Float64Array;
  readonly #directions: Matrix;

  /** @param most directions to keep */
  constructor({ clean, features, count }: Examples, most: number) {
    this.#run = Math.ceil(clean.length / count / MOST_NUMBERS);
    const short = this.#shorten(clean, count);
    this.#mean = columnMeans(short, count);
    this.#directions = directionsOf(this.#centre(short, count), most);
    this.clean = this.scores(clean, count);
    this.observed = this.scores(features, count);
  }

  /** (count, components); columns of `clean` are orthogonal. */
  scores(rows: Float32Array, count: number): Matrix {
    return multiply(this.#centre(this.#shorten(rows, count), count), this.#directions);
  }

  #shorten(rows: Float32Array, count: number): Float32Array {
    if (this.#run === 1) return rows;
    const size = rows.length / count;
    const left = Math.ceil(size / this.#run);
    const out = new Float32Array(count * left);
    for (let row = 0; row < count; row += 1)
      for (let k = 0; k < size; k += 1) out[row * left + Math.floor(k / this.#run)]! += (rows[row * size + k] as number) / this.#run;
    return out;
  }

  #centre(rows: Float32Array, count: number): Matrix {
    const out = matrix(count, this.#mean.length);
    for (let row = 0, at = 0; row < count; row += 1)
      for (let k = 0; k < out.columns; k += 1, at += 1) out.values[at] = (rows[at] as number) - (this.#mean[k] as number);
    return out;
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
 * The best linear map from what is observed to centred targets `(n, m)`, by ridge regression on principal components.
 *
 * An attacker who can compute the features before the noise learns from those, and takes from the noisy ones only how much of each
 * component is noise (Wiener's filter): noise in the training data would cost a decibel or two.
 */
export class LinearReader {
  readonly #components: Components;
  readonly #mean: Float64Array;
  readonly #map: Matrix;

  /** @param lambda a larger one trusts less what varies little; above 0 */
  constructor(components: Components, targets: Matrix, lambda: number) {
    this.#components = components;
    this.#mean = columnMeans(components.observed.values, components.observed.rows);
    const [truth, observed] = [subtractRow(components.clean, meanRow(components.clean)), subtractRow(components.observed, this.#mean)];
    const products = multiplyFirstTransposed(truth, targets);
    const power = columnProducts(truth, truth);
    const noisy = columnProducts(observed, observed);
    // What clipping and left-out channels leave of each component.
    const gain = columnProducts(observed, truth).map((product, k) => product / ((power[k] as number) + 1e-300));
    const shift = (lambda * noisy.reduce((sum, value) => sum + value, 0)) / noisy.length + 1e-300;
    const factor = noisy.map((value, k) => (gain[k] as number) / (value + shift));
    this.#map = matrix(
      products.rows,
      products.columns,
      products.values.map((value, at) => value * (factor[Math.floor(at / products.columns)] as number)),
    );
  }

  /** Features of `count` pictures -> `(count, m)`. */
  read(features: Float32Array, count: number): Matrix {
    const scores = this.#components.scores(features, count);
    for (let at = 0; at < scores.values.length; at += 1) scores.values[at]! -= this.#mean[at % scores.columns] as number;
    return multiply(scores, this.#map);
  }
}

function columnProducts(left: Matrix, right: Matrix): Float64Array {
  const sums = new Float64Array(left.columns);
  for (let at = 0; at < left.values.length; at += 1) sums[at % left.columns]! += (left.values[at] as number) * (right.values[at] as number);
  return sums;
}
