/**
 * Where weights come from, what a multiplier of shares does, and how many numbers a call takes.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Group, Layout } from "../layout.ts";

/** Fills `into` with whole rows (of `in` int8 weights) of one limb of a layer, from row `first` on. */
export type ReadRows = (layer: string, limb: number, first: number, into: Int8Array) => void;

/** Products of shares by the weights of a model, in the order of PRODUCTS: layers, limbs from the lowest, (count, out). */
export interface ShareKernel {
  readonly name: "wasm" | "onnxruntime";
  /** Modulo 2^32. @param rows (count, in) */
  multiply(group: number, rows: Uint32Array, count: number): Uint32Array<ArrayBuffer> | Promise<Uint32Array<ArrayBuffer>>;
  /** Of the shares as numbers in [0, 2^32), not reduced. @param rows (count, in) */
  exact(group: number, rows: Uint32Array, count: number): BigInt64Array<ArrayBuffer> | Promise<BigInt64Array<ArrayBuffer>>;
}

/** Numbers that one row of a group is multiplied into, all layers and limbs together. */
export function productsPerRow(layout: Layout, group: Group): number {
  return layout.limbs * group.layers.reduce((sum, { out }) => sum + out, 0);
}

/** The group, for rows of its width. @throws RangeError where there is none, or the number of numbers is another */
export function groupFor(layout: Layout, index: number, rows: Uint32Array, count: number): Group {
  const group = layout.groups[index];
  if (!group) throw new RangeError(`expected one of ${layout.groups.length} groups, got ${index}.`);
  if (rows.length !== count * group.in) throw new RangeError(`expected ${count} rows of ${group.in} numbers, got ${rows.length} numbers.`);
  return group;
}

/** @throws UnseenError CHECKPOINT_TOO_LARGE, always */
export function tooManyWeights(bytes: number, limit: number): never {
  throw new UnseenError("CHECKPOINT_TOO_LARGE", `the weights take ${bytes} bytes of memory, at most ${limit} can be had.`, {
    hint: "Use 8-bit weights, or a smaller model.",
  });
}
