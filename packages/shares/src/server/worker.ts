/**
 * The thread that multiplies: it holds the weights and takes orders, one at a time.
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { UnseenError } from "@unseen/core/errors.ts";
import { chooseKernel } from "../ring/choose-kernel.ts";
import { maskRows } from "../ring/shares.ts";
import type { ShareKernel } from "../ring/weight-source.ts";
import { openWeights } from "./open-weights.ts";

/** What the thread starts with. */
export interface WorkerSetup {
  readonly directory: string;
  readonly kernel: ShareKernel["name"] | "fastest";
  readonly threads: number;
}

/** Rows to multiply: shares (count, in), or the place of them in the key stream of a call. */
export interface Order {
  readonly kind: "multiply" | "audit";
  readonly group: number;
  readonly count: number;
  readonly input:
    | { readonly shares: Uint32Array<ArrayBuffer> }
    | { readonly seed: Uint8Array; readonly counter: bigint; readonly from: number; readonly length: number };
}

export type Products = Uint32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;

/** What the thread says: that it is ready or cannot be, and one answer to each order. */
export type Answer =
  | { readonly kind: "ready"; readonly kernel: ShareKernel["name"] }
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  | { readonly kind: "products"; readonly id: number; readonly products: Products }
  | { readonly kind: "failed"; readonly id: number };

const port = parentPort;
if (port) {
  const answer = (message: Answer, moved: ArrayBuffer[] = []): void => port.postMessage(message, moved);
  try {
    const { directory, kernel: choice, threads } = workerData as WorkerSetup;
    const weights = await openWeights(directory);
    const kernel = await chooseKernel(weights.layout, weights.read, choice, threads);
    weights.close();
    let last: Promise<void> = Promise.resolve();
    const run = async ({ id, order }: { readonly id: number; readonly order: Order }): Promise<void> => {
      try {
        const { group, count, input } = order;
        const rows = "shares" in input ? input.shares : maskRows(input.seed, input.counter, input.length, input.from);
        const products = await (order.kind === "multiply" ? kernel.multiply(group, rows, count) : kernel.exact(group, rows, count));
        answer({ kind: "products", id, products }, [products.buffer]);
      } catch {
        answer({ kind: "failed", id });
      }
    };
    port.on("message", (message: { id: number; order: Order }) => {
      last = last.then(() => run(message));
    });
    answer({ kind: "ready", kernel: kernel.name });
  } catch (error) {
    const { code, message } = UnseenError.isInstance(error) ? error : { code: "INTERNAL", message: "the weights cannot be loaded." };
    answer({ kind: "refused", code, message });
  }
}
