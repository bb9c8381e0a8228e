/**
 * Operators that only move, repeat or drop elements. Each is a strided view, read once.
 * @module
 */
import { isShort, type Case, type Evaluator } from "./known-case.ts";
import {
  SATURATED,
  broadcastData,
  broadcastShapes,
  countOf,
  frontAxis,
  readView,
  settle,
  stridesOf,
  writeView,
  type Known,
} from "./known-tensor.ts";

/** The same elements under another shape. */
function reshaped({ type, data }: Known, shape: readonly number[]): Known | null {
  return countOf(shape) === null ? null : { type, shape, data };
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total * size, 1);
}

/** Axes counted from the front, each at most once; `rank` is what negative ones count from. Null where they are too many. */
function axesOf(the: Case, list: readonly number[], rank: number): number[] | null {
  if (!isShort(list)) return null;
  const axes = list.map((axis) => frontAxis(axis, rank, the.operator));
  if (new Set(axes).size !== axes.length) throw the.malformed(`expected each axis once, got [${list}].`);
  return axes;
}

/** 0 keeps a size (unless `allowzero`), one -1 takes what is left. */
const reshape: Evaluator = (the) => {
  const input = the.input(0);
  const list = the.requiredList("shape", 1);
  if (!isShort(list)) return null;
  const keepsZero = the.integer("allowzero", 0) === 1;
  const wrong = (): Error => the.malformed(`shape [${input.shape}] cannot become [${list}].`);
  const shape = list.map((size, axis) => {
    if (size !== 0 || keepsZero) return size;
    const kept = input.shape[axis];
    if (kept === undefined) throw wrong();
    return kept;
  });
  const open = shape.indexOf(-1);
  if (open >= 0) {
    const rest = product(shape.toSpliced(open, 1));
    if (rest === 0 || input.data.length % rest !== 0) throw wrong();
    shape[open] = input.data.length / rest;
  }
  if (shape.some((size) => size < 0) || product(shape) !== input.data.length) throw wrong();
  return reshaped(input, shape);
};

const flatten: Evaluator = (the) => {
  const input = the.input(0);
  const rank = input.shape.length;
  const axis = the.integer("axis", 1);
  const place = axis === rank ? rank : frontAxis(axis, rank, the.operator);
  return reshaped(input, [product(input.shape.slice(0, place)), product(input.shape.slice(place))]);
};

const squeeze: Evaluator = (the) => {
  const input = the.input(0);
  const list = the.list("axes", 1);
  if (list === null)
    return reshaped(
      input,
      input.shape.filter((size) => size !== 1),
    );
  const axes = axesOf(the, list, input.shape.length);
  if (axes === null) return null;
  for (const axis of axes) {
    if (input.shape[axis] !== 1) throw the.malformed(`expected size 1 on axis ${axis}, got shape [${input.shape}].`);
  }
  return reshaped(
    input,
    input.shape.filter((_, axis) => !axes.includes(axis)),
  );
};

const unsqueeze: Evaluator = (the) => {
  const input = the.input(0);
  const list = the.requiredList("axes", 1);
  if (!isShort(list)) return null;
  const rank = input.shape.length + list.length;
  const axes = new Set(axesOf(the, list, rank));
  const sizes = input.shape.values();
  return reshaped(
    input,
    Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : sizes.next().value!)),
  );
};

const transpose: Evaluator = (the) => {
  const { type, shape, data } = the.input(0);
  const rank = shape.length;
  const order = axesOf(the, the.integers("perm") ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis), rank);
  if (order === null) return null;
  if (order.length !== rank) throw the.malformed(`expected ${rank} axes, got [${order}].`);
  const strides = stridesOf(shape);
  const turned = order.map((axis) => shape[axis]!);
  return {
    type,
    shape: turned,
    data: readView(
      data,
      turned,
      order.map((axis) => strides[axis]!),
    ),
  };
};

const expand: Evaluator = (the) => {
  const input = the.input(0);
  const list = the.requiredList("shape", 1);
  if (!isShort(list)) return null;
  const shape = broadcastShapes(input.shape, list);
  return countOf(shape) === null ? null : { type: input.type, shape, data: broadcastData(input, shape) };
};

const tile: Evaluator = (the) => {
  const { type, shape, data } = the.input(0);
  if (the.opset < 6) return null;
  const repeats = the.requiredList("repeats", 1);
  if (repeats.length !== shape.length || repeats.some((count) => count < 0))
    throw the.malformed(`expected ${shape.length} counts, got [${repeats.slice(0, 8)}].`);
  const tiled = shape.map((size, axis) => size * repeats[axis]!);
  if (countOf(tiled) === null) return null;
  const strides = stridesOf(shape);
  // (r0, d0, r1, d1, ...): a repetition is an axis of stride 0 before the one it repeats.
  const view = readView(
    data,
    shape.flatMap((size, axis) => [repeats[axis]!, size]),
    strides.flatMap((stride) => [0, stride]),
  );
  return { type, shape: tiled, data: view };
};

const concat: Evaluator = (the) => {
  const inputs = the.inputs.map((_, index) => the.input(index));
  const first = the.input(0);
  const axis = the.integer("axis", the.opset < 4 ? 1 : null);
  if (axis === null) throw the.malformed(`attribute "axis" is missing.`);
  const place = frontAxis(axis, first.shape.length, the.operator);
  let total = 0;
  for (const { type, shape } of inputs) {
    if (type !== first.type) return null;
    if (shape.length !== first.shape.length || shape.some((size, other) => other !== place && size !== first.shape[other]))
      throw the.malformed(`shapes [${first.shape}] and [${shape}] do not fit on axis ${place}.`);
    total += shape[place]!;
  }
  const joined = first.shape.with(place, total);
  const count = countOf(joined);
  if (count === null) return null;
  const strides = stridesOf(joined);
  const target = new Float64Array(count);
  let offset = 0;
  for (const { shape, data } of inputs) {
    writeView(target, data, shape, strides, offset * strides[place]!);
    offset += shape[place]!;
  }
  return { type: first.type, shape: joined, data: target };
};

/** Parts of one Split that are followed (CWE-770). */
const PARTS_LIMIT = 4096;

/** Sizes come as a list, as a number of parts (the last may be smaller; operator set 18), or as equal parts for the node's outputs. */
const split: Evaluator = (the) => {
  const { type, shape, data } = the.input(0);
  const axis = frontAxis(the.integer("axis", 0), shape.length, the.operator);
  const size = shape[axis]!;
  const sizes = the.list("split", 1) ?? partSizes(the, size);
  if (sizes === null || sizes.length > PARTS_LIMIT) return null;
  if (sizes.some((part) => part < 0) || sizes.reduce((sum, part) => sum + part, 0) !== size)
    throw the.malformed(`expected parts of a sum of ${size}, got [${sizes.slice(0, 8)}].`);
  if (the.outputs !== null && the.outputs !== sizes.length)
    throw the.malformed(`expected ${the.outputs} parts, as many as outputs, got ${sizes.length}.`);
  const strides = stridesOf(shape);
  let offset = 0;
  return sizes.map((part) => {
    const view = shape.with(axis, part);
    const piece = { type, shape: view, data: readView(data, view, strides, offset * strides[axis]!) };
    offset += part;
    return piece;
  });
};

function partSizes(the: Case, size: number): number[] | null {
  const count = the.integer("num_outputs", null) ?? the.outputs;
  if (count === null || count > PARTS_LIMIT) return null;
  const even = !the.has("num_outputs");
  if (count < 1 || count > Math.max(size, 1) || (even && size % count !== 0))
    throw the.malformed(`an axis of size ${size} cannot be split in ${count}.`);
  const part = Math.ceil(size / count);
  if (part * (count - 1) > size) throw the.malformed(`an axis of size ${size} cannot be split in ${count}.`);
  return Array.from({ length: count }, (_, index) => (index < count - 1 ? part : size - part * (count - 1)));
}

/** Python's slices: clamped ends, negative counts from the end, negative steps. Attributes up to operator set 9, inputs from 10 on. */
const slice: Evaluator = (the) => {
  const { type, shape, data } = the.input(0);
  const starts = the.requiredList("starts", 1);
  const ends = the.requiredList("ends", 2);
  if (!isShort(starts)) return null;
  const axes = axesOf(the, the.list("axes", 3) ?? starts.map((_, axis) => axis), shape.length);
  const steps = the.optional(4) === null ? starts.map(() => 1) : the.requiredList("steps", 4);
  if (axes === null) return null;
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length)
    throw the.malformed(`expected as many ends, axes and steps as starts (${starts.length}).`);
  const sliced = shape.slice();
  const strides = stridesOf(shape);
  let offset = 0;
  for (const [i, axis] of axes.entries()) {
    const { start, count } = span(the, shape[axis]!, starts[i]!, ends[i]!, steps[i]!);
    sliced[axis] = count;
    offset += start * strides[axis]!;
    strides[axis]! *= steps[i]!;
  }
  return { type, shape: sliced, data: readView(data, sliced, strides, offset) };
};

function span(the: Case, size: number, start: number, end: number, step: number): { start: number; count: number } {
  if (step === 0) throw the.malformed("expected a step other than 0.");
  if (size === 0) return { start: 0, count: 0 };
  const clamp = (value: number, least: number): number =>
    Math.max(least, Math.min(step > 0 ? size : size - 1, value < 0 ? value + size : value));
  // Going backwards the end may lie before the first element; a start that does is moved onto it (where NumPy takes nothing).
  const first = clamp(start, 0);
  // ONNX Runtime takes these ends for "all that is there" in both directions; the specification names them for going forward.
  if (step < 0 && (end === SATURATED || end === 2 ** 31 - 1)) return { start: first, count: Math.ceil((-1 - first) / step) };
  return { start: first, count: Math.max(0, Math.ceil((clamp(end, step > 0 ? 0 : -1) - first) / step)) };
}

/** Constant padding; negative pads crop. Other modes are not followed. */
const pad: Evaluator = (the) => {
  const { type, shape, data } = the.input(0);
  const rank = shape.length;
  if (the.text("mode", "constant") !== "constant" || the.opset < 2) return null;
  const pads = the.requiredList("pads", 1);
  const axes = axesOf(the, the.list("axes", 3) ?? Array.from({ length: rank }, (_, axis) => axis), rank);
  if (axes === null) return null;
  if (pads.length !== 2 * axes.length) throw the.malformed(`expected ${2 * axes.length} pads, got ${pads.length}.`);
  const value = the.opset < 11 ? the.float("value", 0) : (the.only(2) ?? 0);
  if (the.opset >= 11 && (the.optional(2)?.type ?? type) !== type) return null;

  const padded = shape.slice();
  const cropped = shape.slice();
  const [from, to] = [stridesOf(shape), [] as number[]];
  let [readAt, writeAt] = [0, 0];
  const places = axes.map((axis, i) => {
    const [before, after] = [pads[i]!, pads[axes.length + i]!];
    cropped[axis] = shape[axis]! + Math.min(before, 0) + Math.min(after, 0);
    padded[axis] = shape[axis]! + before + after;
    readAt += Math.max(-before, 0) * from[axis]!;
    return Math.max(before, 0);
  });
  if (padded.some((size) => size < 0)) throw the.malformed(`pads [${pads}] take more than shape [${shape}] has.`);
  const count = countOf(padded);
  if (count === null || cropped.some((size) => size < 0)) return null;
  to.push(...stridesOf(padded));
  for (const [i, axis] of axes.entries()) writeAt += places[i]! * to[axis]!;
  const target = new Float64Array(count).fill(value);
  writeView(target, readView(data, cropped, from, readAt), cropped, to, writeAt);
  return the.opset < 11 ? settle(type, padded, target) : { type, shape: padded, data: target };
};

/** Keeps the triangle on and above (`upper`) or on and below diagonal k of the last two axes. */
const trilu: Evaluator = (the) => {
  const { type, shape, data } = the.input(0);
  if (shape.length < 2) throw the.malformed(`expected at least 2 axes, got shape [${shape}].`);
  const [rows, columns] = shape.slice(-2) as [number, number];
  const k = the.only(1) ?? 0;
  const upper = the.integer("upper", 1) !== 0;
  const kept = data.map((value, i) => {
    const diagonal = (i % columns) - (Math.floor(i / columns) % rows);
    return (upper ? diagonal >= k : diagonal <= k) ? value : 0;
  });
  return { type, shape, data: kept };
};

/** Layout operators by name. */
export const layout: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ["Reshape", reshape],
  ["Flatten", flatten],
  ["Squeeze", squeeze],
  ["Unsqueeze", unsqueeze],
  ["Transpose", transpose],
  ["Expand", expand],
  ["Tile", tile],
  ["Concat", concat],
  ["Split", split],
  ["Slice", slice],
  ["Pad", pad],
  ["Trilu", trilu],
]);
