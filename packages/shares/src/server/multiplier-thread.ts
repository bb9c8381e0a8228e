/**
 * The thread that multiplies, seen from the server: orders in, products out; one that ends is started again.
 * @module
 */
import { Worker } from "node:worker_threads";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import type { ShareKernel } from "../ring/weight-source.ts";
import type { Answer, Order, Products, WorkerSetup } from "./worker.ts";

interface Waiting {
  resolve(products: Products): void;
  reject(error: UnseenError): void;
}

/** A worker thread with the weights of a model. */
export class MultiplierThread {
  readonly #setup: WorkerSetup;
  readonly #log: (line: string) => void;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #starting: Promise<ShareKernel["name"]> | null = null;
  #last = 0;
  #closed = false;

  private constructor(setup: WorkerSetup, log: (line: string) => void) {
    this.#setup = setup;
    this.#log = log;
  }

  /** Starts the thread and resolves when the weights are loaded. @throws UnseenError as `openWeights` and the kernels */
  static async start(setup: WorkerSetup, log: (line: string) => void): Promise<MultiplierThread> {
    const thread = new MultiplierThread(setup, log);
    log(`weights loaded kernel=${await thread.#start()}`);
    return thread;
  }

  /** Products of some rows. Moves the shares of the order to the thread. @throws UnseenError INTERNAL where the thread ends */
  async run(order: Order): Promise<Products> {
    await this.#start();
    const worker = this.#worker;
    if (this.#closed || !worker) throw ended();
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, order }, "shares" in order.input ? [order.input.shares.buffer] : []);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
    this.#failAll();
  }

  #start(): Promise<ShareKernel["name"]> {
    if (this.#closed) return Promise.reject(ended());
    this.#starting ??= new Promise<ShareKernel["name"]>((resolve, reject) => {
      const worker = new Worker(new URL("./worker.ts", import.meta.url), {
        workerData: this.#setup,
        // A runtime may print when it aborts.
        stdout: true,
        stderr: true,
        env: {},
      });
      worker.stdout.resume();
      worker.stderr.resume();
      this.#worker = worker;
      worker.on("message", (answer: Answer) => {
        if (answer.kind === "ready") resolve(answer.kernel);
        else if (answer.kind === "refused") {
          reject(new UnseenError(answer.code as ErrorCode, answer.message, { hint: "Prepare the shares again." }));
          void worker.terminate();
        } else {
          const waiting = this.#waiting.get(answer.id);
          this.#waiting.delete(answer.id);
          if (answer.kind === "products") waiting?.resolve(answer.products);
          else waiting?.reject(ended());
        }
      });
      // "exit" follows.
      worker.on("error", () => {});
      worker.on("exit", () => {
        reject(ended());
        this.#worker = null;
        this.#starting = null;
        if (!this.#closed) this.#log("the multiplying thread ended; the next call starts another");
        this.#failAll();
      });
    });
    return this.#starting;
  }

  #failAll(): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of all) reject(ended());
  }
}

function ended(): UnseenError {
  return new UnseenError("INTERNAL", "the multiplication was not finished.", { hint: "Call again." });
}
