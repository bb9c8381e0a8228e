/**
 * Small tensors with known content: their shape arithmetic and how their numbers round.
 * Shapes come from files of strangers, so every product is bounded before anything is allocated.
 * @module
 */
import { malformed } from "../../checkpoint/checks.ts";
import type { OnnxType } from "../../checkpoint/onnx.ts";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "../../checkpoint/rounding.ts";

/** A small tensor with known content. Integers and booleans are held as float64, exact to 2^53. */
export interface Known {
  readonly type: OnnxType;
  readonly shape: readonly number[];
  /** Row-major. In 64-bit integers +-{@link SATURATED} stands for the type's extreme, which files use for "to the end". */
  readonly data: Float64Array;
}

/** Elements above which content is not followed (CWE-770). */
export const KNOWN_LIMIT = 1 << 20;
/** Dimensions above which content is not followed (CWE-770); real shape arithmetic needs 6. */
export const KNOWN_RANK_LIMIT = 16;
/** Elementary steps that one operator may take (CWE-400). */
export const KNOWN_WORK_LIMIT = 1 << 26;
/** What the greatest and, negated, the least 64-bit integer become. */
export const SATURATED = Number.MAX_SAFE_INTEGER;

/** Number types that float64 holds, with their widths in bits and whether they have a sign. */
const integers: Partial<Record<OnnxType, { readonly bits: number; readonly signed: boolean }>> = {
  int8: { bits: 8, signed: true },
  uint8: { bits: 8, signed: false },
  int16: { bits: 16, signed: true },
  uint16: { bits: 16, signed: false },
  int32: { bits: 32, signed: true },
  uint32: { bits: 32, signed: false },
  int64: { bits: 64, signed: true },
  uint64: { bits: 64, signed: false },
};

/** Whether a type is one of the eight integer types; bool is not. */
export function isInteger(type: OnnxType): boolean {
  return type in integers;
}

/** Whether a type is one of the four floating-point types. */
export function isFloat(type: OnnxType): boolean {
  return type === "float32" || type === "float64" || type === "float16" || type === "bfloat16";
}

/** Elements of a shape, or null beyond the limits of what is followed. Throws `CHECKPOINT_MALFORMED` for a dimension that is no count. */
export function countOf(shape: readonly number[]): number | null {
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0)
      throw malformed(`a shape: expected dimensions that are non-negative integers, got ${size}.`);
    count *= size;
  }
  // A zero among huge sizes makes NaN or 0; both are caught by asking for what is allowed.
  return shape.length <= KNOWN_RANK_LIMIT && count <= KNOWN_LIMIT ? count : null;
}

/** Elements that lie between neighbours along each axis of a row-major shape. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (const size of shape.toReversed()) {
    strides.push(stride);
    stride *= size;
  }
  return strides.toReversed();
}

/** Counts an axis from the front. Throws `CHECKPOINT_MALFORMED` outside `[-rank, rank)`. */
export function frontAxis(axis: number, rank: number, where: string): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank)
    throw malformed(`${where}: expected an axis from ${-rank} up to ${rank - 1}, got ${axis}.`);
  return axis < 0 ? axis + rank : axis;
}

/** NumPy broadcasting of two shapes. Throws `CHECKPOINT_MALFORMED` where two sizes differ and neither is 1. */
export function broadcastShapes(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) throw malformed(`shapes [${a}] and [${b}] cannot be broadcast together.`);
    return left === 1 ? right : left;
  });
}

/** The strides under which a tensor of shape `from` reads as one of shape `to`, to which it must broadcast. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(from);
  const missing = to.length - from.length;
  return to.map((_, axis) => (axis < missing || from[axis - missing] === 1 ? 0 : strides[axis - missing]!));
}

/**
 * Calls `visit(position, place)` for each element of a strided view: its row-major position in the view's shape and its place in
 * the data. Rows are walked by addition alone, which keeps a million elements in the milliseconds.
 */
export function walk(
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
  visit: (position: number, place: number) => void,
): void {
  const rank = shape.length;
  const total = shape.reduce((product, size) => product * size, 1);
  const columns = shape[rank - 1] ?? 1;
  // An axis of one element is never stepped along; its stride may be too great to add and take away without loss.
  const steps = strides.map((stride, axis) => (shape[axis] === 1 ? 0 : stride));
  const step = steps[rank - 1] ?? 0;
  const counters = shape.map(() => 0);
  let place = offset;
  for (let position = 0; position < total;) {
    for (let column = 0; column < columns; column++) visit(position++, place + column * step);
    for (let axis = rank - 2; axis >= 0; axis--) {
      place += steps[axis]!;
      if (++counters[axis]! < shape[axis]!) break;
      place -= counters[axis]! * steps[axis]!;
      counters[axis] = 0;
    }
  }
}

/** The elements of a strided view, row-major. The caller has bounded the shape with {@link countOf}. */
export function readView(data: Float64Array, shape: readonly number[], strides: readonly number[], offset = 0): Float64Array {
  const view = new Float64Array(shape.reduce((product, size) => product * size, 1));
  walk(shape, strides, offset, (position, place) => {
    view[position] = data[place]!;
  });
  return view;
}

/** Writes row-major `source` through a strided view into `target`. */
export function writeView(
  target: Float64Array,
  source: Float64Array,
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): void {
  walk(shape, strides, offset, (position, place) => {
    target[place] = source[position]!;
  });
}

/** The content of `known` broadcast to a shape that {@link countOf} has bounded. */
export function broadcastData(known: Known, shape: readonly number[]): Float64Array {
  if (known.shape.length === shape.length && known.shape.every((size, axis) => size === shape[axis])) return known.data;
  return readView(known.data, shape, broadcastStrides(known.shape, shape));
}

/** Axes with those of `last` moved to the end, in order: how lines along an axis become contiguous. */
export function axesLast(rank: number, last: readonly number[]): number[] {
  const moved = new Set(last);
  return [...Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !moved.has(axis)), ...last];
}

const single = new Float32Array(1);

/**
 * Computed numbers as a tensor of a type: floats rounded to it once, integers wrapped into it. Null where an integer left what
 * float64 holds exactly, and for types whose content is not followed. Rounds in place.
 */
export function settle(type: OnnxType, shape: readonly number[], data: Float64Array): Known | null {
  if (type === "float32") {
    for (let i = 0; i < data.length; i++) {
      single[0] = data[i]!;
      data[i] = single[0];
    }
  } else if (type === "float16") {
    for (let i = 0; i < data.length; i++) data[i] = fromFloat16(toFloat16(data[i]!));
  } else if (type === "bfloat16") {
    for (let i = 0; i < data.length; i++) data[i] = fromBfloat16(toBfloat16(data[i]!));
  } else if (type === "bool") {
    for (let i = 0; i < data.length; i++) data[i] = data[i] === 0 ? 0 : 1;
  } else if (type !== "float64") {
    const integer = integers[type];
    if (integer === undefined) return null;
    const { bits, signed } = integer;
    for (let i = 0; i < data.length; i++) {
      const value = data[i]!;
      if (!(Math.abs(value) < SATURATED) || !Number.isInteger(value)) return null;
      data[i] = wrap(value, bits, signed);
    }
    if (type === "uint64" && data.some((value) => value < 0)) return null;
  }
  return { type, shape, data };
}

/** Two's complement: the number that a type of so many bits keeps of an exact integer. */
function wrap(value: number, bits: number, signed: boolean): number {
  if (bits === 64) return value + 0;
  const span = 2 ** bits;
  const rest = value - Math.floor(value / span) * span;
  return signed && rest >= span / 2 ? rest - span : rest;
}

/** The least and the greatest number of an integer type; of 64-bit ones those that float64 holds exactly. Null for other types. */
export function rangeOf(type: OnnxType): readonly [number, number] | null {
  const integer = integers[type];
  if (integer === undefined) return null;
  const { bits, signed } = integer;
  if (bits === 64) return [signed ? 1 - SATURATED : 0, SATURATED - 1];
  return signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
}

/** Whether no element stands for an extreme that is not exactly known: only then may one calculate with it. */
export function isExact({ type, data }: Known): boolean {
  return (type !== "int64" && type !== "uint64") || data.every((value) => Math.abs(value) < SATURATED);
}

/** A scalar. */
export function scalar(type: OnnxType, value: number): Known {
  return { type, shape: [], data: Float64Array.of(value) };
}
