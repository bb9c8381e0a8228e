/**
 * The numbers of a token's row, without their order and signs: all of them survive where the stream is only permuted.
 * @module
 */
import type { Attack } from "../attack.ts";
import { sortRows, type Matrix } from "../numeric/matrix.ts";
import { classesOfRows } from "../numeric/nearest.ts";
import { mapped } from "../weights/batched.ts";
import { standardised } from "./features.ts";
import { guessOf, mutualMatches, nearestPlain, sureShare } from "./pairing.ts";
import { reorderedTables } from "./reordered-tables.ts";
import { roundingBetween } from "./storage-rounding.ts";
import { missingStreams, twoModels } from "./two-models.ts";

export const sortedRows: Attack = {
  name: "sorted-rows",
  title: "Sorts the magnitudes of each row of the word table and looks them up in the public table.",
  tier: "T2",
  knowledge: "encrypted weights, public model",
  source: "signed permutations of a stream move numbers and change none",
  missing: missingStreams,
  async run(evidence, context) {
    const models = twoModels(evidence);
    const base = sortedMagnitudes(models.base.embedding());
    const encrypted = sortedMagnitudes(models.encrypted.embedding());
    const neighbours = await nearestPlain(standardised(encrypted), standardised(base), context, [0.1, 0.6]);
    const surePairs = sureShare(mutualMatches(neighbours), evidence.vocabulary);
    return {
      guess: guessOf(neighbours),
      classes: classesOfRows(base, roundingBetween(models)),
      figures: { surePairs },
      ...(surePairs < 0.05 ? { remark: "Few rows keep their numbers: the stream was rotated, or noise was added." } : {}),
    };
  },
  control: reorderedTables,
};

function sortedMagnitudes(table: Matrix): Matrix {
  return sortRows(mapped(table, Math.abs));
}
