/**
 * Runs the layers after a cut in ONNX Runtime, each file in a process of its own, since native code can end the process that it is in.
 * @module
 */
import { Stem } from "@unseen/client/stem/stem.ts";
import { openOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Answer } from "../features-message.ts";

/** Files whose processes are kept. */
const MAXIMUM_PROCESSES = 4;

interface Tail {
  readonly stem: Stem;
  /** Of its one input, with a batch of 1. */
  readonly shape: readonly number[];
}

export class TailRunner {
  /** By path, the least recently used first. */
  readonly #tails = new Map<string, Promise<Tail>>();

  /**
   * The model's outputs for one picture's features.
   * @throws UnseenError CHECKPOINT_* for a file that is no model, ENGINE_CRASHED, JOB_FAILED for outputs that are no finite numbers
   */
  async run(path: string, features: Float32Array): Promise<Answer["outputs"]> {
    const { stem, shape } = await this.#open(path);
    const outputs = await stem.run({ shape, values: Float64Array.from(features) });
    return [...outputs].map(([name, tensor]) => {
      const values = [...tensor.values];
      if (!values.every(Number.isFinite))
        throw new UnseenError("JOB_FAILED", "the model's later layers give no finite numbers for these features.", {
          hint: "Obfuscate less: lower --noise or raise --bits.",
        });
      return { name, shape: [...tensor.shape], values };
    });
  }

  close(): void {
    for (const tail of this.#tails.values()) void tail.then(({ stem }) => stem.close()).catch(() => {});
    this.#tails.clear();
  }

  #open(path: string): Promise<Tail> {
    const known = this.#tails.get(path);
    this.#tails.delete(path);
    const tail = known ?? openTail(path);
    this.#tails.set(path, tail);
    tail.catch(() => this.#tails.delete(path));
    if (this.#tails.size > MAXIMUM_PROCESSES) {
      const [oldest, closing] = this.#tails.entries().next().value!;
      this.#tails.delete(oldest);
      void closing.then(({ stem }) => stem.close()).catch(() => {});
    }
    return tail;
  }
}

async function openTail(path: string): Promise<Tail> {
  const { graph } = await openOnnx(path);
  const shape = (graph.inputs[0]?.shape ?? []).map((size) => (typeof size === "number" ? size : 1));
  return { stem: new Stem(path), shape };
}
