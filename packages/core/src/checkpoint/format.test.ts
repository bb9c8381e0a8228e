import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { UnseenError } from "../errors.ts";
import { blockSize, decode, encode, formatBytes, isFloatFormat, rowBytes } from "./format.ts";
import type { FloatFormat, Format } from "./tensor.ts";

const weights = fc.array(fc.double({ min: -1000, max: 1000, noNaN: true }), { minLength: 32, maxLength: 32 });
const bytesOf = (format: FloatFormat, values: readonly number[]): Uint8Array => {
  const bytes = new Uint8Array(rowBytes(format, values.length));
  encode(format, Float64Array.from(values), bytes);
  return bytes;
};
const valuesOf = (format: FloatFormat, bytes: Uint8Array, count: number): number[] => {
  const values = new Float64Array(count);
  decode(format, bytes, values);
  return [...values];
};

test("sizes of rows and matrices", () => {
  assert.deepEqual([rowBytes("F32", 3), rowBytes("BF16", 3), rowBytes("Q8_0", 64), rowBytes("GGML_Q4_K", 512)], [12, 6, 68, 288]);
  assert.equal(formatBytes("F16", 5, 7), 70);
  assert.throws(() => rowBytes("Q8_0", 33), { code: "CHECKPOINT_WRONG_SHAPE" });
  assert.throws(() => blockSize("GGML_Q9_Z" as Format), { code: "CHECKPOINT_DTYPE_UNSUPPORTED" });
  assert.deepEqual(["F32", "Q8_0", "F64", "GGML_Q4_K", "toString"].map(isFloatFormat), [true, true, false, false, false]);
});

test("decoding what was encoded gives the rounded values, and encoding those again the same bytes", () => {
  fc.assert(
    fc.property(weights, fc.constantFrom<FloatFormat>("F32", "F16", "BF16"), (values, format) => {
      const bytes = bytesOf(format, values);
      const rounded = valuesOf(format, bytes, values.length);
      assert.deepEqual(bytesOf(format, rounded), bytes);
      const precision = { F32: 2 ** -24, F16: 2 ** -11, BF16: 2 ** -8 }[format as "F32"];
      rounded.forEach((value, index) => assert.ok(Math.abs(value - values[index]!) <= Math.abs(values[index]!) * precision + 2 ** -25));
    }),
  );
});

test("bytes at odd addresses give the same result", () => {
  for (const format of ["F32", "F16", "BF16", "Q8_0"] as const) {
    const values = Float64Array.from({ length: 32 }, (_, index) => Math.sin(index) * 3);
    const aligned = bytesOf(format, [...values]);
    const odd = new Uint8Array(aligned.length + 3).subarray(1, aligned.length + 1);
    encode(format, values, odd);
    assert.deepEqual([...odd], [...aligned]);
    assert.deepEqual(valuesOf(format, odd, 32), valuesOf(format, aligned, 32));
  }
});

test("Q8_0 quantises as ggml: scale in binary16, halves away from zero, zeros for a zero block", () => {
  // A largest weight of 127 makes the scale exactly 1 (0x3c00), so weights show the rounding.
  const values = [127, 0.5, -0.5, 1.5, -1.5, 2.49, -2.51, 0.49999997, -127, ...Array.from({ length: 23 }, () => 0)];
  const expected = [127, 1, -1, 2, -2, 2, -3, 0, -127, ...Array.from({ length: 23 }, () => 0)];
  const bytes = bytesOf("Q8_0", values);
  assert.deepEqual([bytes[0], bytes[1], ...new Int8Array(bytes.buffer, 2)], [0x00, 0x3c, ...expected]);
  assert.ok(
    bytesOf(
      "Q8_0",
      Array.from({ length: 32 }, () => 0),
    ).every((byte) => byte === 0),
  );
});

test("Q8_0 of a frozen wave equals the bytes that gguf-py's quantiser writes", () => {
  const wave = Array.from({ length: 64 }, (_, index) => ((index * 37) % 101) / 64 - 0.75);
  assert.equal(Buffer.from(bytesOf("Q8_0", wave)).toString("hex"), Q8_WAVE);
});

test("Q8_0 keeps each weight within half a step of its block, and a subnormal block becomes zeros", () => {
  fc.assert(
    fc.property(weights, (values) => {
      const largest = Math.max(...values.map(Math.abs));
      const decoded = valuesOf("Q8_0", bytesOf("Q8_0", values), 32);
      // Half a step, and up to 127 steps of the binary16 rounding of the scale.
      const bound = (largest / 127) * (0.5 + 127 * 2 ** -11) + 127 * 2 ** -24;
      decoded.forEach((value, index) => assert.ok(Math.abs(value - values[index]!) <= bound));
    }),
  );
  assert.deepEqual(
    new Set(
      valuesOf(
        "Q8_0",
        bytesOf(
          "Q8_0",
          Array.from({ length: 32 }, () => 1e-42),
        ),
        32,
      ),
    ),
    new Set([0]),
  );
});

test("what is not finite stays visible after encoding", () => {
  for (const format of ["F32", "F16", "BF16", "Q8_0"] as const) {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1e300]) {
      const decoded = valuesOf(format, bytesOf(format, [value, ...Array.from({ length: 31 }, () => 1)]), 32);
      assert.ok(!Number.isFinite(decoded[0]), `${format} of ${value}`);
    }
  }
});

test("lengths that disagree are refused", () => {
  assert.throws(() => decode("F32", new Uint8Array(5), new Float64Array(1)), RangeError);
  assert.throws(() => encode("BF16", new Float64Array(2), new Uint8Array(3)), RangeError);
  assert.throws(() => encode("Q8_0", new Float64Array(31), new Uint8Array(34)), UnseenError);
});

const Q8_WAVE =
  "8d1e8be540a3fe58bc1670d42e92ec47ab055fc31d78db3699f44eb20c67ca257fe36d1e3e9ffb57b81470d12d8dea46a6025fbf1b78d83495f14dae0a66c7237fe03c9c";
