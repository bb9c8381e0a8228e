/**
 * For tests: runs whole models in ONNX Runtime, in a process of its own, since a native assertion ends the process.
 * @module
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { OnnxType } from "../../checkpoint/onnx.ts";
import type { Feed } from "./graph-builder.fixture.ts";

/** One result of a model, as float64. */
export interface Tensor {
  readonly type: OnnxType;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export type Feeds = Readonly<Record<string, Feed | Tensor>>;
/** By output name. */
export type Results = Readonly<Record<string, Tensor>>;

const SCRIPT = `
const runtime = await import(process.argv[1]);
const arrays = {
  float32: Float32Array, float64: Float64Array, int64: BigInt64Array, int32: Int32Array, float16: Float16Array, bool: Uint8Array,
};
process.on("message", async ({ index, model, runs, optimise }) => {
  const results = [];
  let session;
  try {
    session = await runtime.InferenceSession.create(model, {
      graphOptimizationLevel: optimise ? "all" : "disabled", intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4,
    });
  } catch (error) {
    process.send({ index, results: runs.map(() => String(error.message)) });
    return;
  }
  for (const feeds of runs) {
    try {
      const tensors = {};
      for (const [name, { type, shape, data }] of Object.entries(feeds)) {
        const List = arrays[type];
        tensors[name] = new runtime.Tensor(type, List.from(data, type === "int64" ? BigInt : Number), shape);
      }
      const outputs = await session.run(tensors);
      results.push(Object.fromEntries(Object.entries(outputs).map(([name, { type, dims, data }]) =>
        [name, { type, shape: [...dims], data: Float64Array.from(data, Number) }])));
    } catch (error) {
      results.push(String(error.message));
    }
  }
  await session.release();
  process.send({ index, results });
});
process.send({ index: -1 });
`;

/** What comes back where the process ended or was ended: hostile models may do that. */
export const PROCESS_ENDED = "the runtime's process ended";
/** A run that takes longer is ended with its process. */
const LIMIT_MILLISECONDS = 30_000;

/** ONNX Runtime in a child process, which is started again when it ends; `close` ends it. */
export class GraphRuntime {
  #child: ChildProcess;
  readonly #waiting = new Map<number, (results: (Results | string)[]) => void>();
  #asked = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#listen();
  }

  #listen(): void {
    const child = this.#child;
    child.on("message", ({ index, results }: { index: number; results: (Results | string)[] }) => this.#settle(index, results));
    child.on("exit", () => {
      if (child !== this.#child) return;
      this.#child = spawnRuntime();
      this.#listen();
      for (const index of this.#waiting.keys()) this.#settle(index, [PROCESS_ENDED]);
    });
  }

  #settle(index: number, results: (Results | string)[]): void {
    this.#waiting.get(index)?.(results);
    this.#waiting.delete(index);
  }

  static async open(): Promise<GraphRuntime> {
    const child = spawnRuntime();
    await once(child, "message");
    return new GraphRuntime(child);
  }

  /**
   * What a model makes of each set of inputs, or why it does not.
   *
   * @param model its bytes or its path
   * @param optimise whether the runtime may fuse operators
   */
  async run(model: Uint8Array | string, runs: readonly Feeds[], optimise = true): Promise<(Results | string)[]> {
    const index = this.#asked++;
    const child = this.#child;
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      this.#settle(index, [PROCESS_ENDED]);
    }, LIMIT_MILLISECONDS);
    const results = await new Promise<(Results | string)[]>((resolve) => {
      this.#waiting.set(index, resolve);
      child.send({ index, model, runs, optimise }, (error) => error && this.#settle(index, [PROCESS_ENDED]));
    });
    clearTimeout(timer);
    return runs.map((_, i) => results[i] ?? (results[0] as string));
  }

  close(): void {
    const child = this.#child;
    child.removeAllListeners("exit");
    child.kill();
  }
}

function spawnRuntime(): ChildProcess {
  return spawn(process.execPath, ["--input-type=module", "--eval", SCRIPT, import.meta.resolve("onnxruntime-node")], {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    serialization: "advanced",
    env: { ...process.env, NODE_OPTIONS: "" },
  });
}
