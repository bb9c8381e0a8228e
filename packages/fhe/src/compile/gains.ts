/**
 * What the results of each layer are multiplied with, so that numbers stay where ciphertext is precise and does not overflow.
 *
 * A slot holds magnitudes below 2^8 at the last level. How large features get is tried on two pictures: a white one and one of
 * noise. Client and evaluator come to the same gains, because they do the same arithmetic on the same weights.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { runClear } from "../graph/run-clear.ts";
import { sizeOf, type Head, type Layer } from "../layer.ts";
import { staysInside, windowsOf } from "./windows.ts";

/** A gain beyond this, or below its inverse, would cost a polynomial more precision than it saves. */
const LARGEST_GAIN = 16;
/** Magnitude that the tried pictures may reach: other pictures have room for sixteen times as much. */
const LARGEST_TRIED = 16;

/**
 * Gains for polynomials and pools alone: the results before c x^n + ... are multiplied with |c|^(1/n), so that it begins with a
 * coefficient of 1 or -1, which saves a product with a constant; those before a pool are divided by its area, because a pool
 * only sums.
 */
export function gainsForPolynomials({ layers }: Head): number[] {
  return layers.map((_, index) => {
    const { area, end } = poolsAfter(layers, index);
    return polynomialGain(layers[end]) / area;
  });
}

/**
 * Gains that also keep the tried pictures' features, and their polynomials, within 16.
 *
 * @throws UnseenError CUT_UNAVAILABLE for layers whose results are not finite
 */
export function gainsForRange(head: Head): number[] {
  const { layers } = head;
  const sizes = magnitudes(head);
  const sizeAt = (index: number): number => sizes[index] ?? 1;
  return layers.map((_, index) => {
    const { area, end } = poolsAfter(layers, index);
    const { degree, leading } = leadingTerm(layers[end]);
    const gain = polynomialGain(layers[end]);
    const limits = [(area * LARGEST_TRIED) / sizeAt(index), LARGEST_TRIED ** (1 / degree) / sizeAt(end - 1)];
    // A polynomial that begins with 1 or -1 is stored as value * gain^degree / leading, and summed by pools behind it.
    if (degree > 1 && gain === leading ** (1 / degree))
      limits.push(((LARGEST_TRIED * leading) / (sizeAt(end) * poolsAfter(layers, end).area)) ** (1 / degree));
    const largest = Math.min(...limits);
    // Powers of two, so that weights keep all their bits.
    return (largest < gain ? 2 ** Math.floor(Math.log2(largest)) : gain) / area;
  });
}

/** Index of the last coefficient that is not zero. */
export function degreeOf(coefficients: readonly number[]): number {
  return Math.max(
    0,
    coefficients.findLastIndex((coefficient) => coefficient !== 0),
  );
}

/**
 * Whether a pool can go without its division, and so without a product: no window reaches over the edge, and it does not stand
 * between two polynomials, where nothing else could scale its sums.
 */
export function isSum(layers: readonly Layer[], index: number): boolean {
  const layer = layers[index];
  if (layer?.kind !== "average-pool" || index === 0 || !staysInside(windowsOf(layer))) return false;
  const isOther = ({ kind }: Layer): boolean => kind !== "average-pool";
  const scaled = layers.slice(0, index).findLast(isOther)?.kind !== "polynomial";
  return scaled || layers.slice(index + 1).find(isOther)?.kind !== "polynomial";
}

/** The pools behind a layer that are written as sums: the product of their areas, and the index of the first layer behind them. */
function poolsAfter(layers: readonly Layer[], index: number): { readonly area: number; readonly end: number } {
  let [area, end] = [1, index + 1];
  for (let layer = layers[end]; layer?.kind === "average-pool" && isSum(layers, end); layer = layers[end]) {
    area *= layer.kernel[0] * layer.kernel[1];
    end += 1;
  }
  return { area, end };
}

function polynomialGain(layer: Layer | undefined): number {
  const { degree, leading } = leadingTerm(layer);
  const gain = leading ** (1 / degree);
  return gain <= LARGEST_GAIN && gain >= 1 / LARGEST_GAIN ? gain : 1;
}

/** Of a polynomial; (1, 1) for any other layer. */
function leadingTerm(layer: Layer | undefined): { readonly degree: number; readonly leading: number } {
  const degree = layer?.kind === "polynomial" ? degreeOf(layer.coefficients) : 1;
  return degree < 2 || layer?.kind !== "polynomial"
    ? { degree: 1, leading: 1 }
    : { degree, leading: Math.abs(layer.coefficients[degree] ?? 1) };
}

/** Largest magnitude of each layer's results for the tried pictures. */
function magnitudes(head: Head): number[] {
  let pictures = [new Float64Array(sizeOf(head.shape)).fill(1), noise(sizeOf(head.shape))];
  return head.layers.map((layer, index) => {
    const own: Head = index === 0 ? { ...head, layers: [layer] } : { ...head, shape: layer.input, normalise: null, layers: [layer] };
    pictures = pictures.map((picture) => runClear(own, picture));
    const size = Math.max(...pictures.map((picture) => picture.reduce((most, value) => Math.max(most, Math.abs(value)), 0)));
    if (!Number.isFinite(size))
      throw new UnseenError("CUT_UNAVAILABLE", `the results of ${layer.title} are not finite numbers.`, {
        hint: "Check the weights of the model.",
      });
    return size;
  });
}

/** Black and white, by a linear congruence (Numerical Recipes). */
function noise(size: number): Float64Array {
  let state = 1;
  return Float64Array.from({ length: size }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 31;
  });
}
