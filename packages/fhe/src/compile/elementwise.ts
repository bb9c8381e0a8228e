/**
 * Polynomials and factors of each value.
 *
 * A polynomial c_n x^n + ... is brought into a form that needs sums with constants only, besides products of ciphertexts: its
 * depth is the least that any product form of its degree has, and no two ciphertexts of different scale are ever added
 * (adapting coefficients beforehand: Knuth, The Art of Computer Programming 2, 4.6.4). The factor c_n is left to what follows.
 * @module
 */
import type { Scale } from "../layer.ts";
import type { Features } from "./features.ts";
import { degreeOf } from "./gains.ts";
import { everyFeature, indexOf, visitSlots, type Fill } from "./layout.ts";
import type { ProgramWriter } from "./program-writer.ts";

/** Constants of the adapted forms beyond this would cost more bits than the level that the form saves is worth. */
const LARGEST_CONSTANT = 8;

/** Writes a polynomial of each feature. Degree 2 takes one product in a row, 3 and 4 take two; more, or extreme coefficients, one a degree. */
export function writePolynomial(writer: ProgramWriter, coefficients: readonly number[], features: Features): Features {
  const degree = degreeOf(coefficients);
  const scaled = coefficients.slice(0, degree + 1).map((coefficient, power) => coefficient * features.factor ** power);
  const leading = scaled[degree] ?? 0;
  const form = degree < 2 ? null : adapt(scaled.map((coefficient) => coefficient / leading));
  const registers = features.registers.map((x, ciphertext) => {
    const shift = (register: number, by: number): number => writer.shift(register, everyFeature(features.layout, ciphertext, by));
    return form ? form(writer, x, shift) : writeHorner(writer, x, shift, scaled, features, ciphertext);
  });
  return { ...features, registers, factor: form ? leading : 1 };
}

/** Writes a factor and a summand for each channel. */
export function writeScale(writer: ProgramWriter, { input, factor, summand }: Scale, features: Features, gain: number): Features {
  const plane = input.height * input.width;
  const registers = features.registers.map((x, ciphertext) => {
    // Features may have been flattened: then the layer counts other channels than the layout.
    const fill =
      (of: Float64Array, times: number): Fill =>
      (put) =>
        visitSlots(features.layout, ciphertext, (slot, ...place) => {
          const channel = Math.floor(indexOf(features.layout.shape, ...place) / plane);
          return put(slot, (of[channel] ?? 0) * times);
        });
    const product = writer.dot([{ from: () => x, fill: fill(factor, features.factor * gain) }]) ?? writer.nothing(x);
    return writer.shift(writer.rescale(product), fill(summand, gain));
  });
  return { ...features, registers, factor: 1 / gain };
}

type Shift = (register: number, by: number) => number;
type Form = (writer: ProgramWriter, x: number, shift: Shift) => number;

/** A form of the polynomial whose first coefficient is 1; null where its constants are too large or its degree is above 4. */
function adapt(monic: readonly number[]): Form | null {
  const [a0 = 0, a1 = 0, a2 = 0, a3 = 0] = monic;
  switch (monic.length - 1) {
    case 2: {
      // x^2 + a1 x + a0 = (x + h)^2 + rest
      const h = a1 / 2;
      return moderate([h], (writer, x, shift) => {
        const base = shift(x, h);
        return shift(writer.multiply(base, base), a0 - h * h);
      });
    }
    case 3:
      // x^3 + a2 x^2 + a1 x + a0 = (x^2 + a1) (x + a2) + rest
      return moderate([a1, a2], (writer, x, shift) => shift(writer.multiply(shift(writer.multiply(x, x), a1), shift(x, a2)), a0 - a1 * a2));
    case 4: {
      // z = x + h leaves no cube: z^4 + b2 z^2 + b1 z + b0 = (z^2 + s z + p) (z^2 - s z + q) + rest, for any s with
      // p + q = b2 + s^2 and s (q - p) = b1; and each factor is a square (z +- s/2)^2 and a constant.
      const h = a3 / 4;
      const b2 = a2 - 6 * h * h;
      const b1 = a1 - 2 * a2 * h + 8 * h ** 3;
      const b0 = a0 - a1 * h + a2 * h * h - 3 * h ** 4;
      const s = Math.cbrt(b1);
      const difference = s === 0 ? 0 : b1 / s;
      const [p, q] = [(b2 + s * s - difference) / 2, (b2 + s * s + difference) / 2];
      const quarter = (s * s) / 4;
      return moderate([h + s / 2, h - s / 2, p - quarter, q - quarter], (writer, x, shift) => {
        const factor = (by: number, rest: number): number => {
          const base = shift(x, by);
          return shift(writer.multiply(base, base), rest);
        };
        const left = factor(h + s / 2, p - quarter);
        const right = s === 0 ? left : factor(h - s / 2, q - quarter);
        return shift(writer.multiply(left, right), b0 - p * q);
      });
    }
    default:
      return null;
  }
}

function moderate(constants: readonly number[], form: Form): Form | null {
  return constants.every((constant) => Math.abs(constant) <= LARGEST_CONSTANT) ? form : null;
}

/** ((c_n x + c_(n-1)) x + ...) x + c_0. */
function writeHorner(
  writer: ProgramWriter,
  x: number,
  shift: Shift,
  coefficients: readonly number[],
  features: Features,
  ciphertext: number,
): number {
  const degree = Math.max(1, coefficients.length - 1);
  const fill = everyFeature(features.layout, ciphertext, coefficients[degree] ?? 0);
  let sum = writer.rescale(writer.dot([{ from: () => x, fill }]) ?? writer.nothing(x));
  for (let power = degree - 1; power >= 0; power -= 1) {
    sum = shift(sum, coefficients[power] ?? 0);
    if (power > 0) sum = writer.multiply(sum, x);
  }
  return sum;
}
