/**
 * `unseen cuts`: where a model can be cut, and what each cut costs here.
 * @module
 */
import { openOnnx, type OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import { createEvaluator } from "@unseen/fhe/evaluator/pool.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import { parametersId } from "@unseen/fhe/parameters.ts";
import type { Calibration, PlannedCut } from "@unseen/fhe/plan.ts";
import { planCuts } from "@unseen/fhe/planner/plan-cuts.ts";
import type { Terminal } from "../terminal.ts";

export interface CutsFlags {
  readonly calibrate?: boolean;
  readonly budget: number;
}

/** Prints a model's cuts. */
export async function showCuts(path: string, options: CutsFlags, terminal: Terminal): Promise<object> {
  const model = await openOnnx(path);
  const calibrations = options.calibrate ? await calibrationsFor(model) : undefined;
  const heads = readHeads(model);
  const plan = planCuts(heads, {
    budget: Number(options.budget),

    ...(calibrations ? { calibrations } : {}),
  });
  terminal.print(`Picture ${plan.picture.join(" x ")}. ${plan.cuts.length === 0 ? "No cut: " : "Cuts end there: "}${plan.end}`);
  for (const cut of plan.cuts) terminal.print(lineOf(cut));
  return plan;
}

function lineOf(cut: PlannedCut): string {
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  const costs = `depth ${cut.depth}, ${parametersId(cut.parameters)}, keys ${mebibytes(cut.keyBytes)} (${cut.rotationKeys} rotations), picture ${mebibytes(cut.uploadBytes)}, features ${mebibytes(cut.downloadBytes)}`;
  const seconds = cut.seconds === null ? "" : `, ${cut.seconds.toFixed(2)} s`;
  return `cut ${cut.cut}: ${cut.layers.join(", ")} -> ${cut.features.join(" x ")}; ${cut.refused ? `refused: ${cut.refused}` : costs + seconds}`;
}

/** What operations take on this machine, for every set of parameters that the model's cuts use. */
export async function calibrationsFor(model: OnnxModel): Promise<Map<string, Calibration>> {
  const plan = planCuts(readHeads(model), {});
  const evaluator = createEvaluator({ workers: 1 });
  const calibrations = new Map<string, Calibration>();
  try {
    for (const { parameters, refused } of plan.cuts) {
      const id = parametersId(parameters);
      if (refused === null && !calibrations.has(id)) calibrations.set(id, await evaluator.calibrate(parameters));
    }
  } finally {
    await evaluator.close();
  }
  return calibrations;
}

/** Names of the classes that a model carries in its metadata: JSON, or separated by commas. */
export function classNamesOf(model: OnnxModel): string[] {
  const text = model.metadata.get("class_names") ?? model.metadata.get("labels") ?? "";
  try {
    const names: unknown = JSON.parse(text);
    if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
  } catch {
    // Not JSON.
  }
  return text === "" ? [] : text.split(",").map((name) => name.trim());
}
