/**
 * What an inverter is: an attacker that knows the first layers, the obfuscation and public pictures, and draws pictures from features.
 * @module
 */
import type { Head } from "@unseen/fhe/layer.ts";

/** Features as the creator gets them, with the pictures that they came from. */
export interface Examples {
  readonly count: number;
  /** (count, channels, height, width) as in `head.output` */
  readonly features: Float32Array;
  /** (count, channels, height, width) as in `head.shape`, 0..1 */
  readonly pictures: Float32Array;
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

/** Mean of each column of (count, size). */
export function meanOf(values: Float32Array, count: number): Float64Array {
  const size = values.length / count;
  const mean = new Float64Array(size);
  for (let i = 0; i < values.length; i += 1) mean[i % size]! += (values[i] as number) / count;
  return mean;
}
