/**
 * For tests: a model that has nothing to do with the one that it is shaped like.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import { seeded } from "../seed.ts";

/** Draws all weights of a float32 directory anew, norms' gains about 1. */
export async function drawAnew(directory: string, seed: number): Promise<void> {
  const { tensors } = await openSafetensors(directory);
  const random = seeded(seed, "weights");
  const path = join(directory, "model.safetensors");
  const bytes = readFileSync(path);
  for (const [name, { offset, bytes: size }] of tensors) {
    const gain = /norm.*weight$/i.test(name) ? 1 : 0;
    for (let at = offset; at < offset + size; at += 4) bytes.writeFloatLE(gain + random.gaussian() / 4, at);
  }
  writeFileSync(path, bytes);
}
