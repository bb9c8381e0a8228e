import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "./rounding.ts";

const every16Bits = Array.from({ length: 0x10000 }, (_, bits) => bits);
const runs = { numRuns: 20_000 };

test("every binary16 pattern decodes as the engine's Float16Array does, and encodes back to itself", () => {
  const native = new Float16Array(new Uint16Array(every16Bits).buffer);
  for (const bits of every16Bits) {
    const value = fromFloat16(bits);
    assert.ok(Object.is(value, native[bits]));
    assert.equal(toFloat16(value), Number.isNaN(value) ? 0x7e00 : bits);
  }
});

test("every bfloat16 pattern is the upper half of a float32, and encodes back to itself", () => {
  const view = new DataView(new ArrayBuffer(4));
  for (const bits of every16Bits) {
    view.setUint16(0, bits);
    const value = fromBfloat16(bits);
    assert.ok(Object.is(value, view.getFloat32(0)));
    assert.equal(toBfloat16(value), Number.isNaN(value) ? 0x7fc0 : bits);
  }
});

test("binary16 rounds any float64 as the engine does", () => {
  const native = new Float16Array(1);
  const bits = new Uint16Array(native.buffer);
  const check = (value: number): void => {
    native[0] = value;
    assert.equal(toFloat16(value), Number.isNaN(value) ? 0x7e00 : bits[0], String(value));
  };
  fc.assert(fc.property(fc.oneof(fc.double(), fc.double({ min: -70000, max: 70000 }), fc.double({ min: -2e-4, max: 2e-4 })), check), runs);
  for (const value of nearTies(fromFloat16, 0x7bff)) check(value);
  for (const value of [65519.999999999993, 65520, 2 ** -25, 2 ** -25 + 2 ** -77, 3 * 2 ** -26, 2 ** -1074, -0, 0]) check(value);
});

test("bfloat16 rounds any float64 to the nearer neighbour, ties to even", () => {
  const check = (value: number): void => assert.equal(toBfloat16(value), nearestBfloat16(value), String(value));
  fc.assert(fc.property(fc.oneof(fc.double({ noNaN: true }), fc.double({ min: -4, max: 4, noNaN: true })), check), runs);
  for (const value of nearTies(fromBfloat16, 0x7f7e)) check(value);
});

test("rounding happens once: a float64 just beyond a tie does not fall back to even through float32", () => {
  assert.equal(toBfloat16(1 + 2 ** -8 + 2 ** -40), 0x3f81);
  assert.equal(toBfloat16(1 + 2 ** -8), 0x3f80);
  assert.equal(toFloat16(1 + 2 ** -11 + 2 ** -40), 0x3c01);
  assert.equal(toFloat16(1 + 2 ** -11), 0x3c00);
});

test("what exceeds the format becomes an infinity of its sign", () => {
  assert.equal(toFloat16(1e5), 0x7c00);
  assert.equal(toFloat16(-1e300), 0xfc00);
  assert.equal(toBfloat16(3.4e38), 0x7f80);
  assert.equal(toBfloat16(-1e300), 0xff80);
});

/** The middles between neighbours, and the float64 numbers beside them. */
function* nearTies(decode: (bits: number) => number, last: number): Generator<number> {
  for (let bits = 0; bits < last; bits += 13) {
    const middle = (decode(bits) + decode(bits + 1)) / 2;
    yield* [middle, middle * (1 + 2 ** -52), middle * (1 - 2 ** -53), -middle];
  }
}

/** Found by bisection over all patterns, with exact comparisons: the middle of two bfloat16 numbers is a float64. */
function nearestBfloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  let low = 0;
  let high = 0x7f80;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (decodeExactly(middle) <= magnitude) low = middle;
    else high = middle;
  }
  if (magnitude === Number.POSITIVE_INFINITY) return sign | 0x7f80;
  const tie = (decodeExactly(low) + decodeExactly(high)) / 2;
  return sign | (magnitude > tie || (magnitude === tie && low % 2 === 1) ? high : low);
}

/** As a number; infinity's pattern as 2^128, where the next number would be. */
function decodeExactly(bits: number): number {
  const exponent = bits >> 7;
  return exponent === 0 ? bits * 2 ** -133 : (128 + (bits & 127)) * 2 ** (exponent - 134);
}
