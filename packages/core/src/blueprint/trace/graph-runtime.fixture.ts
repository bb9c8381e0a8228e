/**
 * For tests: runs whole models in ONNX Runtime, in a process of its own, since a native assertion ends the process.
 * @module
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Feed } from "./graph-builder.fixture.ts";

/** One result of a model, as float64. */
export interface Tensor {
  readonly type: string;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export type Feeds = Readonly<Record<string, Feed>>;
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

/** ONNX Runtime in a child process; `close` ends it. */
export class GraphRuntime {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (results: (Results | string)[]) => void>();
  #asked = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", ({ index, results }: { index: number; results: (Results | string)[] }) => {
      this.#waiting.get(index)?.(results);
      this.#waiting.delete(index);
    });
    child.on("exit", () => {
      for (const resolve of this.#waiting.values()) resolve(["the runtime's process ended"]);
    });
  }

  static async open(): Promise<GraphRuntime> {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", SCRIPT, import.meta.resolve("onnxruntime-node")], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      serialization: "advanced",
      env: { ...process.env, NODE_OPTIONS: "" },
    });
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
    const results = await new Promise<(Results | string)[]>((resolve) => {
      this.#waiting.set(index, resolve);
      this.#child.send({ index, model, runs, optimise });
    });
    return runs.map((_, i) => results[i] ?? (results[0] as string));
  }

  close(): void {
    this.#child.kill();
  }
}
