/**
 * Memory for panels: an arena inside the WebAssembly kernels' fixed memory, so that elements can hand panels to the kernels
 * without copying. What does not fit is an ordinary array, and every element then computes in plain JavaScript.
 * @module
 */
import { kernels } from "./kernels/kernels.ts";
import { arenaBytes, arenaStart } from "./kernels/memory.ts";

const ALIGNMENT = 64; // a cache line
let next = arenaStart;

/** Reserves `bytes` of kernel memory until the enclosing {@link withArena} ends; -1 where they do not fit. */
function reserve(bytes: number): number {
  const from = next;
  const to = Math.ceil((from + bytes) / ALIGNMENT) * ALIGNMENT;
  if (kernels === null || to > arenaBytes) return -1;
  next = to;
  return from;
}

/** Runs `body`; all panels and bytes allocated inside are free again when it returns. Calls nest; `body` must be synchronous. */
export function withArena<T>(body: () => T): T {
  const mark = next;
  try {
    return body();
  } finally {
    next = mark;
  }
}

/** A `(size, width)` panel of unspecified content, in kernel memory where it fits. Call inside {@link withArena}. */
export function allocatePanel(size: number, width: number): Float64Array {
  const at = reserve(size * width * 8);
  return at < 0 ? new Float64Array(size * width) : new Float64Array(kernels!.memory.buffer, at, size * width);
}

/** `length` bytes of unspecified content, in kernel memory where they fit. Call inside {@link withArena}. */
export function allocateBytes(length: number): Uint8Array {
  const at = reserve(length);
  return at < 0 ? new Uint8Array(length) : new Uint8Array(kernels!.memory.buffer, at, length);
}

/** A copy of a table of indices where the kernels can read it. Call inside {@link withArena}. */
export function allocateIndices(values: Uint32Array): Uint32Array {
  const at = reserve(values.byteLength);
  if (at < 0) return values;
  const copy = new Uint32Array(kernels!.memory.buffer, at, values.length);
  copy.set(values);
  return copy;
}

/** A copy of numbers where the kernels can read them. Call inside {@link withArena}. */
export function allocateNumbers(values: Float64Array): Float64Array {
  const copy = allocatePanel(values.length, 1);
  copy.set(values);
  return copy;
}

/** True where all arrays lie in kernel memory, so that the kernels may be called on their byte offsets. */
export function inKernelMemory(...arrays: ArrayBufferView[]): boolean {
  if (kernels === null) return false;
  for (const array of arrays) if (array.buffer !== kernels.memory.buffer) return false;
  return true;
}
