/**
 * Activation functions by the names of their configurations.
 * @module
 */
import type { Architecture } from "../blueprint/architecture.ts";
import type { EncoderActivation } from "../blueprint/encoder.ts";

/** GELU's forms (1606.08415): exact, by tanh and by a sigmoid; and what else families use. */
export const activations: Readonly<Record<Architecture["activation"] | EncoderActivation, (x: number) => number>> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  "quick-gelu": (x) => x / (1 + Math.exp(-1.702 * x)),
  relu: (x) => Math.max(x, 0),
  tanh: Math.tanh,
  "gelu-tanh": (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
};

/** The error function to about 1e-15: its Maclaurin series near zero, the continued fraction of erfc beyond (DLMF 7.6.1, 7.9.1). */
function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
      term *= -(x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n -= 1) fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-size * size) / Math.sqrt(Math.PI) / (size + fraction));
}
