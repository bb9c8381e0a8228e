/**
 * Rewrites one stored tensor of an ONNX model under a key.
 * @module
 */
import { applyAxis, type AxisRewrite } from "../../algebra/axis.ts";
import type { Element } from "../../algebra/element.ts";
import type { MatrixSource } from "../../algebra/matrix.ts";
import { Monomial } from "../../algebra/monomial.ts";
import { rewriteMatrix } from "../../algebra/rewrite.ts";
import { decode, encode } from "../../checkpoint/format.ts";
import type { OnnxTensor, OnnxType } from "../../checkpoint/onnx.ts";
import { openFile } from "../../checkpoint/open-file.ts";
import type { FloatFormat } from "../../checkpoint/tensor.ts";
import { UnseenError } from "../../errors.ts";
import { elementOf, recipeLeaves, type Recipe } from "../recipe.ts";
import { columnsOf, type Fold, type TensorPlan } from "./plan.ts";

const FORMATS: Partial<Record<OnnxType, FloatFormat>> = { float32: "F32", float16: "F16", bfloat16: "BF16" };
const BYTES: Partial<Record<OnnxType, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float64: 8,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
};

/** Receives the rewritten tensor piece by piece, `offset` bytes from its start. */
export type Sink = (offset: number, bytes: Uint8Array) => void;

/** Rewrites a tensor. Throws `CHECKPOINT_NON_FINITE`, `CHECKPOINT_DTYPE_UNSUPPORTED`. */
export function rewriteTensor(plan: TensorPlan, secret: Uint8Array, write: Sink): void {
  const { tensor, folds } = plan;
  if (folds.some(({ kind }) => kind === "ones")) return write(0, onesLike(tensor));
  const crosses = crossesAxes(plan.axes);
  if (crosses && folds.some(({ kind }) => kind === "gain"))
    throw new UnseenError("INTERNAL", `tensor ${tensor.name}: a gain and maps that depend on another axis meet.`, {
      hint: "Encrypt with --strength permute.",
    });
  // A map that depends on an index of an earlier axis acts on the whole tensor as one axis.
  const shape: [number, number] =
    plan.axes.length < 2 || crosses
      ? [1, tensor.shape.reduce((product, size) => product * size, 1)]
      : [tensor.shape[0] as number, columnsOf(plan.axes)];
  const rowRecipe = plan.axes.length < 2 || crosses ? null : (plan.axes[0] as Recipe);
  const columnRecipe: Recipe = { kind: "product", parts: rowRecipe ? plan.axes.slice(1) : plan.axes };
  const elements: [Element | null, Element | null] = [rowRecipe && elementOf(rowRecipe, secret), elementOf(columnRecipe, secret)];
  const format = FORMATS[tensor.type];
  if (!format) return rewriteOther(tensor, shape, elements, folds, write);
  const [rows, columns] = elements.map((element, axis) => axisRewrite(element, axis, folds, rowRecipe === null)) as [
    AxisRewrite,
    AxisRewrite,
  ];
  withSource(tensor, shape, format, (source) => {
    const rowBytes = tensor.bytes / shape[0];
    rewriteMatrix(source, rows, columns, { format, write: (row, _count, bytes) => write(row * rowBytes, bytes) });
  });
}

function axisRewrite(element: Element | null, axis: number, folds: readonly Fold[], isVector: boolean): AxisRewrite {
  let rewrite: AxisRewrite = { element };
  for (const fold of folds) {
    if (fold.kind === "gain" && fold.axis === axis && !isVector) {
      const gain = numbersOf(fold.gain);
      // The offset becomes all ones, which a column of mean 0 does not see; then its true effect is put in evenly.
      rewrite = { ...rewrite, gain, ...(fold.offset ? { centre: true, shift: numbersOf(fold.offset) } : {}) };
    }
    if (fold.kind === "variance" && axis === 1 && isVector) {
      rewrite = { ...rewrite, gain: varianceGain(fold) };
    }
  }
  return rewrite;
}

function varianceGain({ variance, epsilon }: Fold & { kind: "variance" }): Float64Array {
  return numbersOf(variance).map((value) => Math.sqrt((1 + epsilon) / (value + epsilon)));
}

/** Whether a map on some axis is chosen by an index of another one. */
function crossesAxes(axes: readonly Recipe[]): boolean {
  return axes.some((recipe) => {
    const leaves = recipeLeaves(recipe);
    const own = new Set(leaves.map(({ id }) => id));
    return leaves.some((leaf) => leaf.within.some((id) => !own.has(id)));
  });
}

/** Stored numbers as float64. */
export function numbersOf(tensor: OnnxTensor): Float64Array {
  const count = tensor.shape.reduce((product, size) => product * size, 1);
  const bytes = tensor.read();
  const format = FORMATS[tensor.type];
  const result = new Float64Array(count);
  if (format) decode(format, bytes, result);
  else if (tensor.type === "float64") {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < count; i++) result[i] = view.getFloat64(8 * i, true);
  } else throw unsupported(tensor);
  return result;
}

function withSource(
  tensor: OnnxTensor,
  [rows, columns]: readonly [number, number],
  format: FloatFormat,
  use: (source: MatrixSource) => void,
): void {
  const rowBytes = tensor.bytes / rows;
  const base = { rows, columns, format, name: tensor.name };
  if (!tensor.location) {
    const bytes = tensor.read();
    return use({ ...base, read: (row, count, into) => into.set(bytes.subarray(row * rowBytes, (row + count) * rowBytes)) });
  }
  const { file, offset } = tensor.location;
  const opened = openFile(file);
  try {
    use({ ...base, read: (row, count, into) => void opened.read(offset + row * rowBytes, into.subarray(0, count * rowBytes)) });
  } finally {
    opened.close();
  }
}

/** Small integers move as they are; float64 is computed in memory. */
function rewriteOther(
  tensor: OnnxTensor,
  [rows, columns]: readonly [number, number],
  [rowElement, columnElement]: readonly [Element | null, Element | null],
  folds: readonly Fold[],
  write: Sink,
): void {
  const width = BYTES[tensor.type];
  if (width === undefined) throw unsupported(tensor);
  const moves = (element: Element | null, size: number): Uint32Array | null =>
    element === null
      ? Uint32Array.from({ length: size }, (_, i) => i)
      : element instanceof Monomial && element.scale === null
        ? element.order
        : null;
  const [rowOrder, columnOrder] = [moves(rowElement, rows), moves(columnElement, columns)];
  if (rowOrder && columnOrder && folds.length === 0) {
    const bytes = tensor.read();
    const result = new Uint8Array(bytes.length);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const from = (rowOrder[row]! * columns + columnOrder[column]!) * width;
        result.set(bytes.subarray(from, from + width), (row * columns + column) * width);
      }
    }
    return write(0, result);
  }
  if (tensor.type !== "float64") throw unsupported(tensor);
  const panel = numbersOf(tensor);
  for (const [axis, element] of [rowElement, columnElement].entries()) {
    const rewrite = axisRewrite(element, axis, folds, rows === 1);
    if (axis === 0) applyAxis(rewrite, panel, rows, columns);
    else for (let row = 0; row < rows; row++) applyAxis(rewrite, panel.subarray(row * columns, (row + 1) * columns), columns, 1);
  }
  write(0, new Uint8Array(panel.buffer));
}

function onesLike(tensor: OnnxTensor): Uint8Array {
  const count = tensor.shape.reduce((product, size) => product * size, 1);
  const ones = new Float64Array(count).fill(1);
  if (tensor.type === "float64") return new Uint8Array(ones.buffer);
  const format = FORMATS[tensor.type];
  if (!format) throw unsupported(tensor);
  const bytes = new Uint8Array(tensor.bytes);
  encode(format, ones, bytes);
  return bytes;
}

function unsupported(tensor: OnnxTensor): UnseenError {
  return new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", `tensor ${tensor.name}: numbers of type ${tensor.type} cannot be transformed.`, {
    hint: "Export the model with float32 weights.",
  });
}
