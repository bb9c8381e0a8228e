/**
 * The lengths of a token's rows, which rotations and signed permutations leave as they are.
 * @module
 */
import type { Attack } from "../attack.ts";
import { rowNorms } from "../numeric/matrix.ts";
import type { Weights } from "../weights/weights.ts";
import { reorderedTables } from "./reordered-tables.ts";
import { pairScalars, type Invariant } from "./scalar-invariants.ts";
import { roundingBetween } from "./storage-rounding.ts";
import { missingModels, twoModels } from "./two-models.ts";

export const rowNormsAttack: Attack = {
  name: "row-norms",
  title: "Looks up the length of each row of the word table and of the output table in the public model.",
  tier: "T2",
  knowledge: "encrypted weights, public model",
  source: "invariance of lengths under rotations",
  missing: missingModels,
  async run(evidence, context) {
    const models = twoModels(evidence);
    const rounding = roundingBetween(models);
    return pairScalars(lengths(models.encrypted, rounding), lengths(models.base, rounding), context);
  },
  control: reorderedTables,
};

/** Errors of single weights are independent, and a length is a mean over them: 3 is the fourth moment of a bell curve. */
function lengths(weights: Weights, rounding: number): Invariant[] {
  const error = (rounding / 2) * Math.sqrt(3 / weights.hidden);
  const head = weights.head();
  return [weights.embedding(), ...(head ? [head] : [])].map((table) => ({ values: rowNorms(table), error }));
}
