/**
 * A model taken apart: linear layers of whole numbers, which servers hold, and everything else, which the client keeps.
 * @module
 */
import { createHash } from "node:crypto";
import { z } from "zod";

/** Named limits (CWE-770). */
export const layoutLimits = { groups: 4096, layersPerGroup: 16, width: 1 << 20, jsonBytes: 4 * 1024 * 1024 } as const;

const width = z.number().int().min(1).max(layoutLimits.width);

/** A linear layer y = W x; W is (out, in), row-major. */
const layerSchema = z.strictObject({ name: z.string().min(1).max(500), out: width });

/** Layers that read the same input, multiplied in one call: queries, keys and values; gate and up. */
const groupSchema = z.strictObject({
  name: z.string().min(1).max(500),
  in: width,
  layers: z.array(layerSchema).min(1).max(layoutLimits.layersPerGroup),
});

/** `shares.json`, the same in both servers' directories and at the client. */
export const layoutSchema = z.strictObject({
  format: z.literal("unseen-shares/1"),
  /** Fingerprint of the encrypted model that it was made from. */
  fingerprint: z.string().max(200),
  /** int8 limbs per weight: 1, or 2 for 16 bits; weight = high * 256 + low with both signed. */
  limbs: z.union([z.literal(1), z.literal(2)]),
  groups: z.array(groupSchema).min(1).max(layoutLimits.groups),
});

export type Layout = z.infer<typeof layoutSchema>;
export type Group = z.infer<typeof groupSchema>;

/** SHA-256 of the canonical text: both sides must speak of the same model. */
export function layoutDigest(layout: Layout): Uint8Array {
  return new Uint8Array(
    createHash("sha256")
      .update(JSON.stringify(layoutSchema.parse(layout)))
      .digest(),
  );
}

/** Name of the tensor (I8, (out, in)) of one limb in `weights.safetensors`; limb 0 is the lowest. */
export function limbName(layer: string, limb: number): string {
  return `${layer}.${limb}`;
}
