/**
 * Number formats: how many bytes rows of weights take, and how bytes become float64 and back.
 * @module
 */
import { UnseenError } from "../errors.ts";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "./rounding.ts";
import type { FloatFormat, Format } from "./tensor.ts";

/** Weights that are stored together, and the bytes they take. */
export interface BlockSize {
  readonly weights: number;
  readonly bytes: number;
}

const one = (bytes: number): BlockSize => ({ weights: 1, bytes });
const quantised = (weights: number, bytes: number): BlockSize => ({ weights, bytes });

/** ggml's block formats beside safetensors' plain ones (`ggml-common.h`, `GGML_QUANT_SIZES` of gguf-py). */
const BLOCKS: ReadonlyMap<string, BlockSize> = new Map([
  ["F64", one(8)],
  ["F32", one(4)],
  ["F16", one(2)],
  ["BF16", one(2)],
  ["F8_E4M3", one(1)],
  ["F8_E5M2", one(1)],
  ["I64", one(8)],
  ["I32", one(4)],
  ["I16", one(2)],
  ["I8", one(1)],
  ["U64", one(8)],
  ["U32", one(4)],
  ["U16", one(2)],
  ["U8", one(1)],
  ["BOOL", one(1)],
  ["Q8_0", quantised(32, 34)],
  ["GGML_Q4_0", quantised(32, 18)],
  ["GGML_Q4_1", quantised(32, 20)],
  ["GGML_Q5_0", quantised(32, 22)],
  ["GGML_Q5_1", quantised(32, 24)],
  ["GGML_Q2_K", quantised(256, 84)],
  ["GGML_Q3_K", quantised(256, 110)],
  ["GGML_Q4_K", quantised(256, 144)],
  ["GGML_Q5_K", quantised(256, 176)],
  ["GGML_Q6_K", quantised(256, 210)],
  ["GGML_IQ2_XXS", quantised(256, 66)],
  ["GGML_IQ2_XS", quantised(256, 74)],
  ["GGML_IQ2_S", quantised(256, 82)],
  ["GGML_IQ3_XXS", quantised(256, 98)],
  ["GGML_IQ3_S", quantised(256, 110)],
  ["GGML_IQ1_S", quantised(256, 50)],
  ["GGML_IQ1_M", quantised(256, 56)],
  ["GGML_IQ4_NL", quantised(32, 18)],
  ["GGML_IQ4_XS", quantised(256, 136)],
  ["GGML_TQ1_0", quantised(256, 54)],
  ["GGML_TQ2_0", quantised(256, 66)],
  ["GGML_MXFP4", quantised(32, 17)],
  ["GGML_NVFP4", quantised(64, 36)],
  ["GGML_Q1_0", quantised(128, 18)],
]);

/** The weights and bytes of a format's smallest unit. Throws `CHECKPOINT_DTYPE_UNSUPPORTED` for a format without a known size. */
export function blockSize(format: Format): BlockSize {
  const block = BLOCKS.get(format);
  if (!block)
    throw new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", `number format ${format} has no known size.`, {
      hint: "Convert the checkpoint to F32, F16 or BF16 first.",
    });
  return block;
}

/** Whether weights of this format can be transformed. */
export function isFloatFormat(format: string): format is FloatFormat {
  return format === "F32" || format === "F16" || format === "BF16" || format === "Q8_0";
}

/** Bytes of a row of `columns` weights. Throws `CHECKPOINT_WRONG_SHAPE` where a row would end inside a block. */
export function rowBytes(format: Format, columns: number): number {
  const { weights, bytes } = blockSize(format);
  if (columns % weights !== 0) {
    throw new UnseenError("CHECKPOINT_WRONG_SHAPE", `a row of ${format} must hold a multiple of ${weights} weights, got ${columns}.`, {
      hint: "Use F16 or BF16 for this tensor.",
    });
  }
  return (columns / weights) * bytes;
}

/** Bytes of a `(rows, columns)` matrix. Throws as {@link rowBytes}. */
export function formatBytes(format: Format, rows: number, columns: number): number {
  return rows * rowBytes(format, columns);
}

/** Float64 values of packed weights, exactly. Throws `RangeError` if the lengths disagree. */
export function decode(format: FloatFormat, bytes: Uint8Array, into: Float64Array): void {
  checkLengths(format, bytes, into.length);
  switch (format) {
    case "F32":
      return into.set(view(Float32Array, bytes));
    case "BF16": {
      const halves = view(Uint16Array, bytes);
      for (let index = 0; index < into.length; index++) into[index] = fromBfloat16(halves[index]!);
      return;
    }
    case "F16": {
      const halves = view(Uint16Array, bytes);
      for (let index = 0; index < into.length; index++) into[index] = fromFloat16(halves[index]!);
      return;
    }
    case "Q8_0":
      return decodeQ8(bytes, into);
  }
}

/**
 * Packed weights of float64 values, each rounded once to nearest, ties to even; `Q8_0` as ggml's reference quantiser.
 * What lies beyond the format becomes an infinity, which the caller must look for. Throws `RangeError` if the lengths disagree.
 */
export function encode(format: FloatFormat, values: Float64Array, into: Uint8Array): void {
  checkLengths(format, into, values.length);
  if (format === "Q8_0") return encodeQ8(values, into);
  const width = format === "F32" ? 4 : 2;
  // A view needs alignment; without it the bytes take a detour.
  const bytes = into.byteOffset % width === 0 ? into : new Uint8Array(into.length);
  if (format === "F32") view(Float32Array, bytes).set(values);
  else {
    const halves = view(Uint16Array, bytes);
    if (format === "BF16") for (let index = 0; index < values.length; index++) halves[index] = toBfloat16(values[index]!);
    else for (let index = 0; index < values.length; index++) halves[index] = toFloat16(values[index]!);
  }
  if (bytes !== into) into.set(bytes);
}

const Q8_WEIGHTS = 32;
const Q8_BYTES = 34; // f16 scale, then 32 int8

function decodeQ8(bytes: Uint8Array, into: Float64Array): void {
  for (let block = 0, at = 0; at < bytes.length; block++, at += Q8_BYTES) {
    const scale = fromFloat16(bytes[at]! | (bytes[at + 1]! << 8));
    for (let index = 0; index < Q8_WEIGHTS; index++) into[block * Q8_WEIGHTS + index] = scale * ((bytes[at + 2 + index]! << 24) >> 24);
  }
}

/** `quantize_row_q8_0_ref`: every step in float32, the quotient by the reciprocal, halves away from zero. */
function encodeQ8(values: Float64Array, into: Uint8Array): void {
  const block = new Float32Array(Q8_WEIGHTS);
  for (let start = 0, at = 0; start < values.length; start += Q8_WEIGHTS, at += Q8_BYTES) {
    block.set(values.subarray(start, start + Q8_WEIGHTS));
    let largest = 0;
    for (let index = 0; index < Q8_WEIGHTS; index++) largest = Math.max(largest, Math.abs(block[index]!));
    const scale = Math.fround(largest / 127);
    const half = toFloat16(scale);
    into[at] = half & 0xff;
    into[at + 1] = half >>> 8;
    // A subnormal scale has no finite reciprocal; its binary16 is zero, so the weights are zeros whatever is written.
    const reciprocal = Math.fround(1 / scale);
    if (!Number.isFinite(reciprocal)) into.fill(0, at + 2, at + Q8_BYTES);
    else {
      for (let index = 0; index < Q8_WEIGHTS; index++) {
        const scaled = Math.fround(block[index]! * reciprocal);
        into[at + 2 + index] = (scaled + (scaled < 0 ? -0.5 : 0.5)) | 0; // truncates
      }
    }
  }
}

function checkLengths(format: FloatFormat, bytes: Uint8Array, weights: number): void {
  const expected = rowBytes(format, weights);
  if (bytes.length !== expected) throw new RangeError(`${weights} weights of ${format} take ${expected} bytes, got ${bytes.length}.`);
}

/** The bytes as little-endian numbers (every platform of Node but s390x), copied where they do not lie aligned. */
function view<T>(
  array: { new (buffer: ArrayBufferLike, offset: number, length: number): T; BYTES_PER_ELEMENT: number },
  bytes: Uint8Array,
): T {
  const aligned = bytes.byteOffset % array.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new array(aligned.buffer, aligned.byteOffset, bytes.length / array.BYTES_PER_ELEMENT);
}
