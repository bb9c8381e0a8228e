/**
 * Finds the secret map between two clouds of vectors: with pairs of known points, and without any from how the clouds are spread.
 * @module
 */
import { procrustes, symmetricEigen } from "../numeric/decompose.ts";
import { matrix, meanRow, rowNorms, rowOf, subtractRow, takeRows, type Matrix } from "../numeric/matrix.ts";
import { multiply, multiplyFirstTransposed, multiplyTransposed } from "../numeric/multiply.ts";
import { nearest } from "../numeric/nearest.ts";
import { alignCoordinates, pairCoordinates } from "./coordinates.ts";

/** A permutation of coordinates explains pairs where what it leaves is below this share of them: rounding is, chance is not. */
const EXPLAINED = 0.02;
/** Rounds of pairing points that are each other's nearest and turning one cloud onto the other. */
const ROUNDS = 10;

/**
 * The map R for which X R is nearest to Y, points corresponding: a signed permutation if one explains them, else orthogonal.
 * `(n, d)` each -> `(d, d)`.
 */
export function alignPairs(x: Matrix, y: Matrix): Matrix {
  const coordinates = pairCoordinates(x, y);
  return distance(multiply(x, coordinates), y) < EXPLAINED * distance(y, matrix(y.rows, y.columns)) ? coordinates : procrustes(x, y);
}

/**
 * The map R that lays one cloud over another of the same kind, whose points need not correspond: `(n, d)`, `(m, d)` -> `(d, d)`. Tries
 * signed permutations and principal axes, and keeps what brings points nearest that it did not look at pairwise.
 */
export function alignClouds(x: Matrix, y: Matrix): Matrix {
  const rows = Array.from({ length: x.rows }, (_, row) => row);
  const [seen, kept] = [0, 1].map((parity) => takeRows(x, rows.filter((row) => row % 2 === parity))) as [Matrix, Matrix]; // prettier-ignore
  const axes = alignAxes(x, y);
  const maps = [alignCoordinates(x, y, 1), alignCoordinates(x, y, -1), axes, followNearest(seen, y, axes)];
  const [best] = maps.map((map) => ({ map, gap: gapOf(multiply(kept, map), y) })).toSorted((p, q) => p.gap - q.gap);
  return best!.map;
}

/** Root mean square distance of each point to the nearest of another cloud. */
function gapOf(points: Matrix, cloud: Matrix): number {
  return Math.sqrt(nearest(points, cloud, 1).squares.reduce((sum, square) => sum + square, 0) / points.rows);
}

/** Principal axes onto principal axes, in the order of their variances; third moments and means tell each axis's direction. */
function alignAxes(x: Matrix, y: Matrix): Matrix {
  const [from, to] = [axesOf(x), axesOf(y)];
  const signed = matrix(from.axes.rows, from.axes.columns, from.axes.values.slice());
  for (let k = 0; k < signed.columns; k += 1) {
    const agreement = (from.means[k] as number) * (to.means[k] as number) + ((from.skews[k] as number) * (to.skews[k] as number)) / 6;
    if (agreement < 0) for (let i = 0; i < signed.rows; i += 1) signed.values[i * signed.columns + k]! *= -1;
  }
  return multiplyTransposed(signed, to.axes);
}

interface Axes {
  readonly axes: Matrix; // (d, d), a column each
  /** In units of the axis's deviation. */
  readonly means: Float64Array;
  readonly skews: Float64Array;
}

function axesOf(of: Matrix): Axes {
  const mean = meanRow(of);
  const centred = subtractRow(of, mean);
  const { values, vectors: axes } = symmetricEigen(multiplyFirstTransposed(centred, centred));
  const deviations = values.map((value) => Math.sqrt(Math.max(value, 0) / of.rows) + Number.MIN_VALUE);
  const projected = multiply(centred, axes);
  const skews = new Float64Array(axes.columns);
  for (let row = 0; row < of.rows; row += 1)
    for (const [k, value] of rowOf(projected, row).entries()) skews[k]! += (value / (deviations[k] as number)) ** 3 / of.rows;
  const means = multiply(matrix(1, mean.length, mean), axes).values.map((value, k) => value / (deviations[k] as number));
  return { axes, means, skews };
}

/** Pairs points that are each other's nearest under the map so far, and fits the map to the pairs, again and again. */
function followNearest(x: Matrix, y: Matrix, start: Matrix): Matrix {
  let map = start;
  for (let round = 0; round < ROUNDS; round += 1) {
    const mapped = multiply(x, map);
    const [there, back] = [nearest(mapped, y, 1).indices, nearest(y, mapped, 1).indices];
    const mutual = Array.from({ length: x.rows }, (_, row) => row).filter((row) => back[there[row] as number] === row);
    if (mutual.length === 0) break;
    map = procrustes(takeRows(x, mutual), takeRows(y, mutual.map((row) => there[row] as number))); // prettier-ignore
  }
  return map;
}

/** Root mean square distance of corresponding points. */
function distance(a: Matrix, b: Matrix): number {
  const norms = rowNorms(matrix(a.rows, a.columns, a.values.map((value, at) => value - (b.values[at] as number)))); // prettier-ignore
  return Math.sqrt(norms.reduce((sum, norm) => sum + norm * norm, 0) / a.rows);
}
