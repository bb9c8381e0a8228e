/**
 * The numbers of a token's row, without their order and signs: all of them survive where the stream is only permuted.
 * @module
 */
import { permutation } from "@unseen/core/algebra/random.ts";
import type { Attack, OwnerKnowledge } from "../attack.ts";
import { matrix, sortRows, type Matrix } from "../numeric/matrix.ts";
import { classesOfRows } from "../numeric/nearest.ts";
import { seeded } from "../seed.ts";
import type { Weights } from "../weights/weights.ts";
import { standardised } from "./features.ts";
import { guessOf, mutualMatches, nearestPlain, sureShare } from "./pairing.ts";
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
  control: {
    // Not the user's own encryption, because a rotated stream is out of this attack's reach by design.
    setting: "the public word table, its columns permuted with signs",
    least: 0.95,
    judged: "distinguishableTop1",
    arrange: (evidence, owner) => (evidence.base ? { ...evidence, encrypted: permutedTable(evidence.base, owner) } : evidence),
  },
};

function sortedMagnitudes({ rows, columns, values }: Matrix): Matrix {
  return sortRows(matrix(rows, columns, values.map(Math.abs)));
}

/** A model whose word table is that of `base` after a signed permutation of the stream. */
function permutedTable(base: Weights, { permutation: cipherOf }: OwnerKnowledge): Weights {
  const random = seeded(0, "sorted rows/control");
  const places = permutation(random, base.hidden);
  const signs = Array.from({ length: base.hidden }, () => random.sign());
  return {
    ...base,
    embedding() {
      const table = base.embedding();
      const out = matrix(table.rows, table.columns);
      for (let plain = 0; plain < table.rows; plain += 1)
        for (let k = 0; k < table.columns; k += 1)
          out.values[(cipherOf[plain] as number) * table.columns + (places[k] as number)] =
            (table.values[plain * table.columns + k] as number) * (signs[k] as number);
      return out;
    },
  };
}
