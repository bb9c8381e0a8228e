/**
 * Finds a map that permutes coordinates and may flip them all: what a post-norm encoder's stream keeps of a key
 * (docs/reference/groups.md). From two clouds of different points it takes which coordinates vary how, and together.
 * @module
 */
import { matrix, meanRow, rowOf, subtractRow, transpose, type Matrix } from "../numeric/matrix.ts";
import { multiply, multiplyFirstTransposed } from "../numeric/multiply.ts";
import { assign } from "./assignment.ts";

/** Temperatures of the annealing, in units of a cost's standard deviation: from blurred to sharp. */
const HOT = 40;
const COLD = 1;
const COOLING = 0.85;
const STEPS = 4;
/** Passes that make rows and columns sum to 1 (Sinkhorn). */
const PASSES = 40;
/** Rounds of hard assignment at the end, at most. */
const ROUNDS = 20;
/** Deviations below this share of the root mean square one are taken for constant. */
const CONSTANT = 1e-3;

/** What a cloud says of its coordinates. */
interface Moments {
  readonly means: Float64Array; // (d)
  readonly deviations: Float64Array; // (d)
  /** Correlations, the diagonal zero: `(d, d)`. */
  readonly correlations: Matrix;
}

/**
 * The signed permutation R, one sign for all, that makes `x` R look like a sample of what `y` is a sample of: `(n, d)`, `(m, d)` ->
 * `(d, d)`. The points need not correspond.
 *
 * Source: Gold and Rangarajan, "A graduated assignment algorithm for graph matching", IEEE PAMI 18 (1996), on correlations, with
 * means and deviations as each coordinate's own evidence.
 *
 * @param sign that of the map; the caller compares the two
 */
export function alignCoordinates(x: Matrix, y: Matrix, sign: 1 | -1): Matrix {
  const d = y.columns;
  const [from, to] = [moments(x), moments(y)];
  const variance = 1 / x.rows + 1 / y.rows; // of a difference of two samples' correlations, about
  const own = matrix(d, d); // row: coordinate of y, column: of x
  for (let i = 0; i < d; i += 1) {
    for (let j = 0; j < d; j += 1) {
      const [a, b] = [to.deviations[i] as number, from.deviations[j] as number];
      const shift = ((to.means[i] as number) - sign * (from.means[j] as number)) ** 2 / ((a * a + b * b) / 2);
      own.values[i * d + j] = (shift + 2 * Math.log(a / b) ** 2) / variance;
    }
  }
  let soft = doublyStochastic(own, HOT / 2);
  const hard = (): Uint32Array => assign({ ...soft, values: soft.values.map((share) => -share) });
  for (let temperature = HOT; temperature > COLD; temperature *= COOLING)
    for (let step = 0; step < STEPS; step += 1) soft = doublyStochastic(costs(own, from, to, soft, variance), temperature);
  let found = hard();
  for (let round = 0; round < ROUNDS; round += 1) {
    const next = assign(costs(own, from, to, permutationMatrix(found, 1), variance));
    if (next.every((column, row) => column === found[row])) break;
    found = next;
  }
  return transpose(permutationMatrix(found, sign));
}

/**
 * The signed permutation R, one sign for all, with the least ‖X R - Y‖ for points that correspond: `(n, d)` each -> `(d, d)`. One pair
 * is enough where coordinates differ by more than rounding.
 */
export function pairCoordinates(x: Matrix, y: Matrix): Matrix {
  const d = y.columns;
  const squares = (of: Matrix): Float64Array => {
    const sums = new Float64Array(d);
    for (let i = 0; i < of.rows; i += 1) for (const [k, value] of rowOf(of, i).entries()) sums[k]! += value * value;
    return sums;
  };
  const [a, b, products] = [squares(y), squares(x), multiplyFirstTransposed(y, x)];
  const [best] = ([1, -1] as const)
    .map((sign) => {
      const cost = matrix(d, d);
      for (let i = 0; i < d; i += 1)
        for (let j = 0; j < d; j += 1)
          cost.values[i * d + j] = (a[i] as number) + (b[j] as number) - 2 * sign * (products.values[i * d + j] as number);
      const found = assign(cost);
      const total = found.reduce((sum, column, row) => sum + (cost.values[row * d + column] as number), 0);
      return { map: transpose(permutationMatrix(found, sign)), total };
    })
    .toSorted((p, q) => p.total - q.total);
  return best!.map;
}

function moments(of: Matrix): Moments {
  const { columns: d, rows } = of;
  const means = meanRow(of);
  const centred = subtractRow(of, means);
  const covariance = multiplyFirstTransposed(centred, centred);
  let mean = 0;
  for (let k = 0; k < d; k += 1) mean += (covariance.values[k * d + k] as number) / rows / d;
  const deviations = Float64Array.from({ length: d }, (_, k) =>
    Math.sqrt((covariance.values[k * d + k] as number) / rows + CONSTANT ** 2 * mean + Number.MIN_VALUE),
  );
  const correlations = matrix(d, d);
  for (let i = 0; i < d; i += 1)
    for (let j = 0; j < d; j += 1)
      if (i !== j)
        correlations.values[i * d + j] =
          (covariance.values[i * d + j] as number) / rows / ((deviations[i] as number) * (deviations[j] as number));
  return { means, deviations, correlations };
}

/** What it costs to pair coordinate i of y with j of x while all others are paired as `pairing` says: (d, d). */
function costs(own: Matrix, from: Moments, to: Moments, pairing: Matrix, variance: number): Matrix {
  const d = own.rows;
  const energy = ({ correlations }: Moments): Float64Array =>
    Float64Array.from({ length: d }, (_, i) => rowOf(correlations, i).reduce((sum, value) => sum + value * value, 0));
  const [ofTo, ofFrom] = [energy(to), energy(from)];
  const agreement = multiply(multiply(to.correlations, pairing), from.correlations);
  const out = matrix(d, d);
  for (let i = 0; i < d; i += 1)
    for (let j = 0; j < d; j += 1) {
      const at = i * d + j;
      const difference = (ofTo[i] as number) + (ofFrom[j] as number) - 2 * (agreement.values[at] as number);
      out.values[at] = (own.values[at] as number) + difference / variance;
    }
  return out;
}

/** Shares that fall with the cost, exp(-cost / 2t), every row and column of which sums to 1: (d, d). */
function doublyStochastic(cost: Matrix, temperature: number): Matrix {
  const d = cost.rows;
  // Least costs are taken off first, so that no row and no column vanishes.
  const shares = transpose(lessLeast(transpose(lessLeast(cost))));
  const { values } = shares;
  for (let at = 0; at < values.length; at += 1) values[at] = Math.exp(-(values[at] as number) / (2 * temperature)) + 1e-12;
  const sums = new Float64Array(d);
  for (let pass = 0; pass < PASSES; pass += 1) {
    sums.fill(0);
    for (let i = 0; i < d; i += 1) {
      const row = rowOf(shares, i);
      let total = 0;
      for (let j = 0; j < d; j += 1) total += row[j] as number;
      for (let j = 0; j < d; j += 1) sums[j]! += row[j]! /= total;
    }
    for (let i = 0; i < d; i += 1) {
      const row = rowOf(shares, i);
      for (let j = 0; j < d; j += 1) row[j]! /= sums[j] as number;
    }
  }
  return shares;
}

/** Each row less its least number. */
function lessLeast(of: Matrix): Matrix {
  const out = matrix(of.rows, of.columns, of.values.slice());
  for (let i = 0; i < out.rows; i += 1) {
    const row = rowOf(out, i);
    let least = Infinity;
    for (let j = 0; j < row.length; j += 1) least = Math.min(least, row[j] as number);
    for (let j = 0; j < row.length; j += 1) row[j]! -= least;
  }
  return out;
}

/** Row i has its number in the column that it is assigned to. */
function permutationMatrix(columns: Uint32Array, value: number): Matrix {
  const out = matrix(columns.length, columns.length);
  for (const [row, column] of columns.entries()) out.values[row * out.columns + column] = value;
  return out;
}
