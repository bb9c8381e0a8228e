/**
 * Who multiplies. The forward pass is written once: with a local multiplier it is the reference, with the remote one the protocol.
 * @module
 */

/** Multiplies rows of whole numbers by the layers of a group. */
export interface Multiplier {
  /**
   * Exact products, one array (rows, out) for each layer of the group.
   *
   * @param group index in the layout
   * @param rows (count, in) whole numbers within the group's activation limit
   * @throws UnseenError HOST_* for a server that does not answer, VERIFICATION_FAILED naming the server that answered wrongly
   */
  multiply(group: number, rows: Int32Array, count: number, signal?: AbortSignal): Promise<Float64Array[]>;
}

/** Largest magnitude of activations, by group: no sum of products can leave the signed 32-bit range, for the actual weights. */
export type ActivationLimits = readonly number[];

/** How far a limit may go: beyond 15 bits more precision than float16 weights deserve. */
export const LARGEST_ACTIVATION = 2 ** 15 - 1;

/**
 * The largest whole activation for weights (rows of one limb): floor((2^31 - 1) / the largest sum of magnitudes of a row),
 * at most {@link LARGEST_ACTIVATION}.
 */
export function activationLimit(largestRowSum: number): number {
  return Math.min(LARGEST_ACTIVATION, Math.floor((2 ** 31 - 1) / Math.max(1, largestRowSum)));
}
