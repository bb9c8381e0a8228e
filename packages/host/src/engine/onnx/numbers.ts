/**
 * Number formats as JavaScript sees them: which array holds an ONNX type, and how whole numbers are written into one.
 * @module
 */
import type { OnnxType } from "@unseen/core/checkpoint/onnx.ts";

/** Arrays that cross to the engine process without being copied element by element. */
export type Numbers =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;

/** Types that a request may send. float16 travels as bits: not every runtime can clone a Float16Array between processes. */
export type FeedType = Exclude<OnnxType, "bfloat16" | "string" | "other">;

interface Format {
  readonly bytes: number;
  view(buffer: ArrayBuffer, offset: number, length: number): Numbers;
}

function format(
  Type: { readonly BYTES_PER_ELEMENT: number } & (new (buffer: ArrayBuffer, offset: number, length: number) => Numbers),
): Format {
  return { bytes: Type.BYTES_PER_ELEMENT, view: (buffer, offset, length) => new Type(buffer, offset, length) };
}

const formats: Readonly<Record<FeedType, Format>> = {
  float32: format(Float32Array),
  float64: format(Float64Array),
  float16: format(Uint16Array),
  int8: format(Int8Array),
  uint8: format(Uint8Array),
  bool: format(Uint8Array),
  int16: format(Int16Array),
  uint16: format(Uint16Array),
  int32: format(Int32Array),
  uint32: format(Uint32Array),
  int64: format(BigInt64Array),
  uint64: format(BigUint64Array),
};

/** Whether the engine can be fed numbers of this type. */
export function isFeedType(type: OnnxType): type is FeedType {
  return Object.hasOwn(formats, type);
}

/** Bytes of one number. */
export function bytesOf(type: FeedType): number {
  return formats[type].bytes;
}

/** Packed little-endian bytes as numbers. `bytes` must begin at a multiple of the number's size in its buffer. */
export function numbersOf(type: FeedType, bytes: Uint8Array<ArrayBuffer>): Numbers {
  const { bytes: size, view } = formats[type];
  return view(bytes.buffer, bytes.byteOffset, bytes.byteLength / size);
}

/** Writes small whole numbers of any type: `set(index, value)` on `count` zeros. */
export function wholeNumbers(type: FeedType, count: number): { readonly numbers: Numbers; set(index: number, value: number): void } {
  const buffer = new ArrayBuffer(count * bytesOf(type));
  const numbers = formats[type].view(buffer, 0, count);
  if (type === "int64" || type === "uint64") {
    // The low half alone: a BigInt for each number would cost more than the model's embedding.
    const halves = new Uint32Array(buffer);
    return { numbers, set: (index, value) => void (halves[2 * index] = value) };
  }
  if (type === "float16") return { numbers, set: (index, value) => void (numbers[index] = halfOf(value)) };
  const plain = numbers as Exclude<Numbers, BigInt64Array | BigUint64Array>;
  return { numbers, set: (index, value) => void (plain[index] = value) };
}

/** Numbers of any format as float32; null for formats that hold none. */
export function toFloat32(type: string, data: unknown): Float32Array<ArrayBuffer> | null {
  if (data instanceof Float32Array) return data as Float32Array<ArrayBuffer>;
  if (type === "float16" && data instanceof Uint16Array) return Float32Array.from(data, fromHalf);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float32Array.from(data, Number);
  if (ArrayBuffer.isView(data) && !(data instanceof DataView)) return Float32Array.from(data as unknown as ArrayLike<number>);
  return null;
}

/** IEEE 754 half precision of a whole number from 0 to 2048, where it is exact. */
function halfOf(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(value));
  return ((exponent + 15) << 10) | Math.round((value / 2 ** exponent - 1) * 1024);
}

function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
