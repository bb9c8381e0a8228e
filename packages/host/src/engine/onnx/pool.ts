/**
 * One vector per row out of one vector per token, as sentence-transformers does it.
 * @module
 */
import type { Output, PoolCommand } from "./protocol.ts";

/** (rows, length, width) -> (rows, width): the mean over the tokens that a row's mask lets through, or its first token. */
export function pool({ shape, data }: Output, { kind, lengths, masks }: PoolCommand): Output {
  const [rows, length, width] = shape as [number, number, number];
  const pooled = new Float32Array(rows * width);
  const sum = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    const start = row * length * width;
    if (kind === "cls") {
      pooled.set(data.subarray(start, start + width), row * width);
      continue;
    }
    const own = Math.min(lengths[row] ?? length, length);
    const mask = masks[row] ?? null;
    let count = 0;
    sum.fill(0);
    for (let token = 0; token < own; token++) {
      if (mask !== null && mask[token] === 0) continue;
      count++;
      const offset = start + token * width;
      for (let index = 0; index < width; index++) sum[index]! += data[offset + index]!;
    }
    for (let index = 0; index < width; index++) pooled[row * width + index] = sum[index]! / count;
  }
  return { shape: [rows, width], data: pooled };
}
