/**
 * Operators that make tensors from shapes, attributes and scalars, or change a tensor's type.
 * @module
 */
import type { OnnxTensor, OnnxType } from "../../checkpoint/onnx.ts";
import { fromBfloat16, fromFloat16 } from "../../checkpoint/rounding.ts";
import { isShort, typeOfNumber, type Case, type Evaluator } from "./known-case.ts";
import { SATURATED, countOf, frontAxis, isExact, isFloat, isInteger, rangeOf, scalar, settle, type Known } from "./known-tensor.ts";

/** The content of a stored tensor; null where it is too large, of a type that is not followed or beyond float64's exact integers. */
export function knownFromTensor(tensor: OnnxTensor): Known | null {
  const count = countOf(tensor.shape);
  if (count === null) return null;
  const read = readers[tensor.type];
  if (read === undefined) return null;
  const bytes = tensor.read();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const value = read(view, i);
    if (value === null) return null;
    data[i] = value;
  }
  return { type: tensor.type, shape: tensor.shape, data };
}

const readers: Partial<Record<OnnxType, (view: DataView, index: number) => number | null>> = {
  float32: (view, i) => view.getFloat32(4 * i, true),
  float64: (view, i) => view.getFloat64(8 * i, true),
  float16: (view, i) => fromFloat16(view.getUint16(2 * i, true)),
  bfloat16: (view, i) => fromBfloat16(view.getUint16(2 * i, true)),
  int8: (view, i) => view.getInt8(i),
  uint8: (view, i) => view.getUint8(i),
  int16: (view, i) => view.getInt16(2 * i, true),
  uint16: (view, i) => view.getUint16(2 * i, true),
  int32: (view, i) => view.getInt32(4 * i, true),
  uint32: (view, i) => view.getUint32(4 * i, true),
  int64: (view, i) => fromBig(view.getBigInt64(8 * i, true), -(2n ** 63n), 2n ** 63n - 1n),
  uint64: (view, i) => fromBig(view.getBigUint64(8 * i, true), null, 2n ** 64n - 1n),
  bool: (view, i) => (view.getUint8(i) === 0 ? 0 : 1),
};

/** A 64-bit integer: its extremes saturate, others beyond float64's exact integers are not followed. */
function fromBig(value: bigint, least: bigint | null, greatest: bigint): number | null {
  if (value === greatest) return SATURATED;
  // Exporters also write the greatest number with its sign turned for "before the first".
  if (value === least || (least !== null && value === -greatest)) return -SATURATED;
  return value > -BigInt(SATURATED) && value < BigInt(SATURATED) ? Number(value) : null;
}

/** `Constant` holds its value in one of several attributes; strings and sparse tensors are not followed. */
const constant: Evaluator = (the) => {
  const tensor = the.tensor("value");
  if (tensor !== null) return knownFromTensor(tensor);
  const integer = the.integer("value_int", null);
  if (integer !== null) return scalar("int64", integer);
  const float = the.float("value_float", null);
  if (float !== null) return scalar("float32", Math.fround(float));
  const integers = the.integers("value_ints");
  if (integers !== null) return list("int64", integers);
  const floats = the.floats("value_floats");
  return floats === null ? null : list("float32", floats.map(Math.fround));
};

function list(type: OnnxType, values: readonly number[]): Known | null {
  return countOf([values.length]) === null ? null : { type, shape: [values.length], data: Float64Array.from(values) };
}

const constantOfShape: Evaluator = (the) => {
  const shape = the.requiredList("input", 0);
  if (!isShort(shape)) return null;
  const count = countOf(shape);
  if (count === null) return null;
  const tensor = the.tensor("value");
  if (tensor === null) return { type: "float32", shape, data: new Float64Array(count) };
  const value = knownFromTensor(tensor);
  if (value === null) return null;
  if (value.data.length !== 1) throw the.malformed(`attribute "value": expected one element, got shape [${value.shape}].`);
  return { type: value.type, shape, data: new Float64Array(count).fill(value.data[0]!) };
};

/** Dimensions `start` up to `end`, both counted from the end where negative and clamped (operator set 15 on). */
const shapeOf: Evaluator = (the) => {
  const { shape } = the.input(0);
  const clamp = (axis: number): number => Math.max(0, Math.min(shape.length, axis < 0 ? axis + shape.length : axis));
  const start = clamp(the.integer("start", 0));
  const end = clamp(the.integer("end", shape.length));
  return list("int64", shape.slice(start, Math.max(start, end)));
};

/** Reads nothing but the shape, as {@link shapeOf}: both may be asked about tensors whose content is not there. */
const sizeOf: Evaluator = (the) => {
  const count = the.input(0).shape.reduce((product, size) => product * size, 1);
  return Number.isSafeInteger(count) ? scalar("int64", count) : null;
};

const range: Evaluator = (the) => {
  const [start, limit, delta] = [0, 1, 2].map((index) => the.only(index));
  const inputs = [0, 1, 2].map((index) => the.input(index));
  const { type } = inputs[0]!;
  if (inputs.some((input) => input.type !== type || !isExact(input))) return null;
  if (delta === 0) throw the.malformed("expected a step other than 0.");
  // ONNX Runtime subtracts in the type and divides in double precision, which decides where the last element falls.
  const distance = type === "float32" ? Math.fround(limit! - start!) : limit! - start!;
  const count = Math.max(0, Math.ceil(distance / delta!));
  if (Number.isNaN(count) || count === Number.POSITIVE_INFINITY || countOf([count]) === null) return null;
  return settle(
    type,
    [count],
    Float64Array.from({ length: count }, (_, i) => start! + i * delta!),
  );
};

const eyeLike: Evaluator = (the) => {
  const { shape, type: sourceType } = the.input(0);
  const number = the.integer("dtype", null);
  const type = number === null ? sourceType : typeOfNumber(number);
  if (type === null) return null;
  if (shape.length !== 2) throw the.malformed(`expected a matrix, got shape [${shape}].`);
  const [rows, columns] = shape as [number, number];
  const k = the.integer("k", 0);
  const data = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) if (row + k >= 0 && row + k < columns) data[row * columns + row + k] = 1;
  return { type, shape, data };
};

/** Floats truncate toward zero and integers wrap; what C leaves undefined (a float outside the type's range, NaN) is not followed. */
function cast(input: Known, type: OnnxType | null): Known | null {
  if (type === null) return null;
  if (type === input.type) return input;
  if (type === "bool") return settle(type, input.shape, input.data.slice());
  if (!isExact(input)) return null;
  const limits = rangeOf(type);
  if (limits === null || !isFloat(input.type)) return settle(type, input.shape, input.data.slice());
  const data = input.data.map(Math.trunc);
  return data.every((value) => value >= limits[0] && value <= limits[1]) ? settle(type, input.shape, data) : null;
}

const castTo: Evaluator = (the: Case) => {
  if (the.opset < 6) return null;
  const number = the.integer("to", null);
  if (number === null) throw the.malformed(`attribute "to" is missing.`);
  return cast(the.input(0), typeOfNumber(number));
};

const castLike: Evaluator = (the) => {
  const { type } = the.input(1);
  return cast(the.input(0), isFloat(type) || isInteger(type) || type === "bool" ? type : null);
};

/** Adds a one-hot axis: `on` where it equals the index, negative ones counted from the end; indices out of range select nothing. */
const oneHot: Evaluator = (the) => {
  const [indices, values] = [the.input(0), the.input(2)];
  const depth = Math.trunc(the.only(1) ?? Number.NaN);
  if (!(depth >= 1)) throw the.malformed(`expected a depth of at least 1, got ${depth}.`);
  if (values.shape.length !== 1 || values.data.length !== 2)
    throw the.malformed(`expected the values off and on, got shape [${values.shape}].`);
  const axis = frontAxis(the.integer("axis", -1), indices.shape.length + 1, the.operator);
  const shape = indices.shape.toSpliced(axis, 0, depth);
  const count = countOf(shape);
  if (count === null || !isExact(indices)) return null;
  const data = new Float64Array(count).fill(values.data[0]!);
  const inner = indices.shape.slice(axis).reduce((product, size) => product * size, 1);
  for (let i = 0; i < indices.data.length; i++) {
    const index = Math.trunc(indices.data[i]!);
    const chosen = index < 0 ? index + depth : index;
    if (chosen >= 0 && chosen < depth) data[(Math.floor(i / inner) * depth + chosen) * inner + (i % inner)] = values.data[1]!;
  }
  return { type: values.type, shape, data };
};

/** Creating and casting operators by name. */
export const creation: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ["Constant", constant],
  ["ConstantOfShape", constantOfShape],
  ["Identity", (the) => the.input(0)],
  ["Shape", shapeOf],
  ["Size", sizeOf],
  ["Range", range],
  ["EyeLike", eyeLike],
  ["OneHot", oneHot],
  ["Cast", castTo],
  ["CastLike", castLike],
]);
