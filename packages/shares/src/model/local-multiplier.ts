/**
 * Multiplies in this process: the reference that two servers must agree with to the bit.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Group, Layout } from "../layout.ts";
import type { Multiplier } from "../multiplier.ts";
import { openShareDirectory } from "./share-directory.ts";

/** The weights of a server's directory, in memory. */
export class LocalMultiplier implements Multiplier {
  readonly layout: Layout;
  /** By group and layer, the lowest limb first; (out, in). */
  readonly #weights: readonly (readonly (readonly Int8Array[])[])[];

  private constructor(layout: Layout, weights: readonly (readonly (readonly Int8Array[])[])[]) {
    this.layout = layout;
    this.#weights = weights;
  }

  /** Reads a server's directory. Throws `BUNDLE_INVALID`, `CHECKPOINT_*`, `PERMISSION_DENIED`. */
  static async open(directory: string): Promise<LocalMultiplier> {
    const { layout, read } = await openShareDirectory(directory);
    const limbs = Array.from({ length: layout.limbs }, (_, limb) => limb);
    const weights = layout.groups.map(({ layers }) => layers.map(({ name }) => limbs.map((limb) => read(name, limb))));
    return new LocalMultiplier(layout, weights);
  }

  // oxlint-disable-next-line require-await -- an error is a rejection, as of every multiplier
  async multiply(group: number, rows: Int32Array, count: number, signal?: AbortSignal): Promise<Float64Array[]> {
    signal?.throwIfAborted();
    const { in: inward } = this.layout.groups[group] as Group;
    if (rows.length !== count * inward)
      throw new UnseenError("INTERNAL", `expected ${count} rows of ${inward} numbers, got ${rows.length} numbers.`);
    return (this.#weights[group] as readonly (readonly Int8Array[])[]).map((limbs) => combine(limbs, rows, inward, count));
  }
}

function combine(limbs: readonly Int8Array[], rows: Int32Array, inward: number, count: number): Float64Array {
  const [low, high] = limbs.map((weights) => products(weights, rows, inward, count)) as [Int32Array, Int32Array | undefined];
  return Float64Array.from(low, (value, place) => value + (high ? (high[place] as number) * 256 : 0));
}

/** (count, out); sums modulo 2^32, read as signed numbers, as the protocol does. */
function products(weights: Int8Array, rows: Int32Array, inward: number, count: number): Int32Array {
  const out = weights.length / inward;
  const sums = new Int32Array(count * out);
  for (let row = 0; row < count; row += 1) {
    const start = row * inward;
    for (let column = 0; column < out; column += 1) {
      const base = column * inward;
      let sum = 0;
      for (let k = 0; k < inward; k += 1) sum = (sum + Math.imul(weights[base + k] as number, rows[start + k] as number)) | 0;
      sums[row * out + column] = sum;
    }
  }
  return sums;
}
