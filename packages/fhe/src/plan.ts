/**
 * Where a model can be cut, and what each cut costs.
 * @module
 */
import type { Head } from "./layer.ts";
import type { Parameters } from "./parameters.ts";

/** Seconds that one operation takes here, by level (index = primes left besides the first; 0 = last), one thread. Measured, never assumed. */
export interface Calibration {
  /** `parametersId` of the set that was measured. */
  readonly parameters: string;
  readonly encode: readonly number[];
  readonly multiplyPlain: readonly number[];
  readonly add: readonly number[];
  readonly multiply: readonly number[];
  readonly relinearise: readonly number[];
  readonly rotate: readonly number[];
  readonly rescale: readonly number[];
  /** Reading and checking one input ciphertext, and one evaluation key. */
  readonly load: number;
  readonly loadKey: number;
}

/** One legal cut with its costs. */
export interface PlannedCut {
  /** 1 = after the first layer. */
  readonly cut: number;
  /** Name of the ONNX value. */
  readonly value: string;
  /** Titles of the layers that run on ciphertext. */
  readonly layers: readonly string[];
  /** (channels, height, width) of the features. */
  readonly features: readonly [number, number, number];
  readonly parameters: Parameters;
  /** Products in a row. */
  readonly depth: number;
  /** Rotation keys, and rotations done. */
  readonly rotationKeys: number;
  readonly rotations: number;
  /** Bytes of all evaluation keys, uploaded once per session; of the input; of the result. */
  readonly keyBytes: number;
  readonly uploadBytes: number;
  readonly downloadBytes: number;
  /** Estimated for the evaluator; null before a calibration. */
  readonly seconds: number | null;
  /** Why the cut is refused, with what would help; null where it is offered. */
  readonly refused: string | null;
}

export interface Plan {
  readonly input: string;
  /** (channels, height, width) */
  readonly picture: readonly [number, number, number];
  /** Ordered by cut, then by scheme: a cut can occur with CKKS and with BFV. */
  readonly cuts: readonly PlannedCut[];
  /** Why there is no cut behind the last: the first operator that ciphertext cannot do. */
  readonly end: string;
}

/** A cut with what is needed to run it. */
export interface CutHead {
  readonly planned: PlannedCut;
  readonly head: Head;
}
