/**
 * A pool of worker threads that evaluate: a deadline that holds, and a broken worker that takes nobody with it.
 * @module
 */
import { Worker } from "node:worker_threads";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import type { Parameters } from "../parameters.ts";
import type { Calibration } from "../plan.ts";
import { defaultLimits, headKey, type EngineLimits, type EngineTask, type Held } from "./engine.ts";
import type { EvaluationResult, EvaluationTask, Evaluator } from "./evaluator.ts";
import type { Answer, Order, WorkerSetup } from "./worker.ts";

export interface PoolOptions {
  /** Threads; each has its own memory, up to 4 GiB. */
  readonly workers?: number;
  /** Tasks that may wait (CWE-770). */
  readonly maximumQueue?: number;
  readonly limits?: Partial<EngineLimits>;
  /** Parameters whose contexts each worker makes at its start, 0.3 to 3 seconds each. */
  readonly warm?: readonly Parameters[];
  /** Takes a line when a worker ends before its time. */
  readonly log?: (line: string) => void;
}

/** Milliseconds that a calibration may take. */
const CALIBRATION_BUDGET = 60_000;
/** The longest that a timer of Node waits. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** Heap of JavaScript in a worker, MiB: ciphertexts and weights lie outside of it. */
const HEAP = 1024;

/**
 * Starts workers that evaluate until `close`.
 *
 * A task that SEAL fails on, or that passes its budget, ends its worker: an instance cannot be interrupted, nor trusted after
 * an exception. The others go on, and another worker starts.
 */
export function createEvaluator(options: PoolOptions = {}): Evaluator {
  return new Pool(options);
}

interface Job {
  readonly order: { readonly kind: "evaluate"; readonly task: EvaluationTask } | Extract<Order, { kind: "calibrate" }>;
  /** Milliseconds. */
  readonly budget: number;
  resolve(answer: Extract<Answer, { kind: "evaluated" | "calibrated" }>): void;
  reject(error: UnseenError): void;
}

const nothing: Held = { tenant: null, keys: [], heads: [] };

/** One place for a worker. */
class Place {
  worker: Worker | null = null;
  ready = false;
  held: Held = nothing;
  job: Job | null = null;
  timer: NodeJS.Timeout | undefined;

  get free(): boolean {
    return this.worker === null || (this.ready && this.job === null);
  }
}

class Pool implements Evaluator {
  readonly #setup: WorkerSetup;
  readonly #maximumQueue: number;
  readonly #log: (line: string) => void;
  readonly #places: readonly Place[];
  readonly #queue: Job[] = [];
  #closed = false;

  constructor({ workers = 1, maximumQueue = 16, limits = {}, warm = [], log = () => {} }: PoolOptions) {
    this.#setup = { limits: { ...defaultLimits, ...limits }, warm };
    this.#maximumQueue = maximumQueue;
    this.#log = log;
    this.#places = Array.from({ length: workers }, () => new Place());
    for (const place of this.#places) this.#start(place);
  }

  async evaluate(task: EvaluationTask): Promise<EvaluationResult> {
    const answer = await this.#ask({ kind: "evaluate", task }, task.budget);
    if (answer.kind === "evaluated") return answer.result;
    throw failed("the evaluator answered another question");
  }

  async calibrate(parameters: Parameters): Promise<Calibration> {
    const answer = await this.#ask({ kind: "calibrate", parameters }, CALIBRATION_BUDGET);
    if (answer.kind === "calibrated") return answer.calibration;
    throw failed("the evaluator answered another question");
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0)) job.reject(failed("the evaluator is closed"));
    await Promise.all(this.#places.map((place) => this.#end(place, failed("the evaluator is closed"))));
  }

  #ask(order: Job["order"], budget: number): Promise<Extract<Answer, { kind: "evaluated" | "calibrated" }>> {
    if (this.#closed) return Promise.reject(failed("the evaluator is closed"));
    if (!(budget > 0)) return Promise.reject(new UnseenError("REQUEST_INVALID", "the time budget must be above 0 milliseconds."));
    if (this.#queue.length >= this.#maximumQueue)
      return Promise.reject(new UnseenError("OVERLOADED", `${this.#queue.length} evaluations wait already.`, { hint: "Try again later." }));
    return new Promise((resolve, reject) => {
      this.#queue.push({ order, budget, resolve, reject });
      this.#dispatch();
    });
  }

  /** Gives waiting jobs, first come first served, to free workers. */
  #dispatch(): void {
    while (this.#queue[0]) {
      const place = this.#choose(this.#queue[0]);
      if (!place) return;
      if (!place.worker) {
        this.#start(place);
        continue;
      }
      const job = this.#queue.shift();
      if (job) this.#give(place, job);
    }
  }

  /** A free worker: best one that has the keys, then one without a tenant, then any. */
  #choose({ order }: Job): Place | undefined {
    const free = this.#places.filter((place) => place.free);
    if (order.kind === "calibrate") return free[0];
    const { tenant, keysId } = order.task;
    const rank = ({ held }: Place): number => (held.tenant === null ? 1 : held.tenant !== tenant ? 0 : held.keys.includes(keysId) ? 3 : 2);
    return free.toSorted((left, right) => rank(right) - rank(left))[0];
  }

  #give(place: Place, job: Job): void {
    place.job = job;
    place.timer = setTimeout(
      () => {
        const error = new UnseenError("EVALUATION_TIMEOUT", `the evaluation passed its budget of ${job.budget} ms and was stopped.`, {
          hint: "Choose an earlier cut or a larger budget.",
        });
        void this.#end(place, error);
      },
      Math.min(job.budget, LONGEST_TIMER),
    );
    try {
      post(place, job.order);
    } catch (error) {
      // no memory for a copy, or a head that is no plain data
      clearTimeout(place.timer);
      place.job = null;
      job.reject(failed(`the task could not be given to a worker: ${error instanceof Error ? error.message : String(error)}`));
    }
  }

  #start(place: Place): void {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), {
      workerData: this.#setup,
      resourceLimits: { maxOldGenerationSizeMb: HEAP },
      // the library prints when it aborts
      stdout: true,
      stderr: true,
      env: {},
    });
    worker.stdout.resume();
    worker.stderr.resume();
    place.worker = worker;
    place.ready = false;
    place.held = nothing;
    worker.on("message", (answer: Answer) => {
      if (place.worker === worker) this.#hear(place, answer);
    });
    worker.on("error", () => {
      if (place.worker === worker) void this.#end(place, failed("the evaluator's worker ended"));
    });
    worker.on("exit", () => {
      if (place.worker === worker) void this.#end(place, failed("the evaluator's worker ended"));
    });
  }

  #hear(place: Place, answer: Answer): void {
    if (answer.kind === "broken") {
      void this.#end(place, failed(`the evaluation failed inside SEAL: ${answer.message.slice(0, 200)}`));
      return;
    }
    if (answer.kind === "ready") place.ready = true;
    else {
      const { job } = place;
      clearTimeout(place.timer);
      place.job = null;
      place.held = answer.held;
      if (answer.kind !== "refused") job?.resolve(answer);
      else job?.reject(new UnseenError(answer.code as ErrorCode, answer.message, answer.hint === undefined ? {} : { hint: answer.hint }));
    }
    this.#dispatch();
  }

  /** Ends a worker for good, fails its job and starts another. */
  async #end(place: Place, error: UnseenError): Promise<void> {
    const { worker, job, ready } = place;
    clearTimeout(place.timer);
    place.worker = null;
    place.job = null;
    place.held = nothing;
    if (!this.#closed) this.#log(`a worker is ended: ${error.message}`);
    job?.reject(error);
    // where none can even start, they would be started for ever: then those who wait are told
    if (!this.#closed && !ready && !this.#places.some((other) => other.worker && other.ready))
      for (const waiting of this.#queue.splice(0)) waiting.reject(error);
    await worker?.terminate();
    if (!this.#closed && ready && !place.worker) this.#start(place);
  }
}

function post({ worker, held }: Place, order: Job["order"]): void {
  if (order.kind === "calibrate") return worker?.postMessage(order satisfies Order);
  const { task, moved } = pack(order.task, held);
  worker?.postMessage({ kind: "evaluate", task } satisfies Order, moved);
}

/** What a worker does not hold yet of a task, in buffers of its own that can be moved there. */
function pack(task: EvaluationTask, held: Held): { task: EngineTask; moved: ArrayBuffer[] } {
  const moved: ArrayBuffer[] = [];
  const copy = (bytes: Uint8Array): Uint8Array => {
    const own = new Uint8Array(bytes);
    moved.push(own.buffer);
    return own;
  };
  const { relinearisation, rotation } = task.keys;
  const holdsKeys = held.tenant === task.tenant && held.keys.includes(task.keysId);
  const keys = holdsKeys ? null : { relinearisation: relinearisation && copy(relinearisation), rotation: rotation && copy(rotation) };
  const head = held.heads.includes(headKey(task)) ? null : task.head;
  return { task: { ...task, keys, head, inputs: task.inputs.map(copy) }, moved };
}

function failed(problem: string): UnseenError {
  return new UnseenError("EVALUATION_FAILED", `${problem}.`, { hint: "Run the job again." });
}
