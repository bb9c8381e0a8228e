/**
 * Vectors modulo the prime 2^61 - 1, on a WebAssembly kernel (`field.as.ts`).
 * @module
 */
import { layoutLimits } from "../layout.ts";
import { fieldBase64 } from "./field.wasm.ts";

/** The prime p = 2^61 - 1: a product of numbers below it takes a few shifts to reduce. */
export const FIELD_PRIME = 2n ** 61n - 1n;

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  holds(v: number, y: number, out: number, u: number, x: number, inputs: number): number;
  holdsExactly(v: number, y: number, out: number, u: number, x: number, inputs: number): number;
  addRow(low: number, high: number, row: number, size: number, factor: bigint): void;
  reduceSums(low: number, high: number, size: number): void;
}

// TypeScript declares WebAssembly in its DOM library only, which a package for Node has no use for.
interface WebAssemblyNamespace {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports?: object) => { readonly exports: unknown };
}
const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyNamespace }).WebAssembly;
const kernel = new Instance(new Module(Buffer.from(fieldBase64, "base64"))).exports as Kernel;
const memory = kernel.memory.buffer;

/** Bytes of the kernel's memory; `build.ts` compiles it in. */
export const kernelBytes = 33 * 2 ** 20;

/** Four vectors of the largest width fit in, 8 bytes a number. */
const SLOT = 8 * layoutLimits.width;
const slots = [0, 1, 2, 3].map((index) => 2 ** 16 + index * SLOT) as [number, number, number, number];
const [first, second, third, fourth] = slots;

/** Draws `count` numbers uniform in F_p; `fill` fills bytes at random. */
export function drawVector(count: number, fill: (bytes: Uint8Array) => unknown): BigUint64Array {
  const numbers = new BigUint64Array(count);
  fill(new Uint8Array(numbers.buffer));
  for (let i = 0; i < count; i += 1) {
    numbers[i] = numbers[i]! & FIELD_PRIME;
    // 61 ones are p itself: once in 2^61 draws, and then drawn again.
    while (numbers[i] === FIELD_PRIME) {
      fill(new Uint8Array(numbers.buffer, 8 * i, 8));
      numbers[i] = numbers[i]! & FIELD_PRIME;
    }
  }
  return numbers;
}

/** v W mod p: v (out) below p, W (out, in) int8, row-major -> (in). */
export function projectWeights(v: BigUint64Array, weights: Int8Array, out: number, inputs: number): BigUint64Array {
  const bytes = new Uint8Array(memory);
  bytes.fill(0, first, first + 8 * inputs);
  bytes.fill(0, second, second + 8 * inputs);
  const row = new Int8Array(memory, third, inputs);
  for (let o = 0; o < out; o += 1) {
    row.set(weights.subarray(o * inputs, (o + 1) * inputs));
    kernel.addRow(first, second, third, inputs, v[o]!);
  }
  kernel.reduceSums(first, second, inputs);
  return new BigUint64Array(memory, first, inputs).slice();
}

/** The first row r of x (count, in) and y (count, out) with v · y_r ≠ u · x_r mod p, or -1; x and y as they are in memory. */
export function firstWrongRow(
  v: BigUint64Array,
  u: BigUint64Array,
  x: Int32Array | Uint32Array,
  y: Int32Array | BigInt64Array,
  count: number,
): number {
  const wide = y instanceof BigInt64Array;
  if (wide !== x instanceof Uint32Array) throw new TypeError("firstWrongRow: expected x of i32 with y of i32, or x of u32 with y of i64.");
  const [out, inputs] = [v.length, u.length];
  new BigUint64Array(memory, first, out).set(v);
  new BigUint64Array(memory, second, inputs).set(u);
  const xs = new Uint32Array(memory, third, inputs);
  const ys = wide ? new BigInt64Array(memory, fourth, out) : new Int32Array(memory, fourth, out);
  const check = wide ? kernel.holdsExactly : kernel.holds;
  for (let r = 0; r < count; r += 1) {
    xs.set(x.subarray(r * inputs, (r + 1) * inputs));
    (ys as { set(numbers: ArrayLike<number | bigint>): void }).set(y.subarray(r * out, (r + 1) * out));
    if (check(first, fourth, out, second, third, inputs) === 0) return r;
  }
  return -1;
}
