/**
 * The layers that every reference forward pass is made of.
 * @module
 */
import type { Linear, NormWeights } from "./weights.ts";

/** Which norm, and what keeps it from dividing by zero. */
export interface NormKind {
  readonly kind: "rms" | "layer";
  readonly epsilon: number;
}

/** RMSNorm (1910.07467) or LayerNorm (1607.06450) of every `size` numbers. */
export function normaliseRows(x: Float64Array, w: NormWeights, norm: NormKind, size: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += size) {
    let mean = 0;
    if (norm.kind === "layer") for (let k = 0; k < size; k += 1) mean += (x[start + k] as number) / size;
    let square = 0;
    for (let k = 0; k < size; k += 1) square += ((x[start + k] as number) - mean) ** 2 / size;
    const scale = 1 / Math.sqrt(square + norm.epsilon);
    for (let k = 0; k < size; k += 1)
      out[start + k] = ((x[start + k] as number) - mean) * scale * (w.gain[k] as number) + (w.bias?.[k] ?? 0);
  }
  return out;
}

/** (T, in) -> (T, out). By far the most time is spent here. */
export function apply(linear: Linear, x: Float64Array): Float64Array {
  const { weight, bias } = linear;
  const [out, inward] = [linear.out, linear.in];
  const positions = x.length / inward;
  const y = new Float64Array(positions * out);
  for (let row = 0; row < out; row += 1) {
    const base = row * inward;
    for (let position = 0; position < positions; position += 1) {
      const start = position * inward;
      let sum = bias ? (bias[row] as number) : 0;
      for (let k = 0; k < inward; k += 1) sum += (weight[base + k] as number) * (x[start + k] as number);
      y[position * out + row] = sum;
    }
  }
  return y;
}

/** x += y. */
export function add(x: Float64Array, y: Float64Array): void {
  for (let i = 0; i < x.length; i += 1) x[i]! += y[i] as number;
}

/** Softmax of one row, as a new array. */
export function softmax(x: Float64Array): Float64Array {
  let highest = -Infinity;
  for (const value of x) highest = Math.max(highest, value);
  const shares = x.map((value) => Math.exp(value - highest));
  let total = 0;
  for (const share of shares) total += share;
  return shares.map((share) => share / total);
}
