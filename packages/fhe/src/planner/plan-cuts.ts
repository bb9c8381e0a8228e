/**
 * Plans every cut of a model: parameters, keys, bytes, seconds, and whether it is offered.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Head } from "../layer.ts";
import { parametersId, shallow, type Parameters } from "../parameters.ts";
import type { Calibration, CutHead, Plan, PlannedCut } from "../plan.ts";
import type { Program } from "../program.ts";
import { chooseParameters, type Choice } from "./choose-parameters.ts";
import { estimateSeconds } from "./estimate-seconds.ts";
import { inputBytes, keyBytes, resultBytes, resultsBytes } from "./serialised-bytes.ts";

/** Share of the time budget that a plan may use: machines differ, and others use them too. */
const BUDGET_SHARE = 0.8;
/** Seconds that an evaluation may take. */
const DEFAULT_BUDGET = 60;

/** The cuts of a model, as `readHeads` finds them. */
export interface ModelHeads {
  /** heads[k - 1] = the layers up to cut k. */
  readonly heads: readonly Head[];
  /** Why there is no cut behind the last. */
  readonly end: string;
}

/** What a plan is made for. */
export interface PlanOptions {
  /** What operations take on the evaluator's machine, by `parametersId`; without them a plan has no seconds. */
  readonly calibrations?: ReadonlyMap<string, Calibration>;
  /** Seconds that an evaluation may take; 60 by default. */
  readonly budget?: number;
}

/**
 * Plans every cut: with the smallest CKKS parameters that it fits and, for one convolution alone, with BFV as well.
 *
 * @throws UnseenError CUT_UNAVAILABLE for a model without a cut
 */
export function planCuts({ heads, end }: ModelHeads, options: PlanOptions = {}): Plan {
  const [first] = heads;
  if (!first)
    throw new UnseenError("CUT_UNAVAILABLE", `the model cannot be cut: ${end}.`, {
      hint: "Use a model whose first layers are convolutions, dense layers, squares or average pools.",
    });
  const { channels, height, width } = first.shape;
  const cuts = heads.flatMap((head, index) => [planCut(index + 1, head, "ckks", options), ...planExact(index + 1, head, options)]);
  return { input: first.input, picture: [channels, height, width], cuts, end };
}

/**
 * A cut that is offered, with its layers.
 *
 * @param scheme which of two plans for the cut; CKKS by default
 * @throws UnseenError CUT_UNAVAILABLE for a cut that the plan does not have or refuses
 */
export function headOf({ heads }: ModelHeads, plan: Plan, cut: number, scheme: Parameters["scheme"] = "ckks"): CutHead {
  const planned = plan.cuts.find((planned) => planned.cut === cut && planned.parameters.scheme === scheme);
  const head = heads[cut - 1];
  if (!planned || !head)
    throw new UnseenError(
      "CUT_UNAVAILABLE",
      `there is no cut ${cut}${scheme === "bfv" ? " with whole numbers" : ""}; the model has ${heads.length}: ${plan.end}.`,
      {
        hint: "List the cuts of the model and choose one of them.",
      },
    );
  if (planned.refused !== null)
    throw new UnseenError("CUT_UNAVAILABLE", `cut ${cut} ${planned.refused}.`, { hint: "Choose an earlier cut." });
  return { planned, head };
}

/** Whole numbers serve one convolution alone; where they do not serve it, there is nothing to list. */
function planExact(cut: number, head: Head, options: PlanOptions): PlannedCut[] {
  if (head.layers.length !== 1 || head.layers[0]?.kind !== "convolution") return [];
  const planned = planCut(cut, head, "bfv", options);
  return planned.uploadBytes > 0 ? [planned] : [];
}

function planCut(
  cut: number,
  head: Head,
  scheme: Parameters["scheme"],
  { calibrations, budget = DEFAULT_BUDGET }: PlanOptions,
): PlannedCut {
  const { channels, height, width } = head.output;
  const common = { cut, value: head.value, layers: head.layers.map(({ title }) => title), features: [channels, height, width] as const };
  let choice: Choice;
  try {
    choice = chooseParameters(head, scheme);
  } catch (error) {
    if (!UnseenError.isInstance(error) || error.code !== "CUT_UNAVAILABLE") throw error;
    const refused = `is refused: ${error.message.replace(/\.$/, "")}${error.hint ? ` (${error.hint.replace(/\.$/, "")})` : ""}`;
    const none = { depth: 0, rotationKeys: 0, rotations: 0, keyBytes: 0, uploadBytes: 0, downloadBytes: 0, seconds: null };
    return { ...common, ...none, parameters: shallow, refused };
  }
  const { program, problem } = choice;
  const { parameters } = program;
  const calibration = calibrations?.get(parametersId(parameters));
  const seconds = calibration && problem === null ? estimateSeconds(program, calibration) : null;
  return {
    ...common,
    parameters,
    depth: program.depth,
    rotationKeys: program.rotations.length,
    rotations: program.operations.filter(({ operation }) => operation === "rotate").length,
    keyBytes: keyBytes(program),
    uploadBytes: program.inputs * inputBytes(parameters),
    downloadBytes: problem === null ? resultsBytes(program) : program.outputs.length * resultBytes(parameters, 0),
    seconds,
    refused: problem ?? slowness(program, seconds, budget),
  };
}

function slowness(program: Program, seconds: number | null, budget: number): string | null {
  if (seconds === null || seconds <= BUDGET_SHARE * budget) return null;
  const rotations = program.operations.filter(({ operation }) => operation === "rotate").length;
  const products = program.operations.reduce((sum, operation) => sum + (operation.operation === "dot" ? operation.terms.length : 0), 0);
  return (
    `takes about ${seconds.toFixed(1)} seconds (${products} products with weights, ${rotations} rotations); ${BUDGET_SHARE * 100} % of the budget of ` +
    `${budget} seconds is ${(BUDGET_SHARE * budget).toFixed(1)}. An earlier cut, a smaller picture or fewer channels would fit`
  );
}
