/**
 * The same whole-number products on this machine, by the kernels that the servers use: what plaintext costs on them.
 * @module
 */
import type { Layout } from "../layout.ts";
import type { Multiplier } from "../multiplier.ts";
import type { ShareKernel } from "./weight-source.ts";

const HIGH_LIMB = 256;

/** Multiplies rows as they are. */
export class KernelMultiplier implements Multiplier {
  readonly #layout: Layout;
  readonly #kernel: ShareKernel;

  constructor(layout: Layout, kernel: ShareKernel) {
    this.#layout = layout;
    this.#kernel = kernel;
  }

  async multiply(group: number, rows: Int32Array, count: number): Promise<Float64Array[]> {
    // Negative numbers modulo 2^32 and back: every sum lies in the signed range.
    const products = new Int32Array((await this.#kernel.multiply(group, Uint32Array.from(rows), count)).buffer);
    let at = 0;
    return this.#layout.groups[group]!.layers.map(({ out }) => {
      const sums = new Float64Array(count * out);
      for (let limb = 0; limb < this.#layout.limbs; limb += 1) {
        const factor = limb === 0 ? 1 : HIGH_LIMB;
        for (let index = 0; index < sums.length; index += 1) sums[index]! += factor * products[at + index]!;
        at += sums.length;
      }
      return sums;
    });
  }
}
