/**
 * Real functions that JavaScript lacks or defines otherwise than ONNX.
 * @module
 */

/** The error function to about 1e-15: its Maclaurin series near zero, the continued fraction of erfc beyond (DLMF 7.6.1, 7.9.1). */
export function erf(x: number): number {
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

/** To the nearest integer, halves to the even one (IEEE 754 roundToIntegralTiesToEven); JavaScript rounds halves up. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return rest === 0.5 ? floor + (floor % 2 === 0 ? 0 : 1) : x; // NaN and infinities have no rest
}

/** The remainder with the divisor's sign, as Python's `%`. Exact. */
export function floorModulo(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}
