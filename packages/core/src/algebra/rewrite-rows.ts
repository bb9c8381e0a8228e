/**
 * The streaming path: the row axis moves whole rows, or mixes them inside blocks (heads); the column axis may do anything.
 * Memory is one chunk of rows, or one block.
 * @module
 */
import { applyAxis, type AxisRewrite } from "./axis.ts";
import { allocateBytes, allocatePanel, withArena } from "./panel.ts";
import { checkResult, checkSource } from "./rewrite-errors.ts";
import type { PlainSource, PlainTarget, RowRange } from "./matrix.ts";
import { readOrdered, sourceRow } from "./row-order.ts";
import { decodeTransposed, encodeColumns, encodeTransposed, LANES, numberBytes, scaleVectors, transposePanel } from "./stored.ts";

const CHUNK_BYTES = 2 ** 20;
const SLAB_WIDTH = 32; // columns that pass through a head's map together

const roundUp = (n: number): number => Math.ceil(n / LANES) * LANES;

/** Rewrites the result rows of `range`. Requires a row axis that {@link isLocal}. */
export function rewriteRows(source: PlainSource, rows: AxisRewrite, columns: AxisRewrite, target: PlainTarget, range: RowRange): void {
  const block = rows.element?.block ?? 1;
  withArena(() => {
    const chunk = new Chunk(source, rows, block);
    for (let from = range.from; from < range.to; from += chunk.rows) {
      const count = Math.min(chunk.rows, range.to - from);
      chunk.read(from, count);
      const result = block === 1 ? rewriteSingles(chunk, columns, target, from, count) : rewriteBlock(chunk, columns, target, from);
      target.write(from, count, result);
    }
  });
}

/** Some rows of the source in result order, each padded with zeros to a multiple of eight numbers, and rows likewise. */
class Chunk {
  readonly source: PlainSource;
  readonly axis: AxisRewrite;
  readonly rows: number;
  readonly stride: number;
  readonly bytes: Uint8Array;
  readonly panel: Float64Array;
  #slab: Float64Array | null = null;
  #result: Uint8Array | null = null;

  constructor(source: PlainSource, axis: AxisRewrite, block: number) {
    this.source = source;
    this.axis = axis;
    const padded = roundUp(source.columns);
    this.stride = padded * numberBytes(source.format);
    this.rows = block === 1 ? Math.max(LANES, Math.floor(CHUNK_BYTES / this.stride / LANES) * LANES) : block;
    this.rows = block === 1 ? Math.min(this.rows, roundUp(source.rows)) : block;
    this.bytes = allocateBytes(roundUp(this.rows) * this.stride);
    this.panel = allocatePanel(padded, LANES); // (columns, 8)
    this.panel.fill(0);
  }

  read(from: number, count: number): void {
    const length = this.source.columns * numberBytes(this.source.format);
    readOrdered(this.source, this.axis, from, count, this.bytes, length);
    if (length !== this.stride) {
      for (let r = count - 1; r >= 0; r--) {
        this.bytes.copyWithin(r * this.stride, r * length, (r + 1) * length);
        this.bytes.fill(0, r * this.stride + length, (r + 1) * this.stride);
      }
    }
    this.bytes.fill(0, count * this.stride, roundUp(count) * this.stride);
  }

  /** Decodes rows `at` to `at + 8` of the chunk into the panel, with gain and scale of the row axis, and applies the column axis. */
  load(columns: AxisRewrite, at: number, factors: Float64Array | null): void {
    const padded = this.panel.length / LANES;
    const part = { panel: this.panel, at: 0, width: LANES };
    const tile = { bytes: this.bytes, at: at * this.stride, stride: this.stride, format: this.source.format };
    checkSource(decodeTransposed(part, tile, padded), this.source.name);
    if (factors) scaleVectors(part, padded, factors);
    applyAxis(columns, this.panel, this.source.columns, LANES);
  }

  /** `(columns/32, block, 32)`: one block of rows, cut into slabs of columns. */
  slab(block: number): Float64Array {
    const slabs = Math.ceil(this.source.columns / SLAB_WIDTH);
    if (this.#slab === null) {
      this.#slab = allocatePanel(slabs * roundUp(block), SLAB_WIDTH);
      this.#slab.fill(0);
    }
    return this.#slab;
  }

  result(stride: number): Uint8Array {
    this.#result ??= allocateBytes(roundUp(this.rows) * stride + SLAB_WIDTH * 4);
    return this.#result;
  }
}

function rewriteSingles(chunk: Chunk, columns: AxisRewrite, target: PlainTarget, from: number, count: number): Uint8Array {
  const { source } = chunk;
  const padded = roundUp(source.columns);
  const stride = padded * numberBytes(target.format);
  const result = chunk.result(stride);
  for (let at = 0; at < count; at += LANES) {
    chunk.load(columns, at, rowFactors(chunk.axis, from + at, Math.min(LANES, count - at)));
    const tile = { bytes: result, at: at * stride, stride, format: target.format };
    checkResult(encodeTransposed(tile, { panel: chunk.panel, at: 0, width: LANES }, padded), source.name, target.format);
  }
  return pack(result, stride, source.columns * numberBytes(target.format), count);
}

/** What a row axis of block 1 multiplies each of the result rows by; null = all ones. */
function rowFactors(axis: AxisRewrite, from: number, count: number): Float64Array | null {
  if (axis.element === null && axis.gain === undefined) return null;
  const factors = new Float64Array(LANES).fill(1);
  for (let r = 0; r < count; r++) {
    axis.element?.applyBlock(from + r, factors.subarray(r, r + 1), 1);
    if (axis.gain) factors[r] = factors[r]! * axis.gain[sourceRow(axis, from + r)]!;
  }
  return factors.every((factor) => factor === 1) ? null : factors;
}

function rewriteBlock(chunk: Chunk, columns: AxisRewrite, target: PlainTarget, from: number): Uint8Array {
  const { source, axis, rows: block } = chunk;
  const element = axis.element!;
  const paddedRows = roundUp(block);
  const slab = chunk.slab(block);
  const slabLength = paddedRows * SLAB_WIDTH;
  for (let at = 0; at < block; at += LANES) {
    const gains = axis.gain && new Float64Array(LANES).map((_, r) => (at + r < block ? axis.gain![sourceRow(axis, from + at + r)]! : 1));
    chunk.load(columns, at, gains ?? null);
    for (let c = 0; c < source.columns; c += SLAB_WIDTH) {
      const part = { panel: slab, at: (c / SLAB_WIDTH) * slabLength + at * SLAB_WIDTH, width: SLAB_WIDTH };
      transposePanel(part, { panel: chunk.panel, at: c * LANES, width: LANES }, Math.min(SLAB_WIDTH, roundUp(source.columns) - c));
    }
  }
  const stride = roundUp(source.columns) * numberBytes(target.format);
  const result = chunk.result(stride);
  for (let c = 0; c < source.columns; c += SLAB_WIDTH) {
    const start = (c / SLAB_WIDTH) * slabLength;
    element.applyBlock(from / block, slab.subarray(start, start + block * SLAB_WIDTH), SLAB_WIDTH);
    for (let lane = 0; lane < SLAB_WIDTH && c + lane < source.columns; lane += LANES) {
      const tile = { bytes: result, at: (c + lane) * numberBytes(target.format), stride, format: target.format };
      checkResult(encodeColumns(tile, { panel: slab, at: start + lane, width: SLAB_WIDTH }, block), source.name, target.format);
    }
  }
  return pack(result, stride, source.columns * numberBytes(target.format), block);
}

/** Removes the padding between rows, in place. */
function pack(bytes: Uint8Array, stride: number, length: number, count: number): Uint8Array {
  if (stride !== length) for (let r = 1; r < count; r++) bytes.copyWithin(r * length, r * stride, r * stride + length);
  return bytes.subarray(0, count * length);
}
