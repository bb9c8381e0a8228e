/**
 * The stem: the part of a model that the key holder computes, because the first layer's input would otherwise reach the host in clear.
 * @module
 */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { UnseenError } from "@unseen/core/errors.ts";
import { volume, type Tensor } from "../encoders/tensor.ts";
import type { StemCommand, StemReport } from "./protocol.ts";

/** A stem is a layer or two. */
const TIMEOUT = 60_000; // ms

/** One stem file in a process of its own, which starts on demand, serves one run at a time, and is replaced when it dies. */
export class Stem {
  readonly #file: string;
  readonly #timeout: number;
  #child: ChildProcess | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #runs = 0;

  /**
   * @param file - The stem's ONNX file: one float32 input, float32 outputs.
   * @param timeout - Milliseconds for loading and for each run.
   */
  constructor(file: string, timeout = TIMEOUT) {
    this.#file = file;
    this.#timeout = timeout;
  }

  /** The stem's process id while it runs. */
  get processId(): number | null {
    return this.#child?.pid ?? null;
  }

  /**
   * The host's inputs for one plain input, by name.
   * @throws UnseenError BUNDLE_INVALID for a stem that cannot be loaded or does not take the input, ENGINE_CRASHED.
   */
  run(input: Tensor): Promise<Map<string, Tensor>> {
    const result = this.#queue.then(() => this.#run(input));
    this.#queue = result.catch(() => {});
    return result;
  }

  /** Ends the process; a later run starts another. */
  close(): void {
    this.#child?.kill("SIGKILL");
    this.#child = null;
  }

  async #run(input: Tensor): Promise<Map<string, Tensor>> {
    const child = this.#child ?? (await this.#start());
    const id = (this.#runs += 1);
    const command: StemCommand = { type: "run", id, input: { shape: input.shape, data: Float32Array.from(input.values) } };
    const answer = await this.#ask(child, command);
    if (answer.type !== "outputs" || answer.id !== id) throw unusable("it cannot be run on the model's input");
    return new Map(
      [...answer.outputs].map(([name, { shape, data }]) => {
        if (volume(shape) !== data.length) throw unusable("it gives an output of another size than it says");
        return [name, { shape, values: Float64Array.from(data) }];
      }),
    );
  }

  async #start(): Promise<ChildProcess> {
    const { PATH = "", LD_LIBRARY_PATH = "" } = process.env;
    const child = fork(fileURLToPath(new URL("process.ts", import.meta.url)), [], {
      serialization: "advanced",
      execArgv: [],
      // Only what loading a library needs: no key, no paths of the keyring.
      env: { PATH, LD_LIBRARY_PATH },
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#child = child;
    child.on("error", () => {}); // whoever waits hears of it in #ask
    child.once("exit", () => {
      if (this.#child === child) this.#child = null;
    });
    const answer = await this.#ask(child, { type: "load", file: this.#file });
    if (answer.type === "ready") return child;
    this.close();
    throw unusable("ONNX Runtime cannot load it, or it takes more than one input");
  }

  /** One command, one answer. An idle stem does not keep the program alive. */
  async #ask(child: ChildProcess, command: StemCommand): Promise<StemReport> {
    const { promise, resolve, reject } = Promise.withResolvers<StemReport>();
    const crashed = (): void => reject(new UnseenError("ENGINE_CRASHED", "the stem's process ended.", { hint: "Try again." }));
    const timer = setTimeout(() => child.kill("SIGKILL"), this.#timeout);
    child.once("message", resolve).once("exit", crashed).once("error", crashed);
    child.ref();
    child.channel?.ref();
    try {
      child.send(command, () => {}); // a closed channel is reported by the exit
      return await promise;
    } finally {
      clearTimeout(timer);
      child.off("message", resolve).off("exit", crashed).off("error", crashed);
      child.unref();
      child.channel?.unref();
    }
  }
}

function unusable(what: string): UnseenError {
  return new UnseenError("BUNDLE_INVALID", `stem.onnx: ${what}.`, {
    hint: "Encrypt the model again, or restore the bundle from a backup.",
  });
}
