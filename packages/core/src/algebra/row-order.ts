/**
 * Reading rows in the order in which the result shows them.
 * @module
 */
import type { AxisRewrite } from "./axis.ts";
import type { MatrixSource } from "./matrix.ts";

/** Which row of the argument, before mixing inside its block, stands at row `row` of the result. */
export function sourceRow(axis: AxisRewrite, row: number): number {
  const { element } = axis;
  if (element === null) return row;
  const inside = row % element.block;
  return element.source((row - inside) / element.block) * element.block + inside;
}

/** Fills `into` with the packed source rows of result rows `from` to `from + count`, merging neighbours into one read. */
export function readOrdered(
  source: MatrixSource,
  axis: AxisRewrite,
  from: number,
  count: number,
  into: Uint8Array,
  rowBytes: number,
): void {
  let start = 0;
  while (start < count) {
    const first = sourceRow(axis, from + start);
    let length = 1;
    while (start + length < count && sourceRow(axis, from + start + length) === first + length) length++;
    source.read(first, length, into.subarray(start * rowBytes, (start + length) * rowBytes));
    start += length;
  }
}
