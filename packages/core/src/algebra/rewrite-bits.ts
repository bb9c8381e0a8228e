/**
 * The lossless path: weights that only move or change their sign are copied as stored bits.
 * @module
 */
import { rowBytes } from "../checkpoint/format.ts";
import type { FloatFormat } from "../checkpoint/tensor.ts";
import type { AxisRewrite } from "./axis.ts";
import type { Monomial } from "./monomial.ts";
import { allocateBytes, withArena } from "./panel.ts";
import { checkSource } from "./rewrite-errors.ts";
import { readOrdered } from "./row-order.ts";
import type { MatrixSource, RewriteTarget, RowRange } from "./matrix.ts";
import { allocateGather, areFinite, flipSigns, gatherColumns } from "./stored.ts";

const CHUNK_BYTES = 2 ** 19; // stays in the second-level cache between reading, checking and writing

/** Whether both axes only move numbers or change their signs, in a format where that is possible on the bits. */
export function isLossless(format: FloatFormat, rows: Monomial | null, columns: Monomial | null): boolean {
  const signsOnly = (form: Monomial | null): boolean => form?.scale?.every((s) => s === 1 || s === -1) ?? true;
  // Weights of Q8_0 share a scale with their neighbours, so only whole rows can move.
  if (format === "Q8_0") return columns === null && (rows?.scale ?? null) === null;
  return signsOnly(rows) && signsOnly(columns);
}

/** Copies a matrix with its rows and columns reordered and negated. Bit-exact; still refuses numbers that are not finite. */
export function rewriteBits(
  source: MatrixSource,
  rows: Monomial | null,
  columns: Monomial | null,
  target: RewriteTarget,
  range: RowRange,
): void {
  const stride = rowBytes(source.format, source.columns);
  const chunkRows = Math.max(1, Math.floor(CHUNK_BYTES / stride));
  const axis: AxisRewrite = { element: rows };
  withArena(() => {
    const padded = Math.ceil((chunkRows * stride) / 16) * 16;
    const chunk = allocateBytes(padded);
    chunk.fill(0);
    const columnScale = columns?.scale ?? null;
    const negative = (j: number): boolean => columnScale !== null && columnScale[j]! < 0;
    const gather = columns === null || source.format === "Q8_0" ? null : allocateGather(columns.order, negative, source.format);
    const result = gather === null ? chunk : allocateBytes(padded);
    for (let from = range.from; from < range.to; from += chunkRows) {
      const count = Math.min(chunkRows, range.to - from);
      readOrdered(source, axis, from, count, chunk, stride);
      checkBits(source, chunk, count * stride);
      if (gather) gatherColumns(result, chunk, gather, count, stride);
      if (rows?.scale && source.format !== "Q8_0")
        for (let r = 0; r < count; r++)
          if (rows.scale[from + r]! < 0) flipSigns(result.subarray(r * stride, (r + 1) * stride), source.format);
      target.write(from, count, result.subarray(0, count * stride));
    }
  });
}

function checkBits(source: MatrixSource, chunk: Uint8Array, length: number): void {
  if (source.format !== "Q8_0") {
    checkSource(areFinite(chunk.subarray(0, Math.ceil(length / 16) * 16), source.format), source.name);
    return;
  }
  const blockBytes = rowBytes("Q8_0", 32);
  for (let at = 0; at < length; at += blockBytes) checkSource((chunk[at + 1]! & 0x7c) !== 0x7c, source.name); // exponent of the f16 scale
}
