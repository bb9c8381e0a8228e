/**
 * Operators along axes: reductions, running sums, ranks and matrix products.
 * @module
 */
import type { Evaluator } from "./known-case.ts";
import {
  KNOWN_WORK_LIMIT,
  axesLast,
  broadcastShapes,
  broadcastStrides,
  countOf,
  frontAxis,
  isExact,
  isFloat,
  isInteger,
  readView,
  settle,
  stridesOf,
  walk,
  writeView,
  type Known,
} from "./known-tensor.ts";

/** The lines along some axes, one after the other, and the shape that is left when each becomes one element. */
interface Lines {
  /** (lines, length) */
  readonly data: Float64Array;
  readonly length: number;
  readonly count: number;
  readonly shape: readonly number[];
}

function linesOf({ shape, data }: Known, axes: readonly number[], keepsAxes: boolean): Lines {
  const order = axesLast(shape.length, axes);
  const strides = stridesOf(shape);
  const reduced = new Set(axes);
  const view = readView(
    data,
    order.map((axis) => shape[axis]!),
    order.map((axis) => strides[axis]!),
  );
  return {
    data: view,
    length: axes.reduce((length, axis) => length * shape[axis]!, 1),
    count: shape.reduce((count, size, axis) => (reduced.has(axis) ? count : count * size), 1),
    shape: keepsAxes ? shape.map((size, axis) => (reduced.has(axis) ? 1 : size)) : shape.filter((_, axis) => !reduced.has(axis)),
  };
}

/** A reduction of each line. `ofNothing` is what a line of no elements gives; null where that is not followed. */
interface Reduction {
  readonly fold: (sum: number, value: number) => number;
  readonly finish?: (sum: number, length: number, type: Known["type"]) => number;
  readonly ofNothing: number | null;
  /** Whether the result is one of the elements, so that nothing is calculated. */
  readonly selects?: boolean;
}

/** Axes are an attribute up to operator set 17 (12 for sums) and an input after; without any all axes are reduced, unless none are. */
function reduce({ fold, finish, ofNothing, selects = false }: Reduction): Evaluator {
  return (the) => {
    const input = the.input(0);
    const { type, shape } = input;
    if (!(isFloat(type) || isInteger(type)) || !(selects || isExact(input))) return null;
    const list = the.list("axes", 1) ?? [];
    if (list.length === 0 && the.integer("noop_with_empty_axes", 0) === 1) return input;
    const named = list.length === 0 ? shape.map((_, axis) => axis) : list.map((axis) => frontAxis(axis, shape.length, the.operator));
    const lines = linesOf(input, [...new Set(named)], the.integer("keepdims", 1) !== 0);
    if (countOf(lines.shape) === null || (lines.length === 0 && ofNothing === null)) return null;
    const data = new Float64Array(lines.count);
    for (let line = 0; line < lines.count; line++) {
      const row = lines.data.subarray(line * lines.length, (line + 1) * lines.length);
      const sum = row.length === 0 ? ofNothing! : row.reduce(fold);
      data[line] = finish === undefined ? sum : finish(sum, row.length, type);
    }
    return selects ? { type, shape: lines.shape, data } : settle(type, lines.shape, data);
  };
}

/** Whether the first value comes before the second; equal ones keep their order. */
type Precedes = (a: number, b: number) => boolean;
const greater: Precedes = (a, b) => a > b;
const less: Precedes = (a, b) => a < b;

/** The index of the first (or last) extreme of each line. Lines with NaN have none that runtimes agree on. */
function argument(precedes: Precedes): Evaluator {
  return (the) => {
    const input = the.input(0);
    const axis = frontAxis(the.integer("axis", 0), input.shape.length, the.operator);
    const takesLast = the.integer("select_last_index", 0) === 1;
    const lines = linesOf(input, [axis], the.integer("keepdims", 1) !== 0);
    if (countOf(lines.shape) === null || lines.length === 0 || input.data.some(Number.isNaN)) return null;
    const data = new Float64Array(lines.count);
    for (let line = 0; line < lines.count; line++) {
      const row = lines.data.subarray(line * lines.length, (line + 1) * lines.length);
      let best = 0;
      for (const [i, value] of row.entries()) if (precedes(value, row[best]!) || (takesLast && value === row[best]!)) best = i;
      data[line] = best;
    }
    return { type: "int64", shape: lines.shape, data };
  };
}

/** Writes lines along one axis back as a tensor. */
function fromLines(type: Known["type"], shape: readonly number[], axis: number, lines: Float64Array): Known {
  const order = axesLast(shape.length, [axis]);
  const strides = stridesOf(shape);
  const data = new Float64Array(lines.length);
  writeView(
    data,
    lines,
    order.map((one) => shape[one]!),
    order.map((one) => strides[one]!),
  );
  return { type, shape, data };
}

const cumulativeSum: Evaluator = (the) => {
  const input = the.input(0);
  if (!(isFloat(input.type) || isInteger(input.type)) || !isExact(input)) return null;
  const axis = frontAxis(the.only(1) ?? Number.NaN, input.shape.length, the.operator);
  const [exclusive, reverse] = [the.integer("exclusive", 0) === 1, the.integer("reverse", 0) === 1];
  const { data, length, count } = linesOf(input, [axis], true);
  for (let line = 0; line < count; line++) {
    let sum = 0;
    for (let i = 0; i < length; i++) {
      const at = line * length + (reverse ? length - 1 - i : i);
      const value = data[at]!;
      data[at] = exclusive ? sum : sum + value;
      sum += value;
    }
  }
  return settle(input.type, input.shape, fromLines(input.type, input.shape, axis, data).data);
};

/** The k first of each line and their indices; of equal elements the one in front. */
const topK: Evaluator = (the) => {
  const input = the.input(0);
  const [k, ...more] = the.opset < 10 ? [the.integer("k", Number.NaN)] : the.requiredList("k", 1);
  const axis = frontAxis(the.integer("axis", -1), input.shape.length, the.operator);
  const size = input.shape[axis]!;
  if (k === undefined || more.length > 0 || !(k >= 0 && k <= size)) throw the.malformed(`expected k from 0 up to ${size}, got ${k}.`);
  if (the.integer("sorted", 1) !== 1 || input.data.some(Number.isNaN)) return null;
  const precedes = the.integer("largest", 1) === 1 ? greater : less;
  const { data, count } = linesOf(input, [axis], true);
  const values = new Float64Array(count * k);
  const places = new Float64Array(count * k);
  for (let line = 0; line < count; line++) {
    const row = data.subarray(line * size, (line + 1) * size);
    const order = Array.from(row.keys()).toSorted((a, b) => (precedes(row[a]!, row[b]!) ? -1 : precedes(row[b]!, row[a]!) ? 1 : a - b));
    for (let i = 0; i < k; i++) {
      places[line * k + i] = order[i]!;
      values[line * k + i] = row[order[i]!]!;
    }
  }
  const shape = input.shape.with(axis, k);
  return [fromLines(input.type, shape, axis, values), fromLines("int64", shape, axis, places)];
};

/** NumPy's matmul: leading axes broadcast, a vector is a row on the left and a column on the right. */
const matrixProduct: Evaluator = (the) => {
  const [a, b] = [the.input(0), the.input(1)];
  if (a.type !== b.type || !(isFloat(a.type) || isInteger(a.type)) || !isExact(a) || !isExact(b)) return null;
  if (a.shape.length === 0 || b.shape.length === 0) throw the.malformed("expected at least one axis on both sides.");
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [rows, inner] = left.slice(-2) as [number, number];
  const [depth, columns] = right.slice(-2) as [number, number];
  if (inner !== depth) throw the.malformed(`shapes [${a.shape}] and [${b.shape}] do not match.`);
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  const full = countOf([...batch, rows, columns]);
  if (full === null || full * inner > KNOWN_WORK_LIMIT) return null;

  const data = new Float64Array(full);
  const rightStarts = startsOf(right, batch);
  for (const [item, leftStart] of startsOf(left, batch).entries()) {
    const rightStart = rightStarts[item]!;
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < inner; i++) {
        const factor = a.data[leftStart + row * inner + i]!;
        const target = (item * rows + row) * columns;
        for (let column = 0; column < columns; column++) data[target + column]! += factor * b.data[rightStart + i * columns + column]!;
      }
    }
  }
  const shape = [...batch, ...(a.shape.length === 1 ? [] : [rows]), ...(b.shape.length === 1 ? [] : [columns])];
  return settle(a.type, shape, data);
};

/** Where each matrix of a batch starts. */
function startsOf(shape: readonly number[], batch: readonly number[]): number[] {
  const matrix = shape.at(-2)! * shape.at(-1)!;
  const starts: number[] = [];
  const strides = broadcastStrides(shape.slice(0, -2), batch);
  walk(batch, strides, 0, (_, place) => starts.push(place * matrix));
  return starts;
}

const mean = (sum: number, length: number, type: Known["type"]): number => (isInteger(type) ? Math.trunc(sum / length) : sum / length);

/** Operators along axes by name. */
export const reduction: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ["ReduceSum", reduce({ fold: (sum, value) => sum + value, ofNothing: 0 })],
  ["ReduceMean", reduce({ fold: (sum, value) => sum + value, finish: mean, ofNothing: null })],
  ["ReduceProd", reduce({ fold: (sum, value) => sum * value, ofNothing: null })],
  ["ReduceMax", reduce({ fold: (sum, value) => Math.max(sum, value), ofNothing: null, selects: true })],
  ["ReduceMin", reduce({ fold: (sum, value) => Math.min(sum, value), ofNothing: null, selects: true })],
  ["ArgMax", argument(greater)],
  ["ArgMin", argument(less)],
  ["CumSum", cumulativeSum],
  ["TopK", topK],
  ["MatMul", matrixProduct],
]);
