/**
 * Which kernel this machine multiplies with: the faster one, of those that prove exact here.
 * @module
 */
import type { Layout } from "../layout.ts";
import { LimbsRuntime, MAXIMUM_WIDTH, isExact } from "./limbs-runtime.ts";
import { WeightStore } from "./multiply.ts";
import type { ReadRows, ShareKernel } from "./weight-source.ts";

/** A matrix to try, and the rows of a prompt. */
export interface Trial {
  readonly in: number;
  readonly out: number;
  readonly rows: number;
}

const TRIAL: Trial = { in: 1024, out: 1024, rows: 64 };
const REPEATS = 12;

/** What a kernel's trial came to; billions of multiplications a second. */
export interface KernelSpeed {
  readonly name: ShareKernel["name"];
  /** One row, as when a token is generated. */
  readonly single: number;
  /** All rows of the trial, as when a prompt is read. */
  readonly prompt: number;
}

/**
 * Measures both kernels on this machine; ONNX Runtime's only where it is installed and exact.
 *
 * @example
 * `node --input-type=module -e 'import { measureKernels } from "@unseen/shares/ring/choose-kernel.ts"; console.table(await measureKernels())'`
 */
export async function measureKernels(threads = 1, trial = TRIAL): Promise<KernelSpeed[]> {
  const layout: Layout = {
    format: "unseen-shares/1",
    fingerprint: "",
    limbs: 1,
    groups: [{ name: "trial", in: trial.in, layers: [{ name: "trial", out: trial.out }] }],
  };
  const read: ReadRows = (_layer, _limb, first, into) => into.forEach((_, i) => (into[i] = (first * trial.in + i) * 31));
  const speeds = [await measure(WeightStore.load(layout, read), trial)];
  const exact = await isExact(threads).catch(() => false);
  if (exact) speeds.push(await measure(await LimbsRuntime.load(layout, read, threads), trial));
  return speeds;
}

/** The name of the kernel that reads a prompt and generates as many tokens as it has in less time. */
export function fastest(speeds: readonly KernelSpeed[]): ShareKernel["name"] {
  const time = ({ single, prompt }: KernelSpeed): number => 1 / single + 1 / prompt;
  return speeds.toSorted((left, right) => time(left) - time(right))[0]?.name ?? "wasm";
}

/**
 * Loads the weights into the kernel that is the faster one here, or into the named one.
 *
 * @param threads of ONNX Runtime; the WebAssembly kernel has one
 * @throws as {@link WeightStore.load} and {@link LimbsRuntime.load}
 */
export async function chooseKernel(
  layout: Layout,
  read: ReadRows,
  choice: ShareKernel["name"] | "fastest" = "fastest",
  threads = 1,
): Promise<ShareKernel> {
  const possible = layout.groups.every((group) => group.in <= MAXIMUM_WIDTH);
  const name = choice !== "fastest" ? choice : possible ? fastest(await measureKernels(threads)) : "wasm";
  return name === "wasm" ? WeightStore.load(layout, read) : LimbsRuntime.load(layout, read, threads);
}

async function measure(kernel: ShareKernel, { in: width, out, rows: prompt }: Trial): Promise<KernelSpeed> {
  const speed = async (count: number): Promise<number> => {
    const rows = new Uint32Array(count * width).fill(0x9e3779b9);
    let best = Infinity;
    // The first runs compile.
    for (let i = 0; i < REPEATS; i += 1) {
      const start = performance.now();
      await kernel.multiply(0, rows, count);
      best = Math.min(best, performance.now() - start);
    }
    return (count * width * out) / Math.max(best, 1e-3) / 1e6;
  };
  return { name: kernel.name, single: await speed(1), prompt: await speed(prompt) };
}
