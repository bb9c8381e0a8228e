/**
 * Obfuscated features as the user sends them to the creator: a header, then 16-bit numbers, little-endian.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { sizeOf, type Shape } from "@unseen/fhe/layer.ts";
import type { ObfuscatedFeatures } from "@unseen/fhe/obfuscation.ts";
import { z } from "zod";
import { joinFrames, splitFrames } from "./frames.ts";

const headerSchema = z.strictObject({ step: z.number().positive().finite() });

export function encodeFeatures({ step, values }: ObfuscatedFeatures): Uint8Array {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => bytes.writeInt16LE(value, index * 2));
  return joinFrames([Buffer.from(JSON.stringify({ step })), bytes]);
}

/** @throws UnseenError SEALED_INVALID when they are not the features of the shape */
export function decodeFeatures(message: Uint8Array, shape: Shape): ObfuscatedFeatures {
  const [header, bytes] = splitFrames(message, 2) as [Uint8Array, Uint8Array];
  const parsed = headerSchema.safeParse(readJson(header));
  if (!parsed.success || bytes.length !== sizeOf(shape) * 2) {
    throw new UnseenError("SEALED_INVALID", "the features do not have the size of the cut.", {
      hint: "Both sides must run the same version of Unseen.",
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { step: parsed.data.step, values: Int16Array.from({ length: sizeOf(shape) }, (_, index) => view.getInt16(index * 2, true)) };
}

/** What a creator's runtime answers: each output of the model. */
export const answerSchema = z.strictObject({
  outputs: z
    .array(
      z.strictObject({
        name: z.string().max(500),
        shape: z.array(z.number().int().nonnegative()).max(8),
        values: z.array(z.number()).max(1_000_000),
      }),
    )
    .min(1)
    .max(100),
});

export type Answer = z.infer<typeof answerSchema>;

/** JSON of bytes that were sealed by the other side; undefined where it is none. */
export function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
