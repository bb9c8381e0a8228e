/**
 * Products of shares on ONNX Runtime: its integer product of unsigned by signed bytes, on the four bytes of each share.
 *
 * x = sum of 256^l x_l with bytes x_l, so W x = sum of 256^l (W x_l); each W x_l fits 32 bits for up to 2^16 numbers a row.
 * On processors without the instructions for it the runtime's kernel saturates at 16 bits: {@link isExact} finds out.
 * @module
 */
import { encodeOnnx, onnxNode } from "@unseen/core/checkpoint/onnx-encode.ts";
import { tensorOf } from "@unseen/core/checkpoint/onnx-tensor.ts";
import type { InferenceSession, Tensor } from "onnxruntime-node";
import type { Layout } from "../layout.ts";
import { groupFor, productsPerRow, tooManyWeights, type ReadRows, type ShareKernel } from "./weight-source.ts";

/** Numbers of a row: 2^16 products of two bytes fit 32 bits. */
export const MAXIMUM_WIDTH = 2 ** 16;
/** Bytes of weights in one graph; the format of the graph ends at 2 GiB. */
const MAXIMUM_GRAPH_BYTES = 2 ** 31 - 2 ** 16;
/** Rows of one run: their limbs and products take memory. */
const ROWS_PER_PASS = 64;
const LIMBS = 4;

interface Runtime {
  readonly InferenceSession: { create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> };
  readonly Tensor: new (type: "uint8", data: Uint8Array, shape: readonly number[]) => Tensor;
}

/** The weights of a model, in ONNX Runtime. */
export class LimbsRuntime implements ShareKernel {
  readonly name = "onnxruntime";
  readonly #layout: Layout;
  readonly #runtime: Runtime;
  readonly #sessions: readonly InferenceSession[];

  private constructor(layout: Layout, runtime: Runtime, sessions: readonly InferenceSession[]) {
    this.#layout = layout;
    this.#runtime = runtime;
    this.#sessions = sessions;
  }

  /**
   * Reads all weights, one graph for each group.
   *
   * @param threads of the runtime
   * @throws UnseenError CHECKPOINT_TOO_LARGE for a group of more than 2 GiB; RangeError for rows beyond {@link MAXIMUM_WIDTH};
   * Error where the runtime is not installed
   */
  static async load(layout: Layout, read: ReadRows, threads = 1): Promise<LimbsRuntime> {
    const runtime: Runtime = await import("onnxruntime-node");
    const sessions: InferenceSession[] = [];
    for (const group of layout.groups) {
      if (group.in > MAXIMUM_WIDTH) throw new RangeError(`expected rows of at most ${MAXIMUM_WIDTH} numbers, got ${group.in}.`);
      const total = productsPerRow(layout, group);
      if (total * group.in > MAXIMUM_GRAPH_BYTES) tooManyWeights(total * group.in, MAXIMUM_GRAPH_BYTES);
      const weights = new Int8Array(group.in * total); // (in, total)
      let column = 0;
      for (const { name, out } of group.layers) {
        for (let limb = 0; limb < layout.limbs; limb += 1) {
          transposeInto(weights, total, column, group.in, out, (first, into) => read(name, limb, first, into));
          column += out;
        }
      }
      sessions.push(await runtime.InferenceSession.create(graphOf(weights, group.in, total), sessionOptions(threads)));
    }
    return new LimbsRuntime(layout, runtime, sessions);
  }

  async multiply(group: number, rows: Uint32Array, count: number): Promise<Uint32Array<ArrayBuffer>> {
    const products = new Uint32Array(count * this.#perRow(group));
    await this.#passes(group, rows, count, (at, p0, p1, p2, p3) => {
      products[at] = p0 + (p1 << 8) + (p2 << 16) + (p3 << 24);
    });
    return products;
  }

  async exact(group: number, rows: Uint32Array, count: number): Promise<BigInt64Array<ArrayBuffer>> {
    const products = new BigInt64Array(count * this.#perRow(group));
    await this.#passes(group, rows, count, (at, p0, p1, p2, p3) => {
      products[at] = BigInt(p0 + p1 * 256) + (BigInt(p2 + p3 * 256) << 16n);
    });
    return products;
  }

  #perRow(index: number): number {
    const group = this.#layout.groups[index];
    return group ? productsPerRow(this.#layout, group) : 0;
  }

  /** Calls `use` for each product, with its place in PRODUCTS and its four parts. */
  async #passes(
    index: number,
    rows: Uint32Array,
    count: number,
    use: (at: number, p0: number, p1: number, p2: number, p3: number) => void,
  ): Promise<void> {
    const group = groupFor(this.#layout, index, rows, count);
    const outs = group.layers.flatMap(({ out }) => Array.from({ length: this.#layout.limbs }, () => out));
    const total = this.#perRow(index);
    for (let row = 0; row < count; row += ROWS_PER_PASS) {
      const passing = Math.min(ROWS_PER_PASS, count - row);
      const limbs = splitBytes(rows.subarray(row * group.in, (row + passing) * group.in));
      const input = new this.#runtime.Tensor("uint8", limbs, [LIMBS * passing, group.in]);
      const { y } = await this.#sessions[index]!.run({ x: input });
      const parts = y!.data as Int32Array; // (4, passing, total)
      const plane = passing * total;
      let before = 0;
      for (const out of outs) {
        for (let i = 0; i < passing; i += 1) {
          let from = i * total + before;
          let to = count * before + (row + i) * out;
          for (const end = from + out; from < end; from += 1, to += 1)
            use(to, parts[from]!, parts[from + plane]!, parts[from + 2 * plane]!, parts[from + 3 * plane]!);
        }
        before += out;
      }
    }
  }
}

/**
 * Whether the runtime's products are exact on this machine: the largest bytes by the largest weights of either sign, in the shapes
 * that take its different paths.
 */
export async function isExact(threads = 1): Promise<boolean> {
  const width = 1024;
  const out = 67;
  const layout: Layout = {
    format: "unseen-shares/1",
    fingerprint: "",
    limbs: 1,
    groups: [{ name: "test", in: width, layers: [{ name: "test", out }] }],
  };
  const weightOf = (row: number): number => [127, -127, -128][row % 3]!;
  const read: ReadRows = (_layer, _limb, first, into) => into.forEach((_, i) => (into[i] = weightOf(first + Math.floor(i / width))));
  const kernel = await LimbsRuntime.load(layout, read, threads);
  for (const count of [1, 2, 17]) {
    const products = await kernel.exact(0, new Uint32Array(count * width).fill(0xffffffff), count);
    if (products.some((product, i) => product !== BigInt(weightOf(i % out)) * BigInt(width) * 0xffffffffn)) return false;
  }
  return true;
}

function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
    executionMode: "sequential",
    logSeverityLevel: 4,
  };
}

function graphOf(weights: Int8Array, width: number, total: number): Uint8Array {
  return encodeOnnx({
    nodes: [onnxNode("MatMulInteger", ["x", "w"], ["y"])],
    initializers: new Map([["w", tensorOf("w", "int8", [width, total], new Uint8Array(weights.buffer))]]),
    inputs: [{ name: "x", type: "uint8", shape: ["rows", width] }],
    outputs: [{ name: "y", type: "int32", shape: ["rows", total] }],
  });
}

/** The bytes of numbers, lowest first: (4, numbers). */
function splitBytes(numbers: Uint32Array): Uint8Array {
  const count = numbers.length;
  const bytes = new Uint8Array(LIMBS * count);
  for (let i = 0; i < count; i += 1) {
    const x = numbers[i]!;
    bytes[i] = x;
    bytes[i + count] = x >>> 8;
    bytes[i + 2 * count] = x >>> 16;
    bytes[i + 3 * count] = x >>> 24;
  }
  return bytes;
}

/** Reads a matrix (out, width), some rows at a time so that what is written lies in runs, into columns of one of (width, total). */
function transposeInto(
  into: Int8Array,
  total: number,
  column: number,
  width: number,
  out: number,
  read: (first: number, rows: Int8Array) => void,
): void {
  const some = 64;
  for (let first = 0; first < out; first += some) {
    const count = Math.min(some, out - first);
    const rows = new Int8Array(count * width);
    read(first, rows);
    for (let k = 0; k < width; k += 1) for (let i = 0; i < count; i += 1) into[k * total + column + first + i] = rows[i * width + k]!;
  }
}
