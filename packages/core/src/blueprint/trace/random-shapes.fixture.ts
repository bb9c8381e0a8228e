/**
 * For tests: which shapes a rule may take and make.
 * @module
 */
import { elements, type Dimension, type Drawn, type GraphBuilder } from "./graph-builder.fixture.ts";

/** Makes one more value of those that are there; null where it does not fit. */
export type Rule = (builder: GraphBuilder, value: Drawn, pool: readonly Drawn[]) => Drawn | null;

/** Values stay small, so that thousands of graphs run in seconds. */
const ELEMENT_LIMIT = 3000;
export const RANK_LIMIT = 5;

/** Axes of a given size. */
export function numericAxes({ shape }: Drawn, least = 1): number[] {
  return shape.flatMap((size, axis) => (typeof size === "number" && size >= least ? [axis] : []));
}

export function isSmall(shape: readonly Dimension[]): boolean {
  return elements(shape) <= ELEMENT_LIMIT && shape.length <= RANK_LIMIT;
}

/** The shape that two shapes make together; null where they do not fit. */
export function together(a: readonly Dimension[], b: readonly Dimension[]): Dimension[] | null {
  const rank = Math.max(a.length, b.length);
  const result: Dimension[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const [one, two] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (one !== two && one !== 1 && two !== 1) return null;
    result.push(one === 1 ? two : one);
  }
  return result;
}
