/**
 * Small random models of whole numbers, and their exact products by the definition.
 * @module
 */
import { createCipheriv, createHash } from "node:crypto";
import { activationLimit, type ActivationLimits } from "../multiplier.ts";
import { limbName, type Layout } from "../layout.ts";
import { makeProjection, type Projection, type Projections } from "./integrity.ts";

/** Fills bytes with a key stream of its own for each label. */
export function seededFill(label: string): (bytes: Uint8Array) => void {
  const key = createHash("sha256").update(label).digest();
  const cipher = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  return (bytes) => bytes.set(cipher.update(new Uint8Array(bytes.length)));
}

/** W x for rows (count, in) of any whole numbers -> (count, out). */
export function exactProducts(weights: Int8Array, out: number, inputs: number, rows: ArrayLike<number>, count: number): BigInt64Array {
  const products = new BigInt64Array(count * out);
  for (let r = 0; r < count; r += 1)
    for (let o = 0; o < out; o += 1) {
      let sum = 0; // below 2^53 for the sizes of tests
      for (let i = 0; i < inputs; i += 1) sum += weights[o * inputs + i]! * rows[r * inputs + i]!;
      products[r * out + o] = BigInt(sum);
    }
  return products;
}

/** A layout with weights, as a preparation would make them. */
export interface ShareModel {
  readonly layout: Layout;
  /** (out, in), by `limbName`. */
  readonly weights: ReadonlyMap<string, Int8Array>;
  readonly checks: Projections;
  readonly limits: ActivationLimits;
}

/** A random model; `groups` lists the width of the input and of each layer. */
export function randomModel(label: string, limbs: 1 | 2, groups: readonly { in: number; out: readonly number[] }[]): ShareModel {
  const layout: Layout = {
    format: "unseen-shares/1",
    fingerprint: `test ${label}`,
    limbs,
    groups: groups.map((group, g) => ({
      name: `group${g}`,
      in: group.in,
      layers: group.out.map((out, l) => ({ name: `group${g}.layer${l}`, out })),
    })),
  };
  const fill = seededFill(label);
  const weights = new Map<string, Int8Array>();
  const checks = new Map<string, Projection>();
  const limits = layout.groups.map((group) => {
    let largest = 0;
    for (const { name, out } of group.layers)
      for (let limb = 0; limb < limbs; limb += 1) {
        const numbers = new Int8Array(out * group.in);
        fill(new Uint8Array(numbers.buffer));
        weights.set(limbName(name, limb), numbers);
        checks.set(limbName(name, limb), makeProjection(numbers, out, group.in, fill));
        for (let o = 0; o < out; o += 1)
          largest = Math.max(
            largest,
            numbers.subarray(o * group.in, (o + 1) * group.in).reduce((sum, weight) => sum + Math.abs(weight), 0),
          );
      }
    return activationLimit(largest);
  });
  return { layout, weights, checks, limits };
}

/** Random rows (count, in) within the limit of a group, both ends among them. */
export function randomRows(model: ShareModel, group: number, count: number, label: string): Int32Array {
  const limit = model.limits[group]!;
  const rows = new Int32Array(count * model.layout.groups[group]!.in);
  seededFill(label)(new Uint8Array(rows.buffer));
  for (let i = 0; i < rows.length; i += 1) rows[i] = (((rows[i]! % (2 * limit + 1)) + 2 * limit + 1) % (2 * limit + 1)) - limit;
  rows[0] = limit;
  rows[rows.length - 1] = -limit;
  return rows;
}

/** What a multiplier must return, one array (count, out) for each layer. */
export function expectedProducts(model: ShareModel, group: number, rows: Int32Array, count: number): Float64Array[] {
  const { in: inputs, layers } = model.layout.groups[group]!;
  return layers.map(({ name, out }) => {
    const limbs = Array.from({ length: model.layout.limbs }, (_, limb) =>
      exactProducts(model.weights.get(limbName(name, limb))!, out, inputs, rows, count),
    );
    return Float64Array.from(limbs[0]!, (low, i) => Number(low + 256n * (limbs[1]?.[i] ?? 0n)));
  });
}
