/**
 * Weights as whole numbers: symmetric, one scale for every output row; 8 bits in one limb or 16 bits in two.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Linear } from "@unseen/core/reference/weights.ts";

/** Largest magnitude of a weight by limbs; 127 * 256 + 127 is the largest whose negative has two int8 limbs, too. */
const LARGEST_WEIGHT = { 1: 127, 2: 127 * 256 + 127 } as const;

/** A weight is `scale * (limbs[1] * 256 + limbs[0])`, or `scale * limbs[0]`. */
export interface QuantisedLinear {
  /** (out, in) each, the lowest first. */
  readonly limbs: readonly Int8Array[];
  /** (out); each is a float32, 0 for a row of zeros. */
  readonly scales: Float32Array;
  /** The largest sum of magnitudes of a row of one limb: what bounds activations. */
  readonly largestRowSum: number;
}

/**
 * Rounds a layer's weights to the nearest multiple of each row's scale, the row's largest magnitude divided by 127 or 32639.
 *
 * @throws UnseenError CHECKPOINT_NON_FINITE
 */
export function quantise(linear: Linear, limbs: 1 | 2): QuantisedLinear {
  const { out, in: inward, weight } = linear;
  const low = new Int8Array(weight.length);
  const high = limbs === 2 ? new Int8Array(weight.length) : null;
  const scales = new Float32Array(out);
  let largestRowSum = 0;
  for (let row = 0; row < out; row += 1) {
    const start = row * inward;
    const scale = scaleOf(weight.subarray(start, start + inward), LARGEST_WEIGHT[limbs]);
    scales[row] = scale;
    if (scale === 0) continue;
    let [lowSum, highSum] = [0, 0];
    for (let place = start; place < start + inward; place += 1) {
      const whole = Math.round((weight[place] as number) / scale);
      // The scale is rounded to float32, so that a quotient may end just beyond.
      const value = Math.max(-LARGEST_WEIGHT[limbs], Math.min(LARGEST_WEIGHT[limbs], whole));
      const lowest = high ? (value << 24) >> 24 : value;
      low[place] = lowest;
      lowSum += Math.abs(lowest);
      if (!high) continue;
      const upper = (value - lowest) / 256;
      high[place] = upper;
      highSum += Math.abs(upper);
    }
    largestRowSum = Math.max(largestRowSum, lowSum, highSum);
  }
  return { limbs: high ? [low, high] : [low], scales, largestRowSum };
}

function scaleOf(row: Float32Array, largest: number): number {
  let magnitude = 0;
  for (const value of row) {
    if (!Number.isFinite(value))
      throw new UnseenError("CHECKPOINT_NON_FINITE", "a weight of a linear layer is NaN or infinite.", {
        hint: "The checkpoint is damaged; download it again.",
      });
    magnitude = Math.max(magnitude, Math.abs(value));
  }
  return Math.fround(magnitude / largest);
}
