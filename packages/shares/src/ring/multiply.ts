/**
 * Products of shares on WebAssembly: the weights of a whole model in its memory. Exact on every machine.
 * @module
 */
import type { Layout } from "../layout.ts";
import { ringBase64 } from "./kernels.wasm.ts";
import { groupFor, productsPerRow, tooManyWeights, type ReadRows, type ShareKernel } from "./weight-source.ts";

interface Kernels {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  split(limbs: number, rows: number, count: number, width: number, stride: number): void;
  multiply(result: number, weights: number, limbs: number, out: number, stride: number, count: number, block: number): void;
  multiplyExact(result: number, weights: number, rows: number, out: number, stride: number, width: number, count: number): void;
}

// TypeScript declares WebAssembly in its DOM library only, which a package for Node has no use for.
interface WebAssemblyNamespace {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}
const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyNamespace }).WebAssembly;

/** Bytes of weights that one instance holds (CWE-770). */
export const MAXIMUM_WEIGHT_BYTES = 2 ** 31;
const PAGE_BYTES = 65_536;
/** First byte after what the compiler may use. */
const START = 1024;
/** Rows that pass through the weights together. */
const ROWS_PER_PASS = 64;
/** Bytes for the rows and results of one pass; a single row may take more. */
const PASS_BYTES = 64 * 2 ** 20;
/** Bytes of weights that stay in the cache while the rows of a pass go by. */
const BLOCK_BYTES = 128 * 1024;
/** Bytes read from the file at once. */
const READ_BYTES = 4 * 2 ** 20;

/** One limb of a layer in the memory of the kernels. */
interface Matrix {
  readonly at: number;
  readonly out: number;
}

/** The weights of a model, in WebAssembly. */
export class WeightStore implements ShareKernel {
  readonly name = "wasm";
  readonly #layout: Layout;
  readonly #kernels: Kernels;
  /** In the order of PRODUCTS, by group. */
  readonly #matrices: readonly (readonly Matrix[])[];
  readonly #pass: { readonly rows: number; readonly limbs: number; readonly result: number; readonly count: number };

  private constructor(layout: Layout, read: ReadRows) {
    this.#layout = layout;
    // Each instance has a memory of its own, which goes with it.
    this.#kernels = new Instance(new Module(Buffer.from(ringBase64, "base64"))).exports as Kernels;

    const widest = Math.max(...layout.groups.map((group) => strideOf(group.in)));
    const longest = Math.max(...layout.groups.flatMap(({ layers }) => layers.map(({ out }) => out)));
    const perRow = 4 * widest + 4 * widest + 8 * longest;
    const count = Math.max(1, Math.min(ROWS_PER_PASS, Math.floor(PASS_BYTES / perRow)));
    this.#pass = { rows: START, limbs: START + count * 4 * widest, result: START + count * 8 * widest, count };

    const weights = layout.groups.reduce((sum, group) => sum + productsPerRow(layout, group) * strideOf(group.in), 0);
    if (weights > MAXIMUM_WEIGHT_BYTES) tooManyWeights(weights, MAXIMUM_WEIGHT_BYTES);
    const first = START + count * perRow;
    this.#grow(first + weights);
    this.#matrices = this.#fill(read, first);
  }

  /** Reads all weights. @throws UnseenError CHECKPOINT_TOO_LARGE for more than 2 GiB or than the machine has, and as `read` */
  static load(layout: Layout, read: ReadRows): WeightStore {
    return new WeightStore(layout, read);
  }

  multiply(group: number, rows: Uint32Array, count: number): Uint32Array<ArrayBuffer> {
    const { in: width } = groupFor(this.#layout, group, rows, count);
    const stride = strideOf(width);
    const { limbs, result } = this.#pass;
    const block = Math.max(4, Math.floor(BLOCK_BYTES / stride) & ~3);
    return this.#passes(group, rows, count, Uint32Array, ({ at, out }, passing) =>
      this.#kernels.multiply(result, at, limbs, out, stride, passing, block),
    );
  }

  exact(group: number, rows: Uint32Array, count: number): BigInt64Array<ArrayBuffer> {
    const { in: width } = groupFor(this.#layout, group, rows, count);
    const stride = strideOf(width);
    const { rows: from, result } = this.#pass;
    return this.#passes(group, rows, count, BigInt64Array, ({ at, out }, passing) =>
      this.#kernels.multiplyExact(result, at, from, out, stride, width, passing),
    );
  }

  /** Takes rows through all matrices of a group, as many together as there is room for. */
  #passes<Numbers extends Uint32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>>(
    index: number,
    rows: Uint32Array,
    count: number,
    Numbers: new (from: number | ArrayBuffer, at?: number, length?: number) => Numbers,
    run: (matrix: Matrix, passing: number) => void,
  ): Numbers {
    const group = this.#layout.groups[index]!;
    const matrices = this.#matrices[index]!;
    const products = new Numbers(count * productsPerRow(this.#layout, group));
    const { buffer } = this.#kernels.memory;
    for (let row = 0; row < count; row += this.#pass.count) {
      const passing = Math.min(this.#pass.count, count - row);
      const part = rows.subarray(row * group.in, (row + passing) * group.in);
      new Uint32Array(buffer, this.#pass.rows, part.length).set(part);
      this.#kernels.split(this.#pass.limbs, this.#pass.rows, passing, group.in, strideOf(group.in));
      let before = 0;
      for (const matrix of matrices) {
        run(matrix, passing);
        const result = new Numbers(buffer, this.#pass.result, passing * matrix.out);
        products.set(result as never, count * before + row * matrix.out);
        before += matrix.out;
      }
    }
    return products;
  }

  #grow(bytes: number): void {
    const { memory } = this.#kernels;
    try {
      memory.grow(Math.max(0, Math.ceil((bytes - memory.buffer.byteLength) / PAGE_BYTES)));
    } catch {
      tooManyWeights(bytes, memory.buffer.byteLength);
    }
  }

  #fill(read: ReadRows, first: number): Matrix[][] {
    const { buffer } = this.#kernels.memory;
    let at = first;
    return this.#layout.groups.map(({ in: width, layers }) => {
      const stride = strideOf(width);
      const some = Math.max(1, Math.floor(READ_BYTES / width));
      const matrices: Matrix[] = [];
      for (const { name, out } of layers) {
        for (let limb = 0; limb < this.#layout.limbs; limb += 1) {
          for (let row = 0; row < out; row += some) {
            const rows = new Int8Array(Math.min(some, out - row) * width);
            read(name, limb, row, rows);
            const into = new Int8Array(buffer, at + row * stride, (rows.length / width) * stride);
            if (stride === width) into.set(rows);
            else for (let i = 0; i * width < rows.length; i += 1) into.set(rows.subarray(i * width, (i + 1) * width), i * stride);
          }
          matrices.push({ at, out });
          at += out * stride;
        }
      }
      return matrices;
    });
  }
}

/** Weights lie in rows of a multiple of eight, zeros behind. */
function strideOf(width: number): number {
  return Math.ceil(width / 8) * 8;
}
