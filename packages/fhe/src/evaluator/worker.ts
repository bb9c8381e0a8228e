/**
 * A worker thread with one instance of SEAL: takes orders, one at a time.
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { UnseenError } from "@unseen/core/errors.ts";
import { compile } from "../compile/compile.ts";
import type { Parameters } from "../parameters.ts";
import type { Calibration } from "../plan.ts";
import { Engine, type EngineLimits, type EngineTask, type Held } from "./engine.ts";
import type { EvaluationResult } from "./evaluator.ts";

/** What a worker starts with. */
export interface WorkerSetup {
  readonly limits: EngineLimits;
  /** Contexts to make before the first order. */
  readonly warm: readonly Parameters[];
}

export type Order =
  | { readonly kind: "evaluate"; readonly task: EngineTask }
  | { readonly kind: "calibrate"; readonly parameters: Parameters };

/** What a worker answers; the first answer, without an order, says that it is ready. */
export type Answer =
  | { readonly kind: "ready" }
  | { readonly kind: "evaluated"; readonly result: EvaluationResult; readonly held: Held }
  | { readonly kind: "calibrated"; readonly calibration: Calibration; readonly held: Held }
  /** An error of ours, found before anything went wrong: the worker goes on. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string; readonly hint: string | undefined; readonly held: Held }
  /** An error of SEAL's: the worker must be ended. */
  | { readonly kind: "broken"; readonly message: string };

const { limits, warm } = workerData as WorkerSetup;
const engine = new Engine(compile, limits);

for (const parameters of warm) await engine.warm(parameters);
parentPort?.on("message", (order: Order) => void work(order));
answer({ kind: "ready" });

async function work(order: Order): Promise<void> {
  try {
    if (order.kind === "calibrate") {
      const calibration = await engine.calibrate(order.parameters);
      answer({ kind: "calibrated", calibration, held: engine.held });
      return;
    }
    const result = await engine.evaluate(order.task);
    answer({ kind: "evaluated", result, held: engine.held }, result.outputs);
  } catch (error) {
    answer(explain(error));
  }
}

function explain(error: unknown): Answer {
  if (UnseenError.isInstance(error) && error.code !== "INTERNAL")
    return { kind: "refused", code: error.code, message: error.message, hint: error.hint, held: engine.held };
  return { kind: "broken", message: error instanceof Error ? error.message : String(error) };
}

function answer(message: Answer, moved: readonly Uint8Array[] = []): void {
  const buffers = moved.map(({ buffer }) => buffer).filter((buffer) => buffer instanceof ArrayBuffer);
  parentPort?.postMessage(message, buffers);
}
