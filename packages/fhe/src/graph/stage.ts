/**
 * The layers so far, and how a polynomial of what leaves them becomes part of them.
 * @module
 */
import { quote } from "@unseen/core/checkpoint/checks.ts";
import type { Head, Layer, Shape } from "../layer.ts";
import { sizeOf } from "../layer.ts";
import { Beyond, type Budget } from "./beyond.ts";
import { uniform, type Coefficients } from "./coefficients.ts";

/** Layers in a row (CWE-770); ciphertext ends after a few. */
const MAXIMUM_LAYERS = 64;
/** Values of a picture or of features (CWE-770). */
export const MAXIMUM_FEATURES = 2 ** 22;
/** How far coefficients of two channels may be from proportional, relative: rounding in float64, and in float32 constants none. */
const PROPORTIONAL = 1e-12;

/** What has been done to the picture. Values may be combined only where they come from the same stage, by identity. */
export interface Stage {
  readonly normalise: Head["normalise"];
  readonly layers: readonly Layer[];
  readonly shape: Shape;
}

/** A stage with one layer more. Throws {@link Beyond} at the limits. */
export function extend(stage: Stage, layer: Layer): Stage {
  if (stage.layers.length === MAXIMUM_LAYERS) throw new Beyond(`more than ${MAXIMUM_LAYERS} layers are not followed`);
  if (sizeOf(layer.output) > MAXIMUM_FEATURES) throw new Beyond(`${layer.title} makes more than ${MAXIMUM_FEATURES} features`);
  for (const numbers of numbersOf(layer)) requireFinite(numbers, layer.title);
  return { ...stage, layers: [...stage.layers, layer], shape: layer.output };
}

function numbersOf(layer: Layer): readonly (readonly number[] | Float64Array)[] {
  switch (layer.kind) {
    case "convolution":
    case "dense":
      return [layer.weight, layer.bias];
    case "scale":
      return [layer.factor, layer.summand];
    case "polynomial":
      return [layer.coefficients];
    case "average-pool":
      return [];
  }
}

function requireFinite(numbers: readonly number[] | Float64Array, title: string): void {
  // Indexed, because weights are many.
  for (let i = 0; i < numbers.length; i++) if (!Number.isFinite(numbers[i])) throw new Beyond(`${title} has numbers that are not finite`);
}

/**
 * The stage after a polynomial of what left it; `value` names the result.
 *
 * Factors and summands become part of the product before them, or of the client's normalisation; polynomials a layer.
 * Throws {@link Beyond} for a constant, and for polynomials that are not one polynomial up to a factor and a summand per channel.
 */
export function settle(stage: Stage, coefficients: Coefficients, value: string, budget: Budget): Stage {
  const degree = coefficients.length - 1;
  if (degree < 1) throw new Beyond(`${quote(value)} does not depend on the picture`);
  if (degree === 1) return scale(stage, coefficients[1]!, coefficients[0]!, value, budget);
  const rows = coefficients.map(uniform);
  if (rows.every((each) => each !== null)) return extend(stage, polynomial(stage.shape, rows, value));
  const leading = coefficients[degree]!;
  const reference = leading.reduce((best, each, channel) => (Math.abs(each) > Math.abs(leading[best]!) ? channel : best), 0);
  const shared = coefficients.map((row, power) => (power === 0 ? 0 : row[reference]! / leading[reference]!));
  shared.forEach((each, power) => {
    if (power > 0 && coefficients[power]!.some((own, channel) => !isNear(own, each * leading[channel]!)))
      throw new Beyond(`a polynomial of degree ${degree} has other coefficients in every channel`);
  });
  return scale(extend(stage, polynomial(stage.shape, shared, value)), leading, coefficients[0]!, value, budget);
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= PROPORTIONAL * Math.max(Math.abs(a), Math.abs(b));
}

function polynomial(shape: Shape, coefficients: readonly number[], value: string): Layer {
  const title = coefficients.join() === "0,0,1" ? "Square" : `Polynomial of degree ${coefficients.length - 1}`;
  return { kind: "polynomial", value, title, input: shape, output: shape, coefficients };
}

/** x * factor + summand per channel, in the layer before where it can take it. */
function scale(stage: Stage, factor: Float64Array, summand: Float64Array, value: string, budget: Budget): Stage {
  const { shape, layers, normalise } = stage;
  const last = layers.at(-1);
  if (last === undefined) {
    const before = normalise ?? { factor: new Float64Array(shape.channels).fill(1), summand: new Float64Array(shape.channels) };
    const after = { factor: times(before.factor, factor), summand: timesPlus(before.summand, factor, summand) };
    for (const numbers of [after.factor, after.summand]) requireFinite(numbers, "the normalisation");
    return { ...stage, normalise: after };
  }
  const before: Stage = { ...stage, layers: layers.slice(0, -1) };
  switch (last.kind) {
    case "convolution":
    case "dense": {
      budget.take(last.weight.length);
      const columns = last.weight.length / factor.length;
      const weight = last.weight.map((each, i) => each * factor[Math.floor(i / columns)]!);
      return extend(before, { ...last, value, weight, bias: timesPlus(last.bias, factor, summand) });
    }
    case "scale":
      return extend(before, { ...last, value, factor: times(last.factor, factor), summand: timesPlus(last.summand, factor, summand) });
    case "polynomial": {
      const [by, plus] = [uniform(factor), uniform(summand)];
      if (by === null || plus === null) break;
      const coefficients = last.coefficients.map((each, power) => each * by + (power === 0 ? plus : 0));
      return extend(before, polynomial(shape, coefficients, value));
    }
  }
  return extend(stage, { kind: "scale", value, title: "Scale", input: shape, output: shape, factor, summand });
}

function times(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((each, i) => each * b[i]!);
}

function timesPlus(a: Float64Array, b: Float64Array, c: Float64Array): Float64Array {
  return a.map((each, i) => each * b[i]! + c[i]!);
}
