/**
 * One vector per row out of one vector per token, as sentence-transformers does it.
 * @module
 */
import type { Output, PoolCommand } from "./protocol.ts";

/** (rows, length, width) -> (rows, width): the mean over a row's own tokens, or its first token. Padding has no part in it. */
export function pool({ shape, data }: Output, { kind, lengths }: PoolCommand): Output {
  const [rows, length, width] = shape as [number, number, number];
  const pooled = new Float32Array(rows * width);
  const sum = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    const start = row * length * width;
    if (kind === "cls") {
      pooled.set(data.subarray(start, start + width), row * width);
      continue;
    }
    const count = Math.min(lengths[row] ?? length, length);
    sum.fill(0);
    for (let token = 0; token < count; token++) {
      const offset = start + token * width;
      for (let index = 0; index < width; index++) sum[index]! += data[offset + index]!;
    }
    for (let index = 0; index < width; index++) pooled[row * width + index] = sum[index]! / count;
  }
  return { shape: [rows, width], data: pooled };
}
