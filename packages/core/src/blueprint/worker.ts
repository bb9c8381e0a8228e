/**
 * A worker thread: takes placed jobs, one at a time, until told to stop.
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { UnseenError } from "../errors.ts";
import { JobRunner, type PlacedJob, type WorkerContext } from "./run-job.ts";

/** What a worker answers: done with `bytes` of the source, or failed. */
export type WorkerAnswer =
  | { readonly done: number }
  | {
      readonly failed: {
        readonly code: string | null;
        readonly message: string;
        readonly hint: string | undefined;
        readonly stack: string | undefined;
      };
    };

const runner = new JobRunner(workerData as WorkerContext);

parentPort?.on("message", (job: PlacedJob | null) => {
  if (job === null) {
    runner.close();
    parentPort?.close();
    return;
  }
  parentPort?.postMessage(answer(job));
});

function answer(job: PlacedJob): WorkerAnswer {
  try {
    runner.run(job);
    return { done: job.range ? job.range.to - job.range.from : job.job.rows };
  } catch (error) {
    const known = UnseenError.isInstance(error);
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
    return { failed: { code: known ? error.code : null, message, hint: known ? error.hint : undefined, stack } };
  }
}
