/**
 * The path for a row axis that mixes all rows (a rotation of the hidden stream that a matrix writes) while the column axis only
 * moves columns or mixes them inside blocks: the stored matrix is held, cut into tiles of neighbouring columns.
 * @module
 */
import { applyAxis, type AxisRewrite } from "./axis.ts";
import { allocateBytes, allocatePanel, withArena } from "./panel.ts";
import { checkResult, checkSource } from "./rewrite-errors.ts";
import type { PlainSource, PlainTarget } from "./matrix.ts";
import { sourceRow as sourceOf } from "./row-order.ts";
import {
  allocateGather,
  copyRows,
  decodeColumns,
  decodeTransposed,
  encodeColumns,
  gatherColumns,
  LANES,
  numberBytes,
  scaleVectors,
  transposePanel,
} from "./stored.ts";

const CHUNK_BYTES = 2 ** 20;
const TILE_WIDTH = 32; // two bytes each: one cache line of a stored row
const GROUP = 32; // rows that pass through a head's map together

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/** How a matrix is cut: tile t holds result columns [t·width, (t+1)·width), `(rows, padded)` numbers. */
interface Tiling {
  readonly block: number;
  readonly width: number;
  readonly padded: number;
  readonly count: number;
}

/** Rewrites the whole matrix. Requires a column axis that {@link isLocal}. */
export function rewriteColumns(source: PlainSource, rows: AxisRewrite, columns: AxisRewrite, target: PlainTarget): void {
  const block = columns.element?.block ?? 1;
  const width = block * Math.ceil(TILE_WIDTH / block);
  const tiling = { block, width, padded: roundUp(width, LANES), count: Math.ceil(source.columns / width) };
  const tiles = readTiles(source, columns, tiling);
  const tileBytes = source.rows * tiling.padded * numberBytes(target.format);
  const results = numberBytes(target.format) === numberBytes(source.format) ? tiles : new Uint8Array(tiling.count * tileBytes);
  for (let t = 0; t < tiling.count; t++) withArena(() => rewriteTile(source, rows, columns, target, tiling, tiles, results, t));
  writeTiles(source, target, tiling, results);
}

/** Reads the matrix row by row, moves its columns, and sorts them into tiles. */
function readTiles(source: PlainSource, columns: AxisRewrite, tiling: Tiling): Uint8Array {
  const size = numberBytes(source.format);
  const length = source.columns * size;
  const tileRow = tiling.padded * size;
  const tiles = new Uint8Array(tiling.count * source.rows * tileRow);
  const chunkRows = Math.max(1, Math.floor(CHUNK_BYTES / length));
  withArena(() => {
    const chunk = allocateBytes(chunkRows * length);
    const part = allocateBytes(chunkRows * tileRow);
    const gathered = columns.element === null ? chunk : allocateBytes(chunkRows * length);
    const order = Uint32Array.from({ length: source.columns }, (_, j) => sourceOf(columns, j));
    const gather = allocateGather(order, () => false, source.format);
    part.fill(0);
    for (let row = 0; row < source.rows; row += chunkRows) {
      const count = Math.min(chunkRows, source.rows - row);
      source.read(row, count, chunk.subarray(0, count * length));
      if (gathered !== chunk) gatherColumns(gathered, chunk, gather, count, length);
      for (let t = 0; t < tiling.count; t++) {
        const from = t * tiling.width;
        const used = Math.min(tiling.width, source.columns - from) * size;
        if (used < tileRow) part.fill(0);
        copyRows(part, tileRow, gathered.subarray(from * size), length, count, used);
        tiles.set(part.subarray(0, count * tileRow), (t * source.rows + row) * tileRow);
      }
    }
  });
  return tiles;
}

function rewriteTile(
  source: PlainSource,
  rows: AxisRewrite,
  columns: AxisRewrite,
  target: PlainTarget,
  tiling: Tiling,
  tiles: Uint8Array,
  results: Uint8Array,
  t: number,
): void {
  const { padded } = tiling;
  const stride = padded * numberBytes(source.format);
  const resultStride = padded * numberBytes(target.format);
  const raw = allocateBytes(roundUp(source.rows, GROUP) * stride);
  raw.set(tiles.subarray(t * source.rows * stride, (t + 1) * source.rows * stride));
  raw.fill(0, source.rows * stride);
  const result = resultStride === stride ? raw : allocateBytes(source.rows * resultStride);
  const slab = tiling.block === 1 ? null : mixColumns(source, columns, tiling, raw, t);
  const panel = slab === null ? allocatePanel(source.rows, LANES) : null;
  for (let lane = 0; lane < padded; lane += LANES) {
    const from = t * tiling.width + lane;
    if (from >= source.columns) break;
    const part = panel ?? slab!.subarray((lane / LANES) * source.rows * LANES, (lane / LANES + 1) * source.rows * LANES);
    if (panel !== null) {
      const tile = { bytes: raw, at: lane * numberBytes(source.format), stride, format: source.format };
      checkSource(decodeColumns({ panel, at: 0, width: LANES }, tile, source.rows), source.name);
      const factors = columnFactors(columns, from, Math.min(LANES, source.columns - from));
      if (factors) scaleVectors({ panel, at: 0, width: LANES }, source.rows, factors);
    }
    applyAxis(rows, part, source.rows, LANES);
    const tile = { bytes: result, at: lane * numberBytes(target.format), stride: resultStride, format: target.format };
    checkResult(encodeColumns(tile, { panel: part, at: 0, width: LANES }, source.rows), source.name, target.format);
  }
  results.set(result.subarray(0, source.rows * resultStride), t * source.rows * resultStride);
}

/** What a column axis of block 1 multiplies each of the result columns by; null = all ones. */
function columnFactors(axis: AxisRewrite, from: number, count: number): Float64Array | null {
  if (axis.element === null && axis.gain === undefined) return null;
  const factors = new Float64Array(LANES).fill(1);
  for (let c = 0; c < count; c++) {
    axis.element?.applyBlock(from + c, factors.subarray(c, c + 1), 1);
    if (axis.gain) factors[c] = factors[c]! * axis.gain[sourceOf(axis, from + c)]!;
  }
  return factors.every((factor) => factor === 1) ? null : factors;
}

/** Decodes a tile of whole column blocks, applies the column axis to its rows, and cuts it into panels `(padded/8, rows, 8)`. */
function mixColumns(source: PlainSource, columns: AxisRewrite, tiling: Tiling, raw: Uint8Array, t: number): Float64Array {
  const { block, padded } = tiling;
  const element = columns.element!;
  const stride = padded * numberBytes(source.format);
  const slab = allocatePanel((padded / LANES) * source.rows + GROUP, LANES);
  const from = t * tiling.width;
  const used = Math.min(tiling.width, source.columns - from);
  const gains = columns.gain && new Float64Array(padded).map((_, c) => (c < used ? columns.gain![sourceOf(columns, from + c)]! : 1));
  withArena(() => {
    const group = allocatePanel(padded, GROUP); // columns of the tile, 32 rows
    const turned = allocatePanel(LANES, LANES);
    for (let row = 0; row < source.rows; row += GROUP) {
      for (let lane = 0; lane < GROUP; lane += LANES) {
        const tile = { bytes: raw, at: (row + lane) * stride, stride, format: source.format };
        const part = { panel: group, at: lane, width: GROUP };
        checkSource(decodeTransposed(part, tile, padded), source.name);
      }
      if (gains)
        for (let lane = 0; lane < padded; lane++)
          for (let r = 0; r < GROUP; r++) group[lane * GROUP + r] = group[lane * GROUP + r]! * gains[lane]!;
      for (let c = 0; c < used; c += block) element.applyBlock((from + c) / block, group.subarray(c * GROUP, (c + block) * GROUP), GROUP);
      for (let lane = 0; lane < padded; lane += LANES) {
        for (let r = 0; r < GROUP && row + r < source.rows; r += LANES) {
          const at = ((lane / LANES) * source.rows + row + r) * LANES;
          const part = { panel: group, at: lane * GROUP + r, width: GROUP };
          if (row + r + LANES <= source.rows) transposePanel({ panel: slab, at, width: LANES }, part, LANES);
          else {
            transposePanel({ panel: turned, at: 0, width: LANES }, part, LANES);
            slab.set(turned.subarray(0, (source.rows - row - r) * LANES), at);
          }
        }
      }
    }
  });
  return slab;
}

/** Puts the tiles together again and writes them row by row. */
function writeTiles(source: PlainSource, target: PlainTarget, tiling: Tiling, tiles: Uint8Array): void {
  const size = numberBytes(target.format);
  const length = source.columns * size;
  const tileRow = tiling.padded * size;
  const chunkRows = Math.max(1, Math.floor(CHUNK_BYTES / length));
  withArena(() => {
    const chunk = allocateBytes(chunkRows * length);
    const part = allocateBytes(chunkRows * tileRow);
    for (let row = 0; row < source.rows; row += chunkRows) {
      const count = Math.min(chunkRows, source.rows - row);
      for (let t = 0; t < tiling.count; t++) {
        const at = (t * source.rows + row) * tileRow;
        part.set(tiles.subarray(at, at + count * tileRow));
        const from = t * tiling.width;
        copyRows(chunk.subarray(from * size), length, part, tileRow, count, Math.min(tiling.width, source.columns - from) * size);
      }
      target.write(row, count, chunk.subarray(0, count * length));
    }
  });
}
