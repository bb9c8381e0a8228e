/**
 * Spreads placed jobs over worker threads and reports progress.
 * @module
 */
import { Worker } from "node:worker_threads";
import { UnseenError, type ErrorCode } from "../errors.ts";
import { JobRunner, type PlacedJob, type WorkerContext } from "./run-job.ts";
import type { WorkerAnswer } from "./worker.ts";

/** Below this many weights, starting threads costs more than it saves. */
const INLINE_WEIGHTS = 4 << 20;

/**
 * Runs all jobs; rejects with the first failure after every worker has stopped, so that no thread still writes.
 *
 * @param onProgress called with the number of weights done so far
 */
export async function runJobs(
  jobs: readonly PlacedJob[],
  context: WorkerContext,
  options: { threads: number; signal?: AbortSignal | undefined; onProgress?: ((weights: number) => void) | undefined },
): Promise<void> {
  let done = 0;
  const progress = (job: PlacedJob): void => {
    done += weights(job);
    options.onProgress?.(done);
  };
  if (options.threads <= 1 || jobs.reduce((sum, job) => sum + weights(job), 0) < INLINE_WEIGHTS)
    return runInline(jobs, context, options.signal, progress);

  const queue = [...jobs];
  let failure: unknown = null;
  const work = (): Promise<void> =>
    new Promise((resolve) => {
      const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: context });
      let current: PlacedJob | undefined;
      const next = (): void => {
        if (options.signal?.aborted) failure ??= options.signal.reason;
        current = failure === null ? queue.shift() : undefined;
        worker.postMessage(current ?? null);
      };
      worker.on("message", (answer: WorkerAnswer) => {
        if ("failed" in answer) failure ??= revive(answer.failed);
        else if (current) progress(current);
        next();
      });
      worker.on("error", (error) => {
        failure ??= error;
      });
      worker.on("exit", () => {
        if (current)
          failure ??= new UnseenError("INTERNAL", "a worker thread ended early.", { hint: "Free some memory or use fewer --threads." });
        resolve();
      });
      next();
    });
  await Promise.all(Array.from({ length: Math.min(options.threads, jobs.length) }, work));
  if (failure !== null) throw failure;
}

async function runInline(
  jobs: readonly PlacedJob[],
  context: WorkerContext,
  signal: AbortSignal | undefined,
  progress: (job: PlacedJob) => void,
): Promise<void> {
  const runner = new JobRunner(context);
  try {
    for (const job of jobs) {
      signal?.throwIfAborted();
      runner.run(job);
      progress(job);
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    runner.close();
  }
}

/** Weights that a job makes. */
export function weights(placed: PlacedJob): number {
  const rows = placed.range ? placed.range.to - placed.range.from : placed.job.rows;
  return rows * placed.job.columns;
}

function revive(failed: Extract<WorkerAnswer, { failed: unknown }>["failed"]): Error {
  if (failed.code === null) {
    const error = new Error(failed.message);
    if (failed.stack) error.stack = failed.stack;
    return error;
  }
  return new UnseenError(failed.code as ErrorCode, failed.message, failed.hint === undefined ? {} : { hint: failed.hint });
}
