/**
 * Polynomials of a value with coefficients of their own in each channel: what element-wise operators make of it.
 * @module
 */
import { Beyond } from "./beyond.ts";

/** By power of the value: (channels). The last power is not zero everywhere; `[]` is zero. */
export type Coefficients = readonly Float64Array[];

/** Highest power that is followed: two squares in a row, or one polynomial that stands for an activation. */
export const MAXIMUM_DEGREE = 4;

/** The value itself. */
export function identity(channels: number): Coefficients {
  return [new Float64Array(channels), new Float64Array(channels).fill(1)];
}

/** Whether the polynomial is the value itself. */
export function isIdentity([constant, factor, ...higher]: Coefficients): boolean {
  return higher.length === 0 && factor !== undefined && factor.every((each) => each === 1) && constant!.every((each) => each === 0);
}

/** The sum of two polynomials. */
export function add(left: Coefficients, right: Coefficients): Coefficients {
  const [long, short] = left.length >= right.length ? [left, right] : [right, left];
  return trim(long.map((row, power) => row.map((each, channel) => each + (short[power]?.[channel] ?? 0))));
}

/** The product of two polynomials. Throws {@link Beyond} above {@link MAXIMUM_DEGREE}. */
export function multiply(left: Coefficients, right: Coefficients): Coefficients {
  if (left.length === 0 || right.length === 0) return [];
  const degree = left.length + right.length - 2;
  if (degree > MAXIMUM_DEGREE) throw new Beyond(`a polynomial of degree ${degree} exceeds the limit of ${MAXIMUM_DEGREE}`);
  const product = Array.from({ length: degree + 1 }, () => new Float64Array(left[0]!.length));
  left.forEach((a, i) => {
    right.forEach((b, j) => {
      const into = product[i + j]!;
      for (let channel = 0; channel < into.length; channel++) into[channel]! += a[channel]! * b[channel]!;
    });
  });
  return trim(product);
}

/** The number that every channel has, or null. */
export function uniform(row: Float64Array): number | null {
  const first = row[0]!;
  return row.every((each) => each === first) ? first : null;
}

function trim(coefficients: Float64Array[]): Coefficients {
  while (coefficients.at(-1)?.every((each) => each === 0)) coefficients.pop();
  return coefficients;
}
