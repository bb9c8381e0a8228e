/**
 * Runs ONNX models on this machine, to compare a plain with an encrypted one. ONNX Runtime is native code: it runs in a process of its own.
 * @module
 */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Numbers, RunModel } from "@unseen/core/blueprint/trace/compare.ts";
import { UnseenError } from "@unseen/core/errors.ts";

/** One run: what the parent sends. */
export interface RunRequest {
  readonly id: number;
  readonly model: string | Uint8Array;
  readonly inputs: ReadonlyMap<string, Numbers>;
}

export type RunAnswer =
  | { readonly id: number; readonly outputs: ReadonlyMap<string, Numbers> }
  | { readonly id: number; readonly failure: string };

/** A process that runs models one at a time; `close` ends it. */
export class OnnxRunner {
  readonly #child: ChildProcess;
  #id = 0;

  constructor() {
    const { PATH = "", LD_LIBRARY_PATH = "" } = process.env;
    this.#child = fork(fileURLToPath(new URL("process.ts", import.meta.url)), [], {
      serialization: "advanced",
      execArgv: [],
      env: { PATH, LD_LIBRARY_PATH },
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#child.on("error", () => {}); // whoever waits hears of it by the exit
  }

  /** Runs a model. Throws `ENGINE_CRASHED`, and `CHECKPOINT_MALFORMED` for what ONNX Runtime refuses. */
  readonly run: RunModel = (model, inputs) => {
    const { promise, resolve, reject } = Promise.withResolvers<ReadonlyMap<string, Numbers>>();
    const id = ++this.#id;
    const gone = (): void => reject(new UnseenError("ENGINE_CRASHED", "ONNX Runtime's process ended.", { hint: "Check the free memory." }));
    const receive = (answer: RunAnswer): void => {
      if (answer.id !== id) return;
      this.#child.off("exit", gone).off("message", receive);
      if ("outputs" in answer) resolve(answer.outputs);
      else
        reject(
          new UnseenError("CHECKPOINT_MALFORMED", `ONNX Runtime cannot run the model: ${answer.failure}`, {
            hint: "Check that the plain model runs, and give a case with fitting inputs.",
          }),
        );
    };
    if (!this.#child.connected) gone();
    this.#child.on("exit", gone).on("message", receive);
    this.#child.send({ id, model, inputs } satisfies RunRequest, () => {});
    return promise;
  };

  close(): void {
    this.#child.kill("SIGKILL");
  }
}
