/**
 * The arithmetic of all elements: a handful of operations on panels `(size, width)`. Each runs in the WebAssembly kernels
 * when its panel lies in kernel memory and its width is even, else in plain JavaScript; both agree up to rounding.
 *
 * Tables (orders, scales, matrices) are copied into kernel memory at each call: they are small beside the panel.
 * @module
 */
import { kernels, type Kernels } from "./kernels/kernels.ts";
import { allocateIndices, allocateNumbers, allocatePanel, inKernelMemory, withArena } from "./panel.ts";

/** The kernels if they can work on these arrays, else null. */
function kernelsFor(width: number, ...arrays: ArrayBufferView[]): Kernels | null {
  return width % 2 === 0 && inKernelMemory(...arrays) ? kernels : null;
}

/** Moves and scales panel rows: result row j = scale[j] · row order[j]. */
export function gatherRows(panel: Float64Array, width: number, order: Uint32Array, scale: Float64Array | null): void {
  withArena(() => {
    const size = order.length;
    const argument = allocatePanel(size, width);
    argument.set(panel.subarray(0, size * width));
    const indices = allocateIndices(order);
    const factors = scale === null ? argument : allocateNumbers(scale);
    const fast = kernelsFor(width, panel, argument, indices, factors);
    if (fast) {
      fast.gatherRows(panel.byteOffset, argument.byteOffset, indices.byteOffset, scale === null ? 0 : factors.byteOffset, size, width);
      return;
    }
    for (let j = 0; j < size; j++) {
      const from = order[j]! * width;
      const to = j * width;
      const s = scale === null ? 1 : scale[j]!;
      for (let c = 0; c < width; c++) panel[to + c] = argument[from + c]! * s;
    }
  });
}

/** Scales panel rows in place: row i times scale[i]. */
export function scaleRows(panel: Float64Array, size: number, width: number, scale: Float64Array): void {
  withArena(() => {
    const factors = allocateNumbers(scale);
    const fast = kernelsFor(width, panel, factors);
    if (fast) {
      fast.scaleRows(panel.byteOffset, factors.byteOffset, size, width);
      return;
    }
    for (let i = 0; i < size; i++) {
      const s = scale[i]!;
      for (let c = 0; c < width; c++) panel[i * width + c] = panel[i * width + c]! * s;
    }
  });
}

/** Fast Walsh-Hadamard transform along the `size` = 2^k rows, times `factor`: O(n log n) additions. In place. */
export function transformHadamard(panel: Float64Array, size: number, width: number, factor: number): void {
  const fast = kernelsFor(width, panel);
  if (fast) {
    fast.transformHadamard(panel.byteOffset, size, width, factor);
    return;
  }
  for (let half = 1; half < size; half *= 2) {
    for (let start = 0; start < size; start += 2 * half) {
      const end = (start + half) * width;
      const distance = half * width;
      for (let i = start * width; i < end; i++) {
        const a = panel[i]!;
        const b = panel[i + distance]!;
        panel[i] = a + b;
        panel[i + distance] = a - b;
      }
    }
  }
  for (let i = 0; i < size * width; i++) panel[i] = panel[i]! * factor;
}

/**
 * Multiplies each of `count` consecutive panels by one dense matrix: result row j = sum over i of matrix[i][j] · row i,
 * with `matrix` `(size, size)` row-major.
 */
export function multiplyDense(panel: Float64Array, size: number, width: number, matrix: Float64Array, count = 1): void {
  withArena(() => {
    const length = size * width * count;
    const argument = allocatePanel(size * count, width);
    argument.set(panel.subarray(0, length));
    const table = allocateNumbers(matrix);
    const fast = kernelsFor(width, panel, argument, table);
    if (fast) {
      fast.multiplyDense(panel.byteOffset, argument.byteOffset, table.byteOffset, size, width, count);
      return;
    }
    panel.fill(0, 0, length);
    for (let start = 0; start < length; start += size * width) {
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          const t = matrix[i * size + j]!;
          const from = start + i * width;
          const to = start + j * width;
          for (let c = 0; c < width; c++) panel[to + c] = panel[to + c]! + t * argument[from + c]!;
        }
      }
    }
  });
}

/** Reflects every vector: v -> v - factor·(v·normal)·normal; a Householder reflection for factor = 2/|normal|². */
export function reflect(panel: Float64Array, size: number, width: number, normal: Float64Array, factor: number): void {
  addOuter(panel, size, width, normal, weightedSum(panel, size, width, normal), -factor);
}

/** The scalar product of every vector of the panel with `weights`: `(width)`; null = all ones. */
export function weightedSum(panel: Float64Array, size: number, width: number, weights: Float64Array | null): Float64Array {
  return withArena(() => {
    const sum = allocatePanel(1, width);
    const factors = weights === null ? sum : allocateNumbers(weights);
    const fast = kernelsFor(width, panel, sum, factors);
    if (fast) {
      fast.weightedSum(sum.byteOffset, panel.byteOffset, weights === null ? 0 : factors.byteOffset, size, width);
    } else {
      sum.fill(0);
      for (let i = 0; i < size; i++) {
        const w = weights === null ? 1 : weights[i]!;
        for (let c = 0; c < width; c++) sum[c] = sum[c]! + w * panel[i * width + c]!;
      }
    }
    return sum.slice();
  });
}

/** Adds factor · weights[i] · amount[c] to coordinate i of vector c; null = all weights one. In place. */
export function addOuter(
  panel: Float64Array,
  size: number,
  width: number,
  weights: Float64Array | null,
  amount: Float64Array,
  factor: number,
): void {
  withArena(() => {
    const amounts = allocateNumbers(amount);
    const factors = weights === null ? amounts : allocateNumbers(weights);
    const fast = kernelsFor(width, panel, amounts, factors);
    if (fast) {
      fast.addOuter(panel.byteOffset, weights === null ? 0 : factors.byteOffset, amounts.byteOffset, factor, size, width);
      return;
    }
    for (let i = 0; i < size; i++) {
      const w = weights === null ? factor : factor * weights[i]!;
      for (let c = 0; c < width; c++) panel[i * width + c] = panel[i * width + c]! + w * amount[c]!;
    }
  });
}

/**
 * Multiplies pairs of panel rows by complex numbers: rows p and p + pairs (`half`) or 2p and 2p + 1 (`interleaved`) are the real
 * and imaginary parts. In place.
 */
export function rotatePairs(
  panel: Float64Array,
  width: number,
  layout: "half" | "interleaved",
  real: Float64Array,
  imaginary: Float64Array,
): void {
  const pairs = real.length;
  const step = layout === "half" ? 1 : 2;
  const second = layout === "half" ? pairs : 1;
  withArena(() => {
    const x = allocateNumbers(real);
    const y = allocateNumbers(imaginary);
    const fast = kernelsFor(width, panel, x, y);
    if (fast) {
      fast.rotatePairs(panel.byteOffset, width, pairs, second, step, x.byteOffset, y.byteOffset);
      return;
    }
    for (let p = 0; p < pairs; p++) {
      const first = p * step * width;
      const other = first + second * width;
      const a = real[p]!;
      const b = imaginary[p]!;
      for (let c = 0; c < width; c++) {
        const u = panel[first + c]!;
        const v = panel[other + c]!;
        panel[first + c] = a * u - b * v;
        panel[other + c] = b * u + a * v;
      }
    }
  });
}
