/**
 * What one layer hands to the next while a program is written.
 * @module
 */
import type { Layer } from "../layer.ts";
import type { Layout } from "./layout.ts";

export interface Features {
  /** One register for each ciphertext of the layout. */
  readonly registers: readonly number[];
  readonly layout: Layout;
  /** A feature is its slot times this: what comes next takes it into its constants, and at the end the client does. */
  readonly factor: number;
}

/** A gain beyond this, or below its inverse, would cost more precision than it saves. */
const LARGEST_GAIN = 16;

/**
 * What the results of a layer are multiplied with, so that the polynomial after it begins with a coefficient of 1 or -1:
 * |c|^(1/n) for c x^n. It saves a polynomial one product with a constant.
 */
export function gainBefore(next: Layer | undefined): number {
  if (next?.kind !== "polynomial") return 1;
  const degree = degreeOf(next.coefficients);
  const gain = degree < 2 ? 1 : Math.abs(next.coefficients[degree] ?? 1) ** (1 / degree);
  return gain <= LARGEST_GAIN && gain >= 1 / LARGEST_GAIN ? gain : 1;
}

/** Index of the last coefficient that is not zero. */
export function degreeOf(coefficients: readonly number[]): number {
  return Math.max(
    0,
    coefficients.findLastIndex((coefficient) => coefficient !== 0),
  );
}
