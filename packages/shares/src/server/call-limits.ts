/**
 * How much a model's calls may ask for: rows of a call, bytes of its frames, rows that are multiplied at one go.
 * @module
 */
import type { Group, Layout } from "../layout.ts";
import { HEADER_BYTES, protocolLimits } from "../protocol.ts";
import { productsPerRow } from "../ring/weight-source.ts";

/** Multiplications at one go, some 20 ms: between them other sessions get their turn. */
export const SLICE_PRODUCTS = 2 ** 28;
const CALL_HEADER = HEADER_BYTES + 8;

/** Rows of one call of any group such that its frames both ways, those of an audit too, are within the limit of the protocol. */
export function rowsOfCall(layout: Layout): number {
  const bytes = Math.max(...layout.groups.map((group) => Math.max(4 * group.in, 8 * productsPerRow(layout, group))));
  return Math.min(protocolLimits.rows, Math.floor((protocolLimits.frameBytes - CALL_HEADER) / bytes));
}

/** Bytes of the longest frame with a call to server A. */
export function bytesOfCall(layout: Layout, rows: number): number {
  return CALL_HEADER + Math.max(8, 4 * rows * Math.max(...layout.groups.map((group) => group.in)));
}

/** Rows of a group that are multiplied at one go, for at most so many multiplications (or one row). */
export function rowsOfSlice(layout: Layout, group: Group, products: number): number {
  return Math.max(1, Math.floor(products / (group.in * productsPerRow(layout, group))));
}
