/**
 * ONNX's element types by number, their sizes, and the field of a `TensorProto` that holds them.
 * @module
 */
import { UnseenError } from "../errors.ts";
import { MAXIMUM_RANK, malformed, tooLarge } from "./checks.ts";
import type { OnnxType } from "./onnx.ts";

/** Fields of `TensorProto`, by their names in `onnx.proto`. */
export const TensorField = {
  dims: 1,
  dataType: 2,
  segment: 3,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  docString: 12,
  externalData: 13,
  dataLocation: 14,
} as const;

/** An element type as a file numbers it. */
export interface ElementType {
  readonly type: OnnxType;
  /** Bits of one element; 4-bit elements share bytes. */
  readonly bits: number;
  /** The typed field that may hold the elements, and how many bytes one of its numbers stands for. */
  readonly field: number;
  readonly entryBytes: number;
}

const { floatData, int32Data, int64Data, doubleData, uint64Data, stringData } = TensorField;
const entry = (type: OnnxType, bits: number, field: number, entryBytes = bits / 8): ElementType => ({ type, bits, field, entryBytes });

/** `TensorProto.DataType`. The 6-bit floats have no settled packing and are refused. */
const ELEMENT_TYPES: ReadonlyMap<number, ElementType> = new Map([
  [1, entry("float32", 32, floatData)],
  [2, entry("uint8", 8, int32Data)],
  [3, entry("int8", 8, int32Data)],
  [4, entry("uint16", 16, int32Data)],
  [5, entry("int16", 16, int32Data)],
  [6, entry("int32", 32, int32Data)],
  [7, entry("int64", 64, int64Data)],
  [8, entry("string", 0, stringData)],
  [9, entry("bool", 8, int32Data)],
  [10, entry("float16", 16, int32Data)],
  [11, entry("float64", 64, doubleData)],
  [12, entry("uint32", 32, uint64Data)],
  [13, entry("uint64", 64, uint64Data)],
  [14, entry("other", 64, floatData, 4)], // complex64
  [15, entry("other", 128, doubleData, 8)], // complex128
  [16, entry("bfloat16", 16, int32Data)],
  [17, entry("other", 8, int32Data)], // float8e4m3fn
  [18, entry("other", 8, int32Data)], // float8e4m3fnuz
  [19, entry("other", 8, int32Data)], // float8e5m2
  [20, entry("other", 8, int32Data)], // float8e5m2fnuz
  [21, entry("other", 4, int32Data, 1)], // uint4
  [22, entry("other", 4, int32Data, 1)], // int4
  [23, entry("other", 4, int32Data, 1)], // float4e2m1
  [24, entry("other", 8, int32Data)], // float8e8m0
  [25, entry("other", 2, int32Data, 1)], // uint2
  [26, entry("other", 2, int32Data, 1)], // int2
]);

const NUMBERS: ReadonlyMap<OnnxType, number> = new Map(
  [...ELEMENT_TYPES].filter(([, { type }]) => type !== "other").map(([number, { type }]) => [type, number]),
);

/** Throws `CHECKPOINT_DTYPE_UNSUPPORTED`. */
export function elementType(number: number, where: string): ElementType {
  const type = ELEMENT_TYPES.get(number);
  if (!type) throw unsupported(`${where}: unknown element type ${number}.`);
  return type;
}

/** The number of a type. Throws `CHECKPOINT_DTYPE_UNSUPPORTED` for `other`. */
export function elementNumber(type: OnnxType, where: string): number {
  const number = NUMBERS.get(type);
  if (number === undefined) throw unsupported(`${where}: tensors of type ${type} cannot be written.`);
  return number;
}

/** Bytes of packed elements. Throws where a dimension is no count or the product overflows (CWE-190). */
export function packedBytes(bits: number, shape: readonly number[], where: string): number {
  const count = elementCount(shape, where);
  const bytes = Math.ceil((count * bits) / 8);
  if (!Number.isSafeInteger(count * bits)) throw tooLarge(`${where}: its size exceeds 2^53 bits.`);
  return bytes;
}

/** The product of the dimensions. Throws as {@link packedBytes}. */
export function elementCount(shape: readonly number[], where: string): number {
  if (shape.length > MAXIMUM_RANK) throw tooLarge(`${where}: ${shape.length} dimensions exceed the limit of ${MAXIMUM_RANK}.`);
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0)
      throw malformed(`${where}: expected dimensions that are non-negative integers, got ${size}.`);
    count *= size;
    if (!Number.isSafeInteger(count)) throw tooLarge(`${where}: the product of the dimensions exceeds 2^53.`);
  }
  return count;
}

/** Bytes of a tensor of a type that can be written. Throws as {@link packedBytes} and {@link elementNumber}. */
export function tensorSize(type: OnnxType, shape: readonly number[], where: string): number {
  if (type === "string") throw unsupported(`${where}: tensors of texts cannot be written.`);
  return packedBytes(elementType(elementNumber(type, where), where).bits, shape, where);
}

function unsupported(message: string): UnseenError {
  return new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", message, { hint: "Export the model with float32 or float16 weights." });
}
