/**
 * Stored numbers (F32, F16, BF16) on their way into panels and back, eight vectors at a time, and the few things that are done to
 * their bits alone. Kernels where everything lies in kernel memory, else plain JavaScript; both give the same bits.
 * @module
 */
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "../checkpoint/rounding.ts";
import type { FloatFormat } from "../checkpoint/tensor.ts";
import { kernels, type Kernels } from "./kernels/kernels.ts";
import { allocateBytes, allocateIndices, allocateNumbers, inKernelMemory, withArena } from "./panel.ts";

/** The formats whose numbers stand alone; Q8_0 shares scales and goes through F32. */
export type PlainFormat = Exclude<FloatFormat, "Q8_0">;

/** Vectors that are decoded, encoded and transposed together. */
export const LANES = 8;

// The numbering of the kernels.
const codes = { F32: 0, F16: 1, BF16: 2 } as const;

/** Bytes of one number. */
export function numberBytes(format: PlainFormat): 2 | 4 {
  return format === "F32" ? 4 : 2;
}

/** Eight rows or columns of a row-major tile of stored numbers. */
export interface Tile {
  readonly bytes: Uint8Array;
  /** Where the eight begin in `bytes`. */
  readonly at: number;
  /** Bytes from one row to the next. */
  readonly stride: number;
  readonly format: PlainFormat;
}

/** Eight columns of a panel. */
export interface PanelPart {
  readonly panel: Float64Array;
  /** Index of the first number. */
  readonly at: number;
  /** Width of the panel. */
  readonly width: number;
}

function kernelsFor(...arrays: ArrayBufferView[]): Kernels | null {
  return inKernelMemory(...arrays) ? kernels : null;
}

const address = (tile: Tile): number => tile.bytes.byteOffset + tile.at;
const panelAddress = (part: PanelPart): number => part.panel.byteOffset + part.at * 8;

/** Eight rows of `columns` numbers become eight columns `(columns, 8)` of a panel. False if a number is not finite. */
export function decodeTransposed(part: PanelPart, tile: Tile, columns: number): boolean {
  const fast = columns % LANES === 0 ? kernelsFor(part.panel, tile.bytes) : null;
  if (fast) return fast.decodeTransposed(panelAddress(part), part.width * 8, address(tile), tile.stride, columns, codes[tile.format]) === 1;
  return decodeEach(part, tile, columns, true);
}

/** Eight columns `(columns, 8)` of a panel of width 8 become eight rows of `columns` numbers. False on overflow. */
export function encodeTransposed(tile: Tile, part: PanelPart, columns: number): boolean {
  const fast = columns % LANES === 0 && part.width === LANES ? kernelsFor(part.panel, tile.bytes) : null;
  if (fast) return fast.encodeTransposed(address(tile), tile.stride, panelAddress(part), columns, codes[tile.format]) === 1;
  return encodeEach(tile, part, columns, true);
}

/** `rows` times eight numbers become eight columns `(rows, 8)` of a panel. False if a number is not finite. */
export function decodeColumns(part: PanelPart, tile: Tile, rows: number): boolean {
  const fast = kernelsFor(part.panel, tile.bytes);
  if (fast) return fast.decodeColumns(panelAddress(part), part.width * 8, address(tile), tile.stride, rows, codes[tile.format]) === 1;
  return decodeEach(part, tile, rows, false);
}

/** Eight columns `(rows, 8)` of a panel become `rows` times eight numbers. False on overflow. */
export function encodeColumns(tile: Tile, part: PanelPart, rows: number): boolean {
  const fast = kernelsFor(part.panel, tile.bytes);
  if (fast) return fast.encodeColumns(address(tile), tile.stride, panelAddress(part), part.width * 8, rows, codes[tile.format]) === 1;
  return encodeEach(tile, part, rows, false);
}

function decodeNumber(format: PlainFormat, view: DataView, at: number): number {
  if (format === "F32") return view.getFloat32(at, true);
  return format === "F16" ? fromFloat16(view.getUint16(at, true)) : fromBfloat16(view.getUint16(at, true));
}

function encodeNumber(format: PlainFormat, view: DataView, at: number, value: number): void {
  if (format === "F32") view.setFloat32(at, value, true);
  else view.setUint16(at, format === "F16" ? toFloat16(value) : toBfloat16(value), true);
}

function decodeEach(part: PanelPart, tile: Tile, length: number, transposed: boolean): boolean {
  const view = new DataView(tile.bytes.buffer, tile.bytes.byteOffset, tile.bytes.byteLength);
  const size = numberBytes(tile.format);
  let finite = true;
  for (let i = 0; i < length; i++) {
    for (let lane = 0; lane < LANES; lane++) {
      const at = tile.at + (transposed ? lane * tile.stride + i * size : i * tile.stride + lane * size);
      const value = decodeNumber(tile.format, view, at);
      finite &&= Number.isFinite(value);
      part.panel[part.at + i * part.width + lane] = value;
    }
  }
  return finite;
}

function encodeEach(tile: Tile, part: PanelPart, length: number, transposed: boolean): boolean {
  const view = new DataView(tile.bytes.buffer, tile.bytes.byteOffset, tile.bytes.byteLength);
  const size = numberBytes(tile.format);
  let finite = true;
  for (let i = 0; i < length; i++) {
    for (let lane = 0; lane < LANES; lane++) {
      const at = tile.at + (transposed ? lane * tile.stride + i * size : i * tile.stride + lane * size);
      encodeNumber(tile.format, view, at, part.panel[part.at + i * part.width + lane]!);
      finite &&= Number.isFinite(decodeNumber(tile.format, view, at));
    }
  }
  return finite;
}

/** Transposes eight columns `(size, 8)` of a panel into eight rows `(8, size)` of another. */
export function transposePanel(result: PanelPart, part: PanelPart, size: number): void {
  const fast = size % 2 === 0 ? kernelsFor(result.panel, part.panel) : null;
  if (fast) {
    fast.transposePanel(panelAddress(result), result.width * 8, panelAddress(part), part.width * 8, size);
    return;
  }
  for (let c = 0; c < size; c++)
    for (let lane = 0; lane < LANES; lane++)
      result.panel[result.at + lane * result.width + c] = part.panel[part.at + c * part.width + lane]!;
}

/** Multiplies each of eight columns `(size, 8)` of a panel by its own factor `(8)`. */
export function scaleVectors(part: PanelPart, size: number, factors: Float64Array): void {
  withArena(() => {
    const table = allocateNumbers(factors);
    const fast = kernelsFor(part.panel, table);
    if (fast) {
      fast.scaleVectors(panelAddress(part), part.width * 8, table.byteOffset, size);
      return;
    }
    for (let i = 0; i < size; i++)
      for (let lane = 0; lane < LANES; lane++) {
        const at = part.at + i * part.width + lane;
        part.panel[at] = part.panel[at]! * factors[lane]!;
      }
  });
}

/** Whether all stored numbers are finite: looks at exponents only. */
export function areFinite(bytes: Uint8Array, format: PlainFormat): boolean {
  const fast = bytes.length % 16 === 0 ? kernelsFor(bytes) : null;
  if (fast) return fast.areFinite(bytes.byteOffset, bytes.length, codes[format]) === 1;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += numberBytes(format)) if (!Number.isFinite(decodeNumber(format, view, at))) return false;
  return true;
}

/** Negates all stored numbers, in place and without loss. */
export function flipSigns(bytes: Uint8Array, format: PlainFormat): void {
  const fast = bytes.length % 16 === 0 ? kernelsFor(bytes) : null;
  if (fast) {
    fast.flipSigns(bytes.byteOffset, bytes.length, codes[format]);
    return;
  }
  const size = numberBytes(format); // little endian: the sign is the top bit of the last byte
  for (let at = size - 1; at < bytes.length; at += size) bytes[at] = bytes[at]! ^ 0x80;
}

/** How the numbers of a row move and which of them change sign. */
export interface ColumnGather {
  /** Result number j comes from byte `offsets[j]` of the argument row. */
  readonly offsets: Uint32Array;
  /** The sign bit where result number j is negated, else 0; as wide as the stored numbers. */
  readonly flips: Uint16Array | Uint32Array;
}

/** Prepares {@link gatherColumns}; `negative(j)` says whether result number j is negated. Call inside {@link withArena}. */
export function allocateGather(order: Uint32Array, negative: (j: number) => boolean, format: PlainFormat): ColumnGather {
  const size = numberBytes(format);
  const { buffer, byteOffset } = allocateBytes(order.length * size);
  const flips = size === 4 ? new Uint32Array(buffer, byteOffset, order.length) : new Uint16Array(buffer, byteOffset, order.length);
  for (let j = 0; j < order.length; j++) flips[j] = negative(j) ? 1 << (8 * size - 1) : 0;
  return { offsets: allocateIndices(order.map((i) => i * size)), flips };
}

/** Moves the stored numbers of `rows` rows, `stride` bytes apart, and flips their signs. Bit-exact. */
export function gatherColumns(result: Uint8Array, argument: Uint8Array, gather: ColumnGather, rows: number, stride: number): void {
  const { offsets, flips } = gather;
  const size = flips.BYTES_PER_ELEMENT;
  const fast = kernelsFor(result, argument, offsets, flips);
  if (fast) {
    const kernel = size === 2 ? fast.gatherColumns16 : fast.gatherColumns32;
    kernel(result.byteOffset, argument.byteOffset, offsets.byteOffset, flips.byteOffset, rows, offsets.length, stride);
    return;
  }
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < offsets.length; j++) {
      const from = r * stride + offsets[j]!;
      const to = r * stride + j * size;
      for (let b = 0; b < size; b++) result[to + b] = argument[from + b]!;
      if (flips[j] !== 0) result[to + size - 1] = result[to + size - 1]! ^ 0x80;
    }
  }
}

/** Copies `rows` rows of `length` bytes between two strides. */
export function copyRows(
  result: Uint8Array,
  resultStride: number,
  argument: Uint8Array,
  argumentStride: number,
  rows: number,
  length: number,
): void {
  const fast = length % 16 === 0 ? kernelsFor(result, argument) : null;
  if (fast) fast.copyRows(result.byteOffset, resultStride, argument.byteOffset, argumentStride, rows, length);
  else for (let r = 0; r < rows; r++) result.set(argument.subarray(r * argumentStride, r * argumentStride + length), r * resultStride);
}
