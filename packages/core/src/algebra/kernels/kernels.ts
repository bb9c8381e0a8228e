/**
 * The WebAssembly SIMD kernels, instantiated once per thread over a memory of fixed size (`kernels.as.ts` says what each does).
 * @module
 */
import { kernelsBase64 } from "./kernels.wasm.ts";

/** The compiled kernels; pointers are byte offsets into `memory`, and functions of stored numbers return 1 if all are finite. */
export interface Kernels {
  readonly memory: { readonly buffer: ArrayBuffer };
  gatherRows(result: number, argument: number, order: number, scale: number, size: number, width: number): void;
  scaleRows(panel: number, scale: number, size: number, width: number): void;
  weightedSum(sum: number, panel: number, weights: number, size: number, width: number): void;
  addOuter(panel: number, weights: number, amount: number, factor: number, size: number, width: number): void;
  rotatePairs(panel: number, width: number, pairs: number, second: number, step: number, real: number, imaginary: number): void;
  multiplyDense(result: number, argument: number, matrix: number, size: number, width: number, count: number): void;
  transformHadamard(panel: number, size: number, width: number, factor: number): void;
  scaleVectors(panel: number, pitch: number, factors: number, size: number): void;
  transposePanel(result: number, resultPitch: number, panel: number, pitch: number, size: number): void;
  decodeTransposed(panel: number, pitch: number, tile: number, stride: number, columns: number, format: number): number;
  encodeTransposed(tile: number, stride: number, panel: number, columns: number, format: number): number;
  decodeColumns(panel: number, pitch: number, tile: number, stride: number, rows: number, format: number): number;
  encodeColumns(tile: number, stride: number, panel: number, pitch: number, rows: number, format: number): number;
  areFinite(at: number, bytes: number, format: number): number;
  flipSigns(at: number, bytes: number, format: number): void;
  copyRows(result: number, resultStride: number, argument: number, argumentStride: number, rows: number, bytes: number): void;
  gatherColumns16(result: number, argument: number, offsets: number, flips: number, rows: number, columns: number, stride: number): void;
  gatherColumns32(result: number, argument: number, offsets: number, flips: number, rows: number, columns: number, stride: number): void;
}

// TypeScript declares WebAssembly in its DOM library only, which a package for Node has no use for.
interface WebAssemblyNamespace {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports?: object) => { readonly exports: unknown };
}

function instantiate(): Kernels | null {
  const webAssembly = (globalThis as { WebAssembly?: WebAssemblyNamespace }).WebAssembly;
  const bytes = Uint8Array.from(atob(kernelsBase64), (character) => character.charCodeAt(0));
  if (webAssembly === undefined || !webAssembly.validate(bytes)) return null;
  return new webAssembly.Instance(new webAssembly.Module(bytes)).exports as Kernels;
}

/** The kernels, or null where the engine has no WebAssembly SIMD. */
export const kernels: Kernels | null = instantiate();
