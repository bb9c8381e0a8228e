/**
 * What happens along one axis of a matrix.
 * @module
 */
import type { Element } from "./element.ts";
import { addOuter, scaleRows, weightedSum } from "./panel-operations.ts";

/** The rewriting of one axis of length n, for every vector w along it; the steps happen in this order. */
export interface AxisRewrite {
  /** Last: w -> w·T; null = identity. Already the one to apply: the caller chose T or T^-T. */
  readonly element: Element | null;
  /** First: w_i times gain[i]; folds a norm's gain into a reader. `(n)` */
  readonly gain?: Float64Array;
  /** Then: subtract the mean of w, the projection onto the complement of the all-ones vector. */
  readonly centre?: boolean;
  /** Then: add (original w · shift)/n to every coordinate; folds a LayerNorm's bias, whose place all ones take. `(n)` */
  readonly shift?: Float64Array;
}

/** Applies an axis rewriting to a panel `(size, width)` whose columns are the vectors along that axis. In place. */
export function applyAxis(axis: AxisRewrite, panel: Float64Array, size: number, width: number): void {
  const shift = axis.shift && weightedSum(panel, size, width, axis.shift);
  if (axis.gain) scaleRows(panel, size, width, axis.gain);
  if (axis.centre || shift) {
    const amount = new Float64Array(width);
    const mean = axis.centre ? weightedSum(panel, size, width, null) : amount;
    for (let c = 0; c < width; c++) amount[c] = ((shift?.[c] ?? 0) - mean[c]!) / size;
    addOuter(panel, size, width, null, amount, 1);
  }
  axis.element?.apply(panel, width);
}

/** Whether a block of the result depends on one block of the argument alone. */
export function isLocal(axis: AxisRewrite, size: number): boolean {
  return !axis.centre && axis.shift === undefined && (axis.element === null || axis.element.block < size || size === 1);
}

/** Whether an axis stays as it is. */
export function isIdentity(axis: AxisRewrite): boolean {
  return axis.element === null && axis.gain === undefined && !axis.centre && axis.shift === undefined;
}
