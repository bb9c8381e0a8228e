/**
 * Operators that pick or place elements by indices which are themselves content.
 * @module
 */
import type { Case, Evaluator } from "./known-case.ts";
import { countOf, frontAxis, isExact, isFloat, isInteger, settle, stridesOf, walk, type Known } from "./known-tensor.ts";

function product(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total * size, 1);
}

/** An index input: int32 or int64. */
function indicesOf(the: Case, index: number): Known {
  const known = the.input(index);
  if (known.type !== "int64" && known.type !== "int32") throw the.malformed(`expected int64 indices, got ${known.type}.`);
  return known;
}

/** An index counted from the front. Throws where it lies outside the axis. */
function place(the: Case, index: number, size: number): number {
  if (index < -size || index >= size) throw the.malformed(`index ${index} lies outside an axis of size ${size}.`);
  return index < 0 ? index + size : index;
}

/** Whole slices along one axis: `data[:axis] + indices + data[axis + 1:]` is the result's shape. */
const gather: Evaluator = (the) => {
  const [source, indices] = [the.input(0), indicesOf(the, 1)];
  const axis = frontAxis(the.integer("axis", 0), source.shape.length, the.operator);
  const size = source.shape[axis]!;
  const shape = [...source.shape.slice(0, axis), ...indices.shape, ...source.shape.slice(axis + 1)];
  const count = countOf(shape);
  if (count === null) return null;
  const inner = product(source.shape.slice(axis + 1));
  const outer = product(source.shape.slice(0, axis));
  const data = new Float64Array(count);
  const places = indices.data.map((index) => place(the, index, size));
  let written = 0;
  if (count > 0)
    for (let row = 0; row < outer; row++) {
      for (const chosen of places) {
        const start = (row * size + chosen) * inner;
        data.set(source.data.subarray(start, start + inner), written);
        written += inner;
      }
    }
  return { type: source.type, shape, data };
};

/** Checks that an index tensor has its partner's rank and nowhere off the axis more than its sizes. Returns strides without the axis. */
function elementStrides(the: Case, source: readonly number[], indices: readonly number[], axis: number): number[] {
  if (indices.length !== source.length || indices.some((size, other) => other !== axis && size > source[other]!))
    throw the.malformed(`indices of shape [${indices}] do not fit into shape [${source}] off axis ${axis}.`);
  return stridesOf(source).with(axis, 0);
}

/** One element per index; the index replaces the position on the axis. */
const gatherElements: Evaluator = (the) => {
  const [source, indices] = [the.input(0), indicesOf(the, 1)];
  const axis = frontAxis(the.integer("axis", 0), source.shape.length, the.operator);
  const stride = stridesOf(source.shape)[axis]!;
  const data = new Float64Array(indices.data.length);
  walk(indices.shape, elementStrides(the, source.shape, indices.shape, axis), 0, (position, base) => {
    data[position] = source.data[base + place(the, indices.data[position]!, source.shape[axis]!) * stride]!;
  });
  return { type: source.type, shape: indices.shape, data };
};

/** How a written element joins what is there; null where the reduction is not followed. */
function joinOf(the: Case): ((old: number, update: number) => number) | null {
  switch (the.text("reduction", "none")) {
    case "none":
      return (_, update) => update;
    case "add":
      return (old, update) => old + update;
    case "mul":
      return (old, update) => old * update;
    case "min":
      return Math.min;
    case "max":
      return Math.max;
    default:
      return null;
  }
}

/** The target and updates of a scatter where both have one type that `reduction` covers. */
function scatterParts(the: Case): { target: Known; updates: Known; join: (old: number, update: number) => number } | null {
  const [target, updates] = [the.input(0), the.input(2)];
  const join = joinOf(the);
  if (join === null || target.type !== updates.type) return null;
  if (the.text("reduction", "none") === "none") return { target, updates, join };
  const calculates = isFloat(target.type) || isInteger(target.type);
  return calculates && isExact(target) && isExact(updates) ? { target, updates, join } : null;
}

/** What a scatter wrote, rounded to its type where it calculated. */
function scattered(the: Case, target: Known, data: Float64Array): Known | null {
  if (the.text("reduction", "none") !== "none") return settle(target.type, target.shape, data);
  return { type: target.type, shape: target.shape, data };
}

const scatterElements: Evaluator = (the) => {
  const parts = scatterParts(the);
  const indices = indicesOf(the, 1);
  if (parts === null) return null;
  const { target, updates, join } = parts;
  const axis = frontAxis(the.integer("axis", 0), target.shape.length, the.operator);
  if (updates.data.length !== indices.data.length)
    throw the.malformed(`expected updates of the indices' shape [${indices.shape}], got [${updates.shape}].`);
  const stride = stridesOf(target.shape)[axis]!;
  const data = target.data.slice();
  walk(indices.shape, elementStrides(the, target.shape, indices.shape, axis), 0, (position, base) => {
    const at = base + place(the, indices.data[position]!, target.shape[axis]!) * stride;
    data[at] = join(data[at]!, updates.data[position]!);
  });
  return scattered(the, target, data);
};

/**
 * The place of the slice that each row of an index tensor names: the last axis of `indices` counts along the axes of `shape` from
 * `batch` on, the leading `batch` axes run along. With the elements of such a slice.
 */
function sliceStarts(the: Case, shape: readonly number[], indices: Known, batch: number): { starts: Float64Array; length: number } {
  const depth = indices.shape.at(-1);
  if (depth === undefined || batch < 0 || batch >= indices.shape.length || batch + depth > shape.length)
    throw the.malformed(`indices of shape [${indices.shape}] do not fit shape [${shape}] with ${batch} batch axes.`);
  for (let axis = 0; axis < batch; axis++) {
    if (indices.shape[axis] !== shape[axis]) throw the.malformed(`batch axes of [${indices.shape}] and [${shape}] differ.`);
  }
  const strides = stridesOf(shape);
  const rows = product(indices.shape.slice(0, -1));
  const rowsPerBatch = product(indices.shape.slice(batch, -1));
  const elementsPerBatch = product(shape.slice(batch));
  const starts = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    starts[row] = batch === 0 ? 0 : Math.floor(row / rowsPerBatch) * elementsPerBatch;
    for (let i = 0; i < depth; i++) starts[row]! += place(the, indices.data[row * depth + i]!, shape[batch + i]!) * strides[batch + i]!;
  }
  return { starts, length: product(shape.slice(batch + depth)) };
}

const gatherNd: Evaluator = (the) => {
  const [source, indices] = [the.input(0), indicesOf(the, 1)];
  const batch = the.integer("batch_dims", 0);
  const rows = indices.shape.slice(0, -1);
  if (countOf(rows) === null) return null; // an index of no axes makes any number of rows from no content
  const { starts, length } = sliceStarts(the, source.shape, indices, batch);
  const shape = [...rows, ...source.shape.slice(batch + indices.shape.at(-1)!)];
  const count = countOf(shape);
  if (count === null) return null;
  const data = new Float64Array(count);
  for (const [row, start] of starts.entries()) data.set(source.data.subarray(start, start + length), row * length);
  return { type: source.type, shape, data };
};

const scatterNd: Evaluator = (the) => {
  const parts = scatterParts(the);
  const indices = indicesOf(the, 1);
  if (parts === null || countOf(indices.shape.slice(0, -1)) === null) return null;
  const { target, updates, join } = parts;
  const { starts, length } = sliceStarts(the, target.shape, indices, 0);
  if (updates.data.length !== starts.length * length)
    throw the.malformed(`expected ${starts.length * length} updates, got shape [${updates.shape}].`);
  const data = target.data.slice();
  for (const [row, start] of starts.entries()) {
    for (let i = 0; i < length; i++) data[start + i] = join(data[start + i]!, updates.data[row * length + i]!);
  }
  return scattered(the, target, data);
};

/** The indices of what is not 0, one column per element in row-major order: `(rank, count)`. A scalar counts as one element of one axis. */
const nonZero: Evaluator = (the) => {
  const { data, shape: given } = the.input(0);
  const shape = given.length === 0 ? [1] : given;
  const found: number[] = [];
  for (const [i, value] of data.entries()) if (value !== 0) found.push(i);
  const result = [shape.length, found.length];
  const count = countOf(result);
  if (count === null) return null;
  const strides = stridesOf(shape);
  const indices = new Float64Array(count);
  for (const [column, i] of found.entries()) {
    for (const [axis, stride] of strides.entries()) indices[axis * found.length + column] = Math.floor(i / stride) % shape[axis]!;
  }
  return { type: "int64", shape: result, data: indices };
};

/** Indexing operators by name. */
export const indexing: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ["Gather", gather],
  ["GatherElements", gatherElements],
  ["GatherND", gatherNd],
  ["ScatterElements", scatterElements],
  ["Scatter", scatterElements],
  ["ScatterND", scatterNd],
  ["NonZero", nonZero],
]);
