/**
 * Rounds float64 once, to nearest with ties to even, to the 16-bit formats of weights (IEEE 754-2019 binary16; bfloat16).
 * @module
 */

const single = new Float32Array(1);
const bits = new Int32Array(single.buffer); // signed, so that sums of bits stay machine integers

/**
 * The bits of a float64 rounded to float32 *to odd*: an inexact result gets its last bit set.
 * Rounding that to a format with at least two bits fewer equals rounding the float64 itself
 * (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008), so nothing is rounded twice.
 * Needed only where float32 lands on the middle between two numbers of the smaller format, which is rare.
 */
function roundToOdd(value: number): number {
  single[0] = value;
  const nearest = bits[0]!;
  if (single[0] === value || (nearest & 1) === 1) return nearest;
  return Math.abs(single[0]!) > Math.abs(value) ? nearest - 1 : nearest + 1;
}

/** The bfloat16 bits nearest to a number; beyond the largest finite one an infinity, NaN a quiet NaN. */
export function toBfloat16(value: number): number {
  if (value !== value) return 0x7fc0;
  single[0] = value;
  let nearest = bits[0]!;
  if ((nearest & 0xffff) === 0x8000) nearest = roundToOdd(value);
  return ((nearest + 0x7fff + ((nearest >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The number that bfloat16 bits mean. */
export function fromBfloat16(half: number): number {
  bits[0] = half << 16;
  return single[0]!;
}

/** The binary16 bits nearest to a number, subnormals included; from 65520 on an infinity, NaN a quiet NaN. */
export function toFloat16(value: number): number {
  if (value !== value) return 0x7e00;
  single[0] = value;
  let nearest = bits[0]!;
  if ((nearest & 0xfff) === 0 || (nearest & 0x7fffffff) < 0x38800000) nearest = roundToOdd(value);
  const sign = (nearest >>> 16) & 0x8000;
  const magnitude = nearest & 0x7fffffff;
  // Exponents: 127 is one in float32, 15 in binary16. 0x38800000 is 2^-14, the least normal number.
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    const rebased = magnitude - 0x38000000;
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
  }
  // Subnormal: multiples of 2^-24. The last bit of the odd-rounded significand keeps the tie-break exact.
  const shift = 126 - (magnitude >>> 23);
  if (shift > 25) return sign;
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const kept = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept);
}

let table: Float32Array | undefined;

/** The number that binary16 bits mean. */
export function fromFloat16(half: number): number {
  table ??= Float32Array.from({ length: 0x10000 }, (_, index) => expand(index));
  return table[half]!;
}

function expand(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
