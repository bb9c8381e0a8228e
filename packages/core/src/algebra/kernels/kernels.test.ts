import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decode, encode, rowBytes } from "../../checkpoint/format.ts";
import { allocateBytes, allocateNumbers, allocatePanel, withArena } from "../panel.ts";
import * as operations from "../panel-operations.ts";
import { deriveRandom, permutation, type RandomStream } from "../random.ts";
import * as stored from "../stored.ts";
import { compileKernels } from "./build.ts";
import { kernels } from "./kernels.ts";
import { kernelsBase64 } from "./kernels.wasm.ts";

const master = new Uint8Array(32).fill(2);
const formats = ["F32", "F16", "BF16"] as const;

test("the embedded kernels are what their source compiles to, and this engine runs them", async () => {
  assert.equal(Buffer.from(await compileKernels()).toString("base64"), kernelsBase64, "run npm run build:kernels");
  assert.ok(kernels);
});

/** Runs an operation on a plain array and on the same numbers in kernel memory. */
function assertSame(length: number, random: RandomStream, run: (panel: Float64Array) => Float64Array | void): void {
  const numbers = Float64Array.from({ length }, () => random.gaussian());
  withArena(() => {
    const fast = allocateNumbers(numbers);
    assert.equal(fast.buffer, kernels!.memory.buffer);
    const plain = Float64Array.from(numbers);
    const plainResult = run(plain) ?? plain;
    const fastResult = run(fast) ?? fast;
    plainResult.forEach((value, i) =>
      assert.ok(Math.abs(value - fastResult[i]!) <= 1e-12 * (1 + Math.abs(value)), `${i}: JavaScript ${value}, kernels ${fastResult[i]}`),
    );
  });
}

test("every panel operation gives the same in the kernels and in JavaScript", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 20 }), (size, half) => {
      const random = deriveRandom(master, `${size}/${half}`);
      const width = 2 * half;
      const numbers = (n: number): Float64Array => Float64Array.from({ length: n }, () => random.gaussian());
      const [order, scale, matrix, amount] = [permutation(random, size), numbers(size), numbers(size * size), numbers(width)];
      assertSame(size * width, random, (panel) => operations.gatherRows(panel, width, order, scale));
      assertSame(size * width, random, (panel) => operations.gatherRows(panel, width, order, null));
      assertSame(size * width, random, (panel) => operations.scaleRows(panel, size, width, scale));
      assertSame(3 * size * width, random, (panel) => operations.multiplyDense(panel, size, width, matrix, 3));
      assertSame(size * width, random, (panel) => operations.weightedSum(panel, size, width, scale));
      assertSame(size * width, random, (panel) => operations.weightedSum(panel, size, width, null));
      assertSame(size * width, random, (panel) => operations.addOuter(panel, size, width, scale, amount, 1.5));
      assertSame(size * width, random, (panel) => operations.addOuter(panel, size, width, null, amount, -1));
      assertSame(size * width, random, (panel) => operations.reflect(panel, size, width, scale, 0.3));
      for (const layout of ["half", "interleaved"] as const)
        assertSame(2 * size * width, random, (panel) => operations.rotatePairs(panel, width, layout, scale, matrix.slice(0, size)));
    }),
    { numRuns: 40 },
  );
});

test("the Walsh-Hadamard kernel gives the same as JavaScript at every power of two and around the cache limit", () => {
  for (let size = 1; size <= 4096; size *= 2)
    for (const width of [2, 8, 24])
      assertSame(size * width, deriveRandom(master, "hadamard"), (panel) =>
        operations.transformHadamard(panel, size, width, 1 / Math.sqrt(size)),
      );
});

test("Walsh-Hadamard equals its definition (-1)^popcount(i & j)", () => {
  const size = 64;
  const panel = new Float64Array(size * size);
  for (let i = 0; i < size; i++) panel[i * size + i] = 1;
  operations.transformHadamard(panel, size, size, 1);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) assert.equal(panel[j * size + i], (i & j).toString(2).replaceAll("0", "").length % 2 === 0 ? 1 : -1);
});

/** Numbers at which rounding is delicate: ties, their float64 neighbours, subnormals, the ends of the range. */
const delicate = fc
  .tuple(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(...formats), fc.integer({ min: -2, max: 2 }), fc.boolean())
  .map(([code, format, step, tie]) => {
    const around = new Float64Array(2);
    const codes = Uint16Array.of(code, code + 1);
    decode(format === "F32" ? "BF16" : format, new Uint8Array(codes.buffer), around);
    const bits = new BigInt64Array(1);
    const value = new Float64Array(bits.buffer);
    value[0] = tie ? (around[0]! + around[1]!) / 2 : around[0]!;
    if (!Number.isFinite(value[0])) return 1e300;
    bits[0]! += BigInt(step);
    return value[0];
  });

test("encoding in the kernels rounds once, bit for bit like the plain formats, and reports overflow", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...formats),
      fc.boolean(),
      fc.array(fc.oneof(delicate, fc.double({ noNaN: true }), fc.float({ noNaN: true })), { minLength: 64, maxLength: 64 }),
      (format, transposed, list) => {
        const values = Float64Array.from(list); // (8, 8)
        const expected = new Uint8Array(rowBytes(format, 64));
        encode(format, values, expected);
        const back = new Float64Array(64);
        decode(format, expected, back);
        const finite = back.every(Number.isFinite);
        for (const fast of [true, false]) {
          withArena(() => {
            const panel = fast ? allocatePanel(8, 8) : new Float64Array(64);
            const bytes = fast ? allocateBytes(expected.length) : new Uint8Array(expected.length);
            const tile = { bytes, at: 0, stride: rowBytes(format, 8), format };
            const part = { panel, at: 0, width: 8 };
            if (transposed) for (let i = 0; i < 64; i++) panel[i] = values[(i % 8) * 8 + Math.floor(i / 8)]!;
            else panel.set(values);
            assert.equal(transposed ? stored.encodeTransposed(tile, part, 8) : stored.encodeColumns(tile, part, 8), finite, "finite");
            if (finite) assert.deepEqual(Uint8Array.from(bytes), expected);
          });
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test("decoding in the kernels is exact for every 16-bit code, and finds every NaN and infinity", () => {
  for (const format of ["F16", "BF16"] as const) {
    for (let code = 0; code < 0x10000; code += 64) {
      const codes = new Uint8Array(Uint16Array.from({ length: 64 }, (_, i) => code + i).buffer);
      const expected = new Float64Array(64);
      decode(format, codes, expected);
      withArena(() => {
        const bytes = allocateBytes(128);
        bytes.set(codes);
        const part = { panel: allocatePanel(8, 8), at: 0, width: 8 };
        const tile = { bytes, at: 0, stride: 16, format };
        const finite = expected.every(Number.isFinite);
        assert.equal(stored.decodeColumns(part, tile, 8), finite);
        assert.equal(stored.areFinite(bytes, format), finite);
        if (finite) assert.deepEqual(Float64Array.from(part.panel), expected);
        assert.equal(stored.decodeTransposed(part, tile, 8), finite);
        if (finite) for (let i = 0; i < 64; i++) assert.ok(Object.is(part.panel[(i % 8) * 8 + Math.floor(i / 8)], expected[i]));
      });
    }
  }
  for (const bad of [Number.NaN, Infinity, -Infinity])
    for (let at = 0; at < 64; at++)
      withArena(() => {
        const values = new Float32Array(64);
        values[at] = bad;
        const bytes = allocateBytes(256);
        bytes.set(new Uint8Array(values.buffer));
        const part = { panel: allocatePanel(8, 8), at: 0, width: 8 };
        const tile = { bytes, at: 0, stride: 32, format: "F32" as const };
        assert.equal(stored.decodeColumns(part, tile, 8), false);
        assert.equal(stored.decodeTransposed(part, tile, 8), false);
        assert.equal(stored.areFinite(bytes, "F32"), false);
      });
});

test("panels that do not fit into kernel memory are ordinary arrays, and the arena is free again afterwards", () => {
  const first = withArena(() => allocatePanel(16, 8).byteOffset);
  withArena(() => {
    const huge = allocatePanel(2 ** 20, 16);
    assert.notEqual(huge.buffer, kernels!.memory.buffer);
    assert.equal(huge.length, 2 ** 24);
  });
  assert.throws(() =>
    withArena(() => {
      allocatePanel(1024, 8);
      throw new Error("inside");
    }),
  );
  assert.equal(
    withArena(() => allocatePanel(16, 8).byteOffset),
    first,
  );
});
