/**
 * Which waiting rows share the next run: the oldest one, and those that fit it best. Whoever waits longest is never passed over, and rows
 * of like lengths keep the padding small.
 * @module
 */
import { MAXIMUM_OUTPUT_VALUES } from "./protocol.ts";
import type { BatchPlan } from "./plan.ts";
import { byteLengthOf, type Row } from "./rows.ts";

/** Bytes of the tensors in one run (CWE-770); one larger row still runs, alone. */
const MAXIMUM_RUN_BYTES = 64 << 20;
/**
 * What a run costs beside its tokens, in tokens: its own overhead (16), and that longer rows are computed more efficiently side by side.
 * A row joins where the padding that it causes costs less than a run of its own would.
 */
const runCost = (length: number): number => 16 + length / 8;

export interface BatchLimits {
  readonly rows: number;
  /** Tokens of a run, padding included. */
  readonly tokens: number;
}

/** Rows of one group may share a run: equal shapes, equal treatment. */
export function groupOf(row: Row, { pads, fixedLength }: BatchPlan): string {
  const pool = row.pool ?? "";
  if (row.kind === "tensors") return `tensors ${pool} ${row.shapes}`;
  return `sequence ${pool} ${pads || fixedLength !== null ? "" : row.ids.length}`;
}

/** @param waiting oldest first, not empty; @returns indices into it, the oldest row's first */
export function chooseRows(
  waiting: readonly { readonly row: Row; readonly group: string }[],
  plan: BatchPlan,
  limits: BatchLimits,
): number[] {
  const oldest = waiting[0]!;
  const most = Math.min(limits.rows, plan.fixedRows ?? Infinity);
  if (!plan.hasRows || !plan.mixesRows || most <= 1) return [0];
  const lengthOf = ({ row }: { row: Row }): number => (row.kind === "sequence" ? row.ids.length : 0);
  const own = lengthOf(oldest);
  const candidates = waiting
    .map((entry, index) => ({ index, entry, length: lengthOf(entry) }))
    .filter(({ entry, index }) => index > 0 && entry.group === oldest.group)
    .toSorted((left, right) => Math.abs(left.length - own) - Math.abs(right.length - own) || left.index - right.index);
  const chosen = [0];
  let longest = own;
  let bytes = byteLengthOf(oldest.row);
  for (const { index, entry, length } of candidates) {
    if (chosen.length === most) break;
    const rows = chosen.length + 1;
    const padded = rows * (plan.fixedLength ?? Math.max(longest, length));
    const values = oldest.row.pool === null ? plan.outputValues * (plan.lengthAxis === null ? rows : padded) : 0;
    if (oldest.row.kind === "sequence" && padded > limits.tokens) continue;
    if (plan.fixedLength === null && padded - chosen.length * longest > length + runCost(length)) continue;
    if (bytes + byteLengthOf(entry.row) > MAXIMUM_RUN_BYTES || values > MAXIMUM_OUTPUT_VALUES) break;
    chosen.push(index);
    longest = Math.max(longest, length);
    bytes += byteLengthOf(entry.row);
  }
  return chosen;
}
