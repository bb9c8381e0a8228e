/**
 * Nearest neighbours among the rows of two matrices: the step in which an attacker pairs what belongs together.
 * @module
 */
import { principalDirections } from "./decompose.ts";
import { meanRow, rowOf, subtractRow, type Matrix } from "./matrix.ts";
import { eachPanelOfProduct, multiply } from "./multiply.ts";

/** Products above which candidates are first chosen in few dimensions. */
const DIRECT_PRODUCTS = 3e10;
/** Dimensions and candidates of that choice. */
const SKETCH = 32;
const SHORTLIST = 48;

/** For each row of `from`, the `count` nearest rows of `among` by Euclidean distance, nearest first. */
export interface Neighbours {
  readonly count: number;
  /** (rows, count); -1 where `among` has fewer rows. */
  readonly indices: Int32Array;
  /** Squared distances, alike. */
  readonly squares: Float64Array;
}

/**
 * Nearest rows. Distances of those returned are computed directly, so that equal rows have distance 0.
 *
 * @param onProgress called with a share 0..1
 * @throws RangeError where the widths differ
 */
export function nearest(from: Matrix, among: Matrix, count: number, onProgress?: (share: number) => void): Neighbours {
  if (from.columns !== among.columns) throw new RangeError(`nearest: expected rows of ${from.columns} numbers, got ${among.columns}.`);
  const large = from.rows * among.rows * from.columns > DIRECT_PRODUCTS && from.columns > SKETCH;
  const [a, b] = large ? sketch(from, among) : [from, among];
  const list = shortlist(a, b, Math.min(among.rows, Math.max(count, large ? SHORTLIST : count + 4)), onProgress);
  return rank(from, among, list, count);
}

/** Both in the coordinates in which `among` varies most. */
function sketch(from: Matrix, among: Matrix): [Matrix, Matrix] {
  const mean = meanRow(among);
  const centred = subtractRow(among, mean);
  const directions = principalDirections(centred, SKETCH);
  return [multiply(subtractRow(from, mean), directions), multiply(centred, directions)];
}

/** (rows, size) candidates by ‖b‖² - 2 a·b, unordered. */
function shortlist(a: Matrix, b: Matrix, size: number, onProgress?: (share: number) => void): Int32Array {
  const squares = Float64Array.from({ length: b.rows }, (_, i) => rowOf(b, i).reduce((sum, value) => sum + value * value, 0));
  const indices = new Int32Array(a.rows * size).fill(-1);
  const costs = new Float64Array(a.rows * size).fill(Infinity);
  const worst = new Float64Array(a.rows).fill(Infinity);
  const worstAt = new Int32Array(a.rows);
  let seen = 0;
  eachPanelOfProduct(a, b, (row, column, panel, rows, columns, pitch) => {
    for (let i = 0; i < rows; i += 1) {
      const start = (row + i) * size;
      let limit = worst[row + i] as number;
      for (let j = 0; j < columns; j += 1) {
        const cost = (squares[column + j] as number) - 2 * (panel[i * pitch + j] as number);
        if (cost >= limit) continue;
        const at = start + (worstAt[row + i] as number);
        costs[at] = cost;
        indices[at] = column + j;
        // The next to be thrown out.
        let next = 0;
        for (let k = 1; k < size; k += 1) if ((costs[start + k] as number) > (costs[start + next] as number)) next = k;
        worstAt[row + i] = next;
        limit = worst[row + i] = costs[start + next] as number;
      }
    }
    seen += rows * columns;
    onProgress?.(seen / (a.rows * b.rows));
  });
  return indices;
}

function rank(from: Matrix, among: Matrix, list: Int32Array, count: number): Neighbours {
  const size = list.length / from.rows;
  const indices = new Int32Array(from.rows * count).fill(-1);
  const squares = new Float64Array(from.rows * count).fill(Infinity);
  for (let i = 0; i < from.rows; i += 1) {
    const row = rowOf(from, i);
    const ranked = Array.from(list.subarray(i * size, (i + 1) * size))
      .filter((index) => index >= 0)
      .map((index) => ({ index, square: squaredDistance(row, rowOf(among, index)) }))
      .toSorted((p, q) => p.square - q.square || p.index - q.index);
    for (let k = 0; k < Math.min(count, ranked.length); k += 1) {
      indices[i * count + k] = ranked[k]!.index;
      squares[i * count + k] = ranked[k]!.square;
    }
  }
  return { count, indices, squares };
}

function squaredDistance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k += 1) sum += ((a[k] as number) - (b[k] as number)) ** 2;
  return sum;
}

/**
 * A number for each row: rows nearer to each other than `tolerance` of the mean row length share it, so that no attack on
 * these rows can tell them apart. Chains of near rows count as one.
 */
export function classesOfRows(of: Matrix, tolerance: number): Uint32Array {
  const { count, indices, squares } = nearest(of, of, Math.min(8, of.rows));
  let scale = 0;
  for (const value of of.values) scale += value * value;
  const limit = (tolerance * Math.sqrt(scale / of.rows)) ** 2;
  const parent = Uint32Array.from({ length: of.rows }, (_, i) => i);
  const find = (i: number): number => {
    let root = i;
    while (parent[root] !== root) root = parent[root] as number;
    parent[i] = root;
    return root;
  };
  for (let i = 0; i < of.rows; i += 1)
    for (let k = 0; k < count; k += 1) {
      const j = indices[i * count + k] as number;
      if (j >= 0 && (squares[i * count + k] as number) <= limit) parent[find(i)] = find(j);
    }
  return parent.map((_, i) => find(i));
}
