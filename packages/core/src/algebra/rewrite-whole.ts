/**
 * The path for two axes that both mix everything: the whole matrix in float64. Rare, so plain.
 * @module
 */
import { decode, encode } from "../checkpoint/format.ts";
import { applyAxis, type AxisRewrite } from "./axis.ts";
import { allocatePanel, withArena } from "./panel.ts";
import { checkResult, checkSource } from "./rewrite-errors.ts";
import type { PlainSource, PlainTarget } from "./matrix.ts";
import { LANES, numberBytes } from "./stored.ts";

/** Rewrites the whole matrix; any axes. Holds 8 bytes per weight. */
export function rewriteWhole(source: PlainSource, rows: AxisRewrite, columns: AxisRewrite, target: PlainTarget): void {
  const { rows: height, columns: width } = source;
  const values = new Float64Array(height * width);
  const stored = new Uint8Array(values.length * numberBytes(source.format));
  source.read(0, height, stored);
  decode(source.format, stored, values);
  checkSource(areAllFinite(values), source.name);
  applyAlong(columns, values, width, height, 1, width);
  applyAlong(rows, values, height, width, width, 1);
  const result = new Uint8Array(values.length * numberBytes(target.format));
  encode(target.format, values, result);
  decode(target.format, result, values);
  checkResult(areAllFinite(values), source.name, target.format);
  target.write(0, height, result);
}

function areAllFinite(values: Float64Array): boolean {
  for (const value of values) if (!Number.isFinite(value)) return false;
  return true;
}

/** Applies an axis to `count` vectors: coordinate i of vector v lies at i·step + v·distance. */
function applyAlong(axis: AxisRewrite, values: Float64Array, size: number, count: number, step: number, distance: number): void {
  for (let from = 0; from < count; from += LANES) {
    withArena(() => {
      const panel = allocatePanel(size, LANES);
      const used = Math.min(LANES, count - from);
      panel.fill(0);
      for (let i = 0; i < size; i++) for (let v = 0; v < used; v++) panel[i * LANES + v] = values[i * step + (from + v) * distance]!;
      applyAxis(axis, panel, size, LANES);
      for (let i = 0; i < size; i++) for (let v = 0; v < used; v++) values[i * step + (from + v) * distance] = panel[i * LANES + v]!;
    });
  }
}
