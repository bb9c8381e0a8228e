/**
 * What the evaluator does: a straight line of operations on registers that hold ciphertexts. The compiler writes it from
 * layers, the evaluator runs it on ciphertext, the simulator on plain numbers; the planner counts it.
 * @module
 */
import type { Shape } from "./layer.ts";
import type { Parameters } from "./parameters.ts";

/** A plaintext with one number per slot; made when it is needed, because all of them together can be large. */
export interface Constant {
  /** (slots); integers for BFV. Never all zero: SEAL refuses the product. */
  readonly values: () => Float64Array;
  /** Names the plaintext within its program; equal ids mean equal values. */
  readonly id: number;
}

/** One operation. Registers are numbered from 0; the inputs lie in the first ones. A register is written once. */
export type Operation =
  /** Slot i of `to` is slot i + `by` (cyclic over the slots) of `from`; needs the rotation key `by`. CKKS alone. */
  | { readonly operation: "rotate"; readonly to: number; readonly from: number; readonly by: number }
  /** `to` = sum over the terms of `from` times constant, slot by slot. CKKS: constants are scaled so that the next rescale gives the base scale. */
  | { readonly operation: "dot"; readonly to: number; readonly terms: readonly { readonly from: number; readonly constant: Constant }[] }
  /** `to` = the sum of registers of one level and scale. */
  | { readonly operation: "add"; readonly to: number; readonly from: readonly number[] }
  /** `to` = `from` plus a constant, slot by slot. */
  | { readonly operation: "shift"; readonly to: number; readonly from: number; readonly constant: Constant }
  /** `to` = left times right, slot by slot, relinearised; `left` may be `right` (a square). The deeper one decides the level. */
  | { readonly operation: "multiply"; readonly to: number; readonly left: number; readonly right: number }
  /** Divides by the last prime: one level is used up. CKKS alone. */
  | { readonly operation: "rescale"; readonly to: number; readonly from: number }
  /** The register is not used any more. */
  | { readonly operation: "free"; readonly from: number };

/** A compiled head. */
export interface Program {
  readonly parameters: Parameters;
  readonly slots: number;
  /** Ciphertexts that the client sends. */
  readonly inputs: number;
  readonly operations: readonly Operation[];
  /** Registers of the ciphertexts that go back. */
  readonly outputs: readonly number[];
  /** Distinct steps of rotation, each of which needs a key. */
  readonly rotations: readonly number[];
  /** Whether a product of two ciphertexts occurs, which needs the relinearisation key. */
  readonly relinearises: boolean;
  /** Products in a row. */
  readonly depth: number;
  readonly shape: Shape;
  readonly output: Shape;
  /** Integer programs (BFV): what one unit of the picture and of the result stands for, per output channel; null for CKKS. */
  readonly integers: IntegerForm | null;
  /** CKKS: what the results of each layer are multiplied with on the way; with them, layers without weights compile to the same packing. */
  readonly gains: readonly number[];
  /** One picture (channels, height, width), normalised as the head says, as the slots of each input ciphertext. */
  pack(picture: Float64Array): Float64Array[];
  /** The features (channels, height, width) in the slots of the output ciphertexts. */
  unpack(slots: readonly Float64Array[]): Float64Array;
}

/** How an integer program represents real numbers. */
export interface IntegerForm {
  /** Pictures are sent as whole numbers q with x = q * pictureStep. */
  readonly pictureStep: number;
  /** Whole numbers that pictures are rounded and clamped to, such as 0..255. */
  readonly pictureRange: readonly [number, number];
  /** (out) a result r of channel c stands for r * outputSteps[c]. */
  readonly outputSteps: Float64Array;
  /** (out, in / groups, kernel height, kernel width) the whole numbers that the weights became. */
  readonly weight: Float64Array;
  /** (out) */
  readonly bias: Float64Array;
}
