/**
 * Whether a product W x is right, at the price of two scalar products: Freivalds' check (R. Freivalds, "Probabilistic machines can use
 * less running time", 1977) over p = 2^61 - 1.
 *
 * The client keeps, for each limb of a layer, a secret v uniform in F_p^out and u = v W. A right y = W x satisfies v · y = u · x. For a
 * wrong one, every number of y - W x is below p in magnitude and one is not zero, so v · (y - W x) is uniform in F_p: a wrong row passes
 * with probability 1/p. v serves again and again, and a server learns only that it has not been caught yet: of n rows checked, a wrong
 * one passes with probability n/p at most.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { drawVector, firstWrongRow, projectWeights } from "./field.ts";

/** The secret of one limb of one layer: v (out) and u = v W mod p (in). */
export interface Projection {
  readonly v: BigUint64Array;
  readonly u: BigUint64Array;
}

/** By the limb's name (`limbName`). */
export type Projections = ReadonlyMap<string, Projection>;

/**
 * Draws v and computes u, before the weights go to the servers.
 *
 * @param weights (out, in), row-major
 * @param random fills bytes at random; `randomFillSync` of node:crypto outside tests
 * @throws UnseenError INTERNAL for weights of another shape
 */
export function makeProjection(weights: Int8Array, out: number, inputs: number, random: (bytes: Uint8Array) => unknown): Projection {
  if (weights.length !== out * inputs)
    throw new UnseenError("INTERNAL", `expected ${out} x ${inputs} weights to project, got ${weights.length}.`);
  const v = drawVector(out, random);
  return { v, u: projectWeights(v, weights, out, inputs) };
}

/** Whether products (count, out) of rows (count, in) are W x, each row but for a chance of 1/p. @throws UnseenError INTERNAL for other shapes */
export function checkProducts(projection: Projection, rows: Int32Array, products: Int32Array, count: number): boolean {
  checkShapes(projection, rows.length, products.length, count);
  return firstWrongRow(projection.v, projection.u, rows, products, count) === -1;
}

/**
 * Whether numbers (count, out) are the exact products of a share (count, in) of u32. A number beyond what int8 weights can reach is
 * wrong whatever its residue: in 64 bits there is room for several with the same.
 *
 * @throws UnseenError INTERNAL for other shapes
 */
export function checkExactProducts(projection: Projection, share: Uint32Array, products: BigInt64Array, count: number): boolean {
  checkShapes(projection, share.length, products.length, count);
  const largest = BigInt(projection.u.length) << 39n; // in * 2^7 * 2^32, below p / 2 for the widest layer
  if (products.some((product) => product > largest || product < -largest)) return false;
  return firstWrongRow(projection.v, projection.u, share, products, count) === -1;
}

function checkShapes({ v, u }: Projection, rows: number, products: number, count: number): void {
  if (rows !== count * u.length || products !== count * v.length)
    throw new UnseenError(
      "INTERNAL",
      `expected ${count} rows of ${u.length} with ${count} of ${v.length} to check, got ${rows} and ${products}.`,
    );
}
