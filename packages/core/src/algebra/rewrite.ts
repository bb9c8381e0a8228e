/**
 * Rewrites a weight matrix, axis by axis, from one tensor to another: the one function that every weight goes through.
 *
 * All arithmetic is float64 with one rounding at the end; weights that only move or change sign never leave their stored bits.
 * Three paths, chosen by what the axes mix: bits, streaming rows, held columns (and both, for the rest).
 * @module
 */
import { decode, encode, rowBytes } from "../checkpoint/format.ts";
import { UnseenError } from "../errors.ts";
import { isLocal, type AxisRewrite } from "./axis.ts";
import type { MatrixSource, PlainSource, PlainTarget, RewriteTarget, RowRange } from "./matrix.ts";
import type { Monomial } from "./monomial.ts";
import { monomialForm } from "./monomial-form.ts";
import { isLossless, rewriteBits } from "./rewrite-bits.ts";
import { rewriteColumns } from "./rewrite-columns.ts";
import { checkResult } from "./rewrite-errors.ts";
import { rewriteRows } from "./rewrite-rows.ts";
import { rewriteWhole } from "./rewrite-whole.ts";

/**
 * Applies one rewriting to the rows axis and one to the columns axis of a matrix.
 *
 * Where the row axis only mixes inside blocks, rows stream through in bounded memory and `range` may select a part, so that
 * several workers share a tensor; else the stored matrix is held and `range` must be absent or whole.
 * @throws UnseenError `CHECKPOINT_NON_FINITE` for a NaN or infinity in the source, or a result beyond the target format;
 *   `CHECKPOINT_WRONG_SHAPE` if an axis rewriting or Q8_0 does not fit the matrix.
 */
export function rewriteMatrix(
  source: MatrixSource,
  rows: AxisRewrite,
  columns: AxisRewrite,
  target: RewriteTarget,
  range?: RowRange,
): void {
  checkShape(source, rows, columns, target);
  const selected = range ?? { from: 0, to: source.rows };
  const local = isLocal(rows, source.rows);
  checkRange(source, local ? (rows.element?.block ?? 1) : source.rows, selected);
  if (selected.from === selected.to) return;

  const rowForm = moves(rows);
  const columnForm = moves(columns);
  if (
    source.format === target.format &&
    rowForm !== undefined &&
    columnForm !== undefined &&
    isLossless(source.format, rowForm, columnForm)
  ) {
    rewriteBits(source, rowForm, columnForm, target, selected);
    return;
  }
  const plainRows = simplify(rows);
  const plainColumns = simplify(columns);
  const plainSource = dequantise(source);
  const plainTarget = quantise(target, source);
  if (isLocal(plainRows, source.rows)) rewriteRows(plainSource, plainRows, plainColumns, plainTarget, selected);
  else if (isLocal(plainColumns, source.columns)) rewriteColumns(plainSource, plainRows, plainColumns, plainTarget);
  else rewriteWhole(plainSource, plainRows, plainColumns, plainTarget);
}

/** The axis as a pure move with scales; null = identity, undefined = it does something else. */
function moves(axis: AxisRewrite): Monomial | null | undefined {
  if (axis.gain || axis.centre || axis.shift) return undefined;
  return axis.element === null ? null : (monomialForm(axis.element) ?? undefined);
}

/** Prefers the monomial form of an element: block 1 instead of a head's. */
function simplify(axis: AxisRewrite): AxisRewrite {
  return axis.element === null ? axis : { ...axis, element: monomialForm(axis.element) ?? axis.element };
}

function checkShape(source: MatrixSource, rows: AxisRewrite, columns: AxisRewrite, target: RewriteTarget): void {
  for (const [which, axis, size] of [
    ["rows", rows, source.rows],
    ["columns", columns, source.columns],
  ] as const) {
    for (const length of [axis.element?.size, axis.gain?.length, axis.shift?.length])
      if (length !== undefined && length !== size)
        throw new UnseenError("CHECKPOINT_WRONG_SHAPE", `tensor ${source.name}: expected ${length} ${which}, got ${size}.`, {
          hint: "Check that the configuration belongs to these weights.",
        });
  }
  if ((source.format === "Q8_0" || target.format === "Q8_0") && source.columns % 32 !== 0)
    throw new UnseenError(
      "CHECKPOINT_WRONG_SHAPE",
      `tensor ${source.name}: expected a multiple of 32 columns for Q8_0, got ${source.columns}.`,
      {
        hint: "Leave this tensor in F16.",
      },
    );
}

function checkRange(source: MatrixSource, block: number, range: RowRange): void {
  const inside = range.from >= 0 && range.from <= range.to && range.to <= source.rows;
  if (!inside || range.from % block !== 0 || range.to % block !== 0)
    throw new RangeError(
      `tensor ${source.name}: expected a range of multiples of ${block} rows up to ${source.rows}, got ${range.from}..${range.to}.`,
    );
}

/** Q8_0 rows as F32, which holds scale times int8 exactly. */
function dequantise(source: MatrixSource): PlainSource {
  const { format, columns, name } = source;
  if (format !== "Q8_0") return { rows: source.rows, columns, name, format, read: (row, count, into) => source.read(row, count, into) };
  return {
    rows: source.rows,
    columns,
    name,
    format: "F32",
    read(row, count, into) {
      const quantised = new Uint8Array(count * rowBytes("Q8_0", columns));
      source.read(row, count, quantised);
      const values = new Float64Array(count * columns);
      decode("Q8_0", quantised, values);
      encode("F32", values, into);
    },
  };
}

/** Takes F32 rows and writes them as Q8_0, as ggml quantises. */
function quantise(target: RewriteTarget, source: MatrixSource): PlainTarget {
  const { format } = target;
  if (format !== "Q8_0") return { format, write: (row, count, bytes) => target.write(row, count, bytes) };
  return {
    format: "F32",
    write(row, count, bytes) {
      const values = new Float64Array(count * source.columns);
      decode("F32", bytes, values);
      const quantised = new Uint8Array(count * rowBytes("Q8_0", source.columns));
      encode("Q8_0", values, quantised);
      checkQuantised(quantised, source.name);
      target.write(row, count, quantised);
    },
  };
}

function checkQuantised(quantised: Uint8Array, name: string): void {
  for (let at = 0; at < quantised.length; at += rowBytes("Q8_0", 32)) checkResult((quantised[at + 1]! & 0x7c) !== 0x7c, name, "Q8_0");
}
