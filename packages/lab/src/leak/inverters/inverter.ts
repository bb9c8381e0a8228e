/**
 * What an inverter is: an attacker that knows the first layers, the obfuscation and public pictures, and draws pictures from features.
 * @module
 */
import { sizeOf, type Head } from "@unseen/fhe/layer.ts";

/** Pictures with their features. */
export interface Examples {
  readonly count: number;
  /** (count, channels, height, width) as in `head.shape`, 0..1 */
  readonly pictures: Float32Array;
  /** (count, channels, height, width) as in `head.output`: as the creator gets them */
  readonly features: Float32Array;
  /** The same before the obfuscation, which whoever has pictures and the first layers can compute. */
  readonly clean: Float32Array;
}

/** What every inverter is taught with. */
export interface Lesson {
  readonly head: Head;
  readonly examples: Examples;
  readonly seed: number;
}

export interface Inverter {
  readonly name: string;
  /** Features of `count` pictures -> pictures, 0..1. */
  invert(features: Float32Array, count: number): Float32Array;
}

/** Some of the examples, from `start` on. */
export function sliceExamples({ pictures, features, clean }: Examples, head: Head, start: number, end: number): Examples {
  const [size, width] = [sizeOf(head.shape), sizeOf(head.output)];
  return {
    count: end - start,
    pictures: pictures.subarray(start * size, end * size),
    features: features.subarray(start * width, end * width),
    clean: clean.subarray(start * width, end * width),
  };
}

/** Mean of each column of (count, size). */
export function columnMeans(values: ArrayLike<number>, count: number): Float64Array {
  const size = values.length / count;
  const mean = new Float64Array(size);
  for (let at = 0; at < values.length; at += 1) mean[at % size]! += (values[at] as number) / count;
  return mean;
}

/** The nearest value that a pixel can have. */
export function toUnit(value: number): number {
  return Math.max(0, Math.min(1, value));
}
