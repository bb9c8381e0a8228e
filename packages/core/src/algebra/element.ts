/**
 * One element of the group of a space: an invertible linear map of row vectors, v -> v·T.
 *
 * Everything acts on **panels**: `panel` is `(size, width)`, row-major float64, and each of its
 * `width` columns is one vector. So a permutation moves whole panel rows and a butterfly adds them.
 * Whether the vectors were rows or columns of a weight matrix is the concern of `rewrite.ts` alone.
 * @module
 */

/** An invertible linear map of row vectors, v -> v·T with T `(size, size)`. Immutable. */
export interface Element {
  /** Length of the vectors. */
  readonly size: number;
  /**
   * Coordinates `[k·block, (k+1)·block)` of the result depend only on those of block `source(k)` of
   * the argument. 1 for permutations, the head size for maps inside heads, `size` for rotations.
   */
  readonly block: number;
  /** The block of the argument that block `k` of the result depends on. */
  source(k: number): number;
  /** Replaces a `(block, width)` panel holding block `source(k)` of the argument by block `k` of the result. */
  applyBlock(k: number, panel: Float64Array, width: number): void;
  /** Replaces a `(size, width)` panel by its image, in place. */
  apply(panel: Float64Array, width: number): void;
  /** T^-1. */
  inverse(): Element;
  /** T^-T: how an axis transforms that is read (contracted with a written one) instead of written. */
  inverseTranspose(): Element;
  /** First this, then `next`: v -> v·T·U. Stays in its own kind where that is closed. */
  compose(next: Element): Element;
}
