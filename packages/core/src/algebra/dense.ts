/**
 * Small dense matrices: the maps of one attention head where no rotary embedding restricts them, and the odd part of rotations.
 * @module
 */
import { Chain } from "./chain.ts";
import type { Element } from "./element.ts";
import { drawScale } from "./monomial.ts";
import { multiplyDense } from "./panel-operations.ts";
import type { RandomStream } from "./random.ts";

/** Any invertible matrix T `(size, size)`, row-major; v -> v·T. Block = size. */
export class Dense implements Element {
  readonly size: number;
  readonly block: number;
  readonly matrix: Float64Array;
  #inverse: Float64Array | null;

  /**
   * @param inverse T^-1 where the caller knows it; else it is computed when first needed.
   * @throws RangeError unless the matrix has size² entries.
   */
  constructor(size: number, matrix: Float64Array, inverse?: Float64Array) {
    if (matrix.length !== size * size) throw new RangeError(`dense matrix: expected ${size * size} numbers, got ${matrix.length}.`);
    this.size = size;
    this.block = size;
    this.matrix = matrix;
    this.#inverse = inverse ?? null;
  }

  source(): number {
    return 0;
  }

  applyBlock(_k: number, panel: Float64Array, width: number): void {
    this.apply(panel, width);
  }

  apply(panel: Float64Array, width: number): void {
    multiplyDense(panel, this.size, width, this.matrix);
  }

  /** T^-1, row-major. @throws RangeError if the matrix is singular. */
  inverseMatrix(): Float64Array {
    this.#inverse ??= invert(this.size, this.matrix);
    return this.#inverse;
  }

  inverse(): Dense {
    return new Dense(this.size, this.inverseMatrix(), this.matrix);
  }

  inverseTranspose(): Dense {
    return new Dense(this.size, transpose(this.size, this.inverseMatrix()), transpose(this.size, this.matrix));
  }

  compose(next: Element): Element {
    if (!(next instanceof Dense) || next.size !== this.size) return Chain.of(this, next);
    const inverse = multiply(this.size, next.inverseMatrix(), this.inverseMatrix());
    return new Dense(this.size, multiply(this.size, this.matrix, next.matrix), inverse);
  }
}

/**
 * An orthogonal matrix, uniform (Haar) on O(n): the Q of a Gaussian matrix with the signs of R's diagonal made positive
 * (Mezzadri 2007). O(n³).
 */
export function haarOrthogonal(random: RandomStream, n: number): Dense {
  const matrix = haarMatrix(random, n);
  return new Dense(n, matrix, transpose(n, matrix));
}

/** A Haar rotation, scales in [1/2, 2], another Haar rotation: condition number at most 4, so bf16 keeps its precision. */
export function wellConditioned(random: RandomStream, n: number): Dense {
  const left = haarMatrix(random, n);
  const scale = Float64Array.from({ length: n }, () => drawScale(random));
  const right = haarMatrix(random, n);
  // T = L·S·R and T^-1 = Rᵀ·S^-1·Lᵀ, both without a numerical inversion.
  const stretched = left.map((value, at) => value * scale[at % n]!);
  const shrunk = left.map((value, at) => value / scale[at % n]!);
  return new Dense(n, multiply(n, stretched, right), transpose(n, multiply(n, shrunk, right)));
}

function haarMatrix(random: RandomStream, n: number): Float64Array {
  const gaussian = new Float64Array(n * n);
  for (let i = 0; i < gaussian.length; i++) gaussian[i] = random.gaussian();
  // Householder reflections from the right reduce the Gaussian matrix row by row to a triangle; their product is Q.
  const q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) q[i * n + i] = 1;
  for (let k = 0; k < n; k++) {
    // v = the tail of row k of the reduced matrix, made to point along coordinate k.
    const row = gaussian.subarray(k * n, (k + 1) * n);
    let square = 0;
    for (let i = k; i < n; i++) square += row[i]! * row[i]!;
    const norm = Math.sqrt(square);
    const sign = row[k]! < 0 ? -1 : 1;
    const normal = new Float64Array(n);
    normal.set(row.subarray(k), k);
    normal[k] = normal[k]! + sign * norm;
    let length = 0;
    for (let i = k; i < n; i++) length += normal[i]! * normal[i]!;
    if (length === 0) continue;
    for (let r = k + 1; r < n; r++) reflectRow(gaussian.subarray(r * n, (r + 1) * n), normal, k, 2 / length);
    for (let r = 0; r < n; r++) reflectRow(q.subarray(r * n, (r + 1) * n), normal, k, 2 / length);
    // The reflection left -sign·norm on the diagonal; flip this axis of Q so that the diagonal would be positive.
    if (sign > 0) for (let r = 0; r < n; r++) q[r * n + k] = -q[r * n + k]!;
  }
  return q;
}

function reflectRow(row: Float64Array, normal: Float64Array, from: number, factor: number): void {
  let dot = 0;
  for (let i = from; i < row.length; i++) dot += row[i]! * normal[i]!;
  dot *= factor;
  for (let i = from; i < row.length; i++) row[i] = row[i]! - dot * normal[i]!;
}

function multiply(n: number, a: Float64Array, b: Float64Array): Float64Array {
  const product = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      const factor = a[i * n + k]!;
      for (let j = 0; j < n; j++) product[i * n + j] = product[i * n + j]! + factor * b[k * n + j]!;
    }
  }
  return product;
}

function transpose(n: number, matrix: Float64Array): Float64Array {
  const result = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) result[j * n + i] = matrix[i * n + j]!;
  return result;
}

/** Gauss-Jordan with partial pivoting. */
function invert(n: number, matrix: Float64Array): Float64Array {
  const left = Float64Array.from(matrix);
  const right = new Float64Array(n * n);
  for (let i = 0; i < n; i++) right[i * n + i] = 1;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let r = k + 1; r < n; r++) if (Math.abs(left[r * n + k]!) > Math.abs(left[pivot * n + k]!)) pivot = r;
    const value = left[pivot * n + k]!;
    if (value === 0 || !Number.isFinite(value)) throw new RangeError("dense matrix: expected an invertible matrix, got a singular one.");
    for (const half of [left, right]) {
      for (let c = 0; c < n; c++) {
        const above = half[k * n + c]!;
        half[k * n + c] = half[pivot * n + c]! / value;
        if (pivot !== k) half[pivot * n + c] = above;
      }
    }
    for (let r = 0; r < n; r++) {
      const factor = left[r * n + k]!;
      if (r === k || factor === 0) continue;
      for (const half of [left, right]) for (let c = 0; c < n; c++) half[r * n + c] = half[r * n + c]! - factor * half[k * n + c]!;
    }
  }
  return right;
}
