/**
 * Features as a creator gets them.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import { sizeOf, type Head } from "@unseen/fhe/layer.ts";
import { obfuscate, restore, type Obfuscation } from "@unseen/fhe/obfuscation.ts";
import type { Examples } from "./inverters/inverter.ts";

/**
 * Runs the first layers on pictures and obfuscates the features.
 *
 * @param bytes (count, channels, height, width)
 * @param scale what a byte is multiplied with to become the model's input
 * @throws UnseenError USAGE for knobs out of range, EVALUATION_FAILED for features that are not finite
 */
export function observe(head: Head, bytes: Uint8Array, scale: number, obfuscation: Obfuscation, random: RandomStream): Examples {
  const [size, width] = [sizeOf(head.shape), sizeOf(head.output)];
  const count = bytes.length / size;
  const [features, clean] = [new Float32Array(count * width), new Float32Array(count * width)];
  for (let index = 0; index < count; index += 1) {
    const picture = Float64Array.from(bytes.subarray(index * size, (index + 1) * size), (byte) => byte * scale);
    const exact = runClear(head, picture);
    clean.set(exact, index * width);
    features.set(restore(obfuscate(exact, head.output, obfuscation, () => random.uniform())), index * width);
  }
  return { count, features, clean, pictures: Float32Array.from(bytes, (byte) => byte / 255) };
}
