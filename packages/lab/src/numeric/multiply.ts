/**
 * Products of large matrices, in float64 on the SIMD kernel: about 18 billion operations a second on one core (`npm run bench -- lab`).
 * @module
 */
import { matrix, transpose, type Matrix } from "./matrix.ts";
import { multiplyBase64 } from "./multiply.wasm.ts";

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  multiplyPanel(result: number, left: number, right: number, rows: number, inner: number, columns: number): void;
}

// TypeScript declares WebAssembly in its DOM library only, which a package for Node has no use for.
interface WebAssemblyNamespace {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports?: object) => { readonly exports: unknown };
}
const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyNamespace }).WebAssembly;
const kernel = new Instance(new Module(Buffer.from(multiplyBase64, "base64"))).exports as Kernel;

/** Bytes of the kernel's memory; `build.ts` compiles it in. */
export const kernelBytes = 64 * 2 ** 20;
/** The largest inner dimension. */
const MAXIMUM_INNER = 65_536;
const START = 1024;
const ROWS = 64;

/** A · B: `(n, k)` · `(k, m)` -> `(n, m)`. @throws RangeError where the shapes do not fit. */
export function multiply(a: Matrix, b: Matrix): Matrix {
  if (a.columns !== b.rows) throw new RangeError(`multiply: expected ${a.columns} rows on the right, got ${b.rows}.`);
  return multiplyTransposed(a, transpose(b));
}

/** A · Bᵀ: `(n, k)` · `(m, k)` -> `(n, m)`. @throws RangeError where the shapes do not fit. */
export function multiplyTransposed(a: Matrix, b: Matrix): Matrix {
  const out = matrix(a.rows, b.rows);
  eachPanelOfProduct(a, b, (row, column, panel, rows, columns, pitch) => {
    for (let i = 0; i < rows; i += 1) out.values.set(panel.subarray(i * pitch, i * pitch + columns), (row + i) * out.columns + column);
  });
  return out;
}

/** Aᵀ · B: `(n, k)`, `(n, m)` -> `(k, m)`. @throws RangeError where the shapes do not fit. */
export function multiplyFirstTransposed(a: Matrix, b: Matrix): Matrix {
  if (a.rows !== b.rows) throw new RangeError(`multiply: expected ${a.rows} rows, got ${b.rows}.`);
  return multiplyTransposed(transpose(a), transpose(b));
}

/**
 * A · Bᵀ without ever holding it: calls `use` with one block of the product at a time, (rows, columns) numbers whose rows lie
 * `pitch` apart, at (row, column) of the whole. The block is overwritten by the next.
 *
 * @throws RangeError where the shapes do not fit, or the inner dimension is beyond 65,536.
 */
export function eachPanelOfProduct(
  a: Matrix,
  b: Matrix,
  use: (row: number, column: number, panel: Float64Array, rows: number, columns: number, pitch: number) => void,
): void {
  const inner = a.columns;
  if (inner !== b.columns) throw new RangeError(`multiply: expected an inner dimension of ${inner}, got ${b.columns}.`);
  if (inner > MAXIMUM_INNER) throw new RangeError(`multiply: an inner dimension of ${inner} is beyond ${MAXIMUM_INNER}.`);
  if (inner === 0) return;
  // left: ROWS x inner; right: width x inner; result: ROWS x width.
  const room = (kernelBytes - START) / 8 - ROWS * inner;
  const width = Math.min(round4(b.rows), 1024, Math.floor(room / (inner + ROWS) / 4) * 4);
  const left = START;
  const right = left + ROWS * inner * 8;
  const result = right + width * inner * 8;
  const memory = kernel.memory.buffer;
  const leftPanel = new Float64Array(memory, left, ROWS * inner);
  const rightPanel = new Float64Array(memory, right, width * inner);
  const panel = new Float64Array(memory, result, ROWS * width);
  for (let column = 0; column < b.rows; column += width) {
    const columns = Math.min(width, b.rows - column);
    pack(rightPanel, b, column, columns);
    for (let row = 0; row < a.rows; row += ROWS) {
      const rows = Math.min(ROWS, a.rows - row);
      pack(leftPanel, a, row, rows);
      const pitch = round4(columns);
      kernel.multiplyPanel(result, left, right, round4(rows), inner, pitch);
      use(row, column, panel, rows, columns, pitch);
    }
  }
}

/** Rows from `start` on in groups of four, (groups, inner, 4); what is missing in the last group is zero. */
function pack(into: Float64Array, { values, columns: inner }: Matrix, start: number, count: number): void {
  for (let group = 0; group < count; group += 4) {
    for (let lane = 0; lane < 4; lane += 1) {
      let to = group * inner + lane;
      if (group + lane >= count) {
        for (let k = 0; k < inner; k += 1, to += 4) into[to] = 0;
        continue;
      }
      const from = (start + group + lane) * inner;
      for (let k = 0; k < inner; k += 1, to += 4) into[to] = values[from + k] as number;
    }
  }
}

const round4 = (count: number): number => Math.ceil(count / 4) * 4;
