/**
 * Rotations keep all angles between rows. So the principal axes of a table turn with it, and pairing those of two tables undoes
 * the rotation.
 * @module
 */
import type { Attack } from "../attack.ts";
import { symmetricEigen } from "../numeric/decompose.ts";
import { matrix, meanRow, subtractRow, type Matrix } from "../numeric/matrix.ts";
import { multiply, multiplyFirstTransposed } from "../numeric/multiply.ts";
import { classesOfRows } from "../numeric/nearest.ts";
import { guessOf, isClear, mutualMatches, nearestPlain } from "./pairing.ts";
import { refine, tablesOf } from "./refine.ts";
import { roundingBetween } from "./storage-rounding.ts";
import { exactEncryption, missingStreams, twoModels } from "./two-models.ts";

export const gramAlignment: Attack = {
  name: "gram-alignment",
  title: "Turns the encrypted word table into the public one by their principal axes, then pairs rows and turns again.",
  tier: "T2",
  knowledge: "encrypted weights, public model",
  source: "invariance of Gram matrices under rotations; Schönemann 1966 for the turning",
  missing: missingStreams,
  async run(evidence, context) {
    const models = twoModels(evidence);
    const [encrypted, base] = [principal(models.encrypted.embedding()), principal(models.base.embedding())];
    const first = await nearestPlain(encrypted, base, context, [0.05, 0.15]);
    const seeds = mutualMatches(first);
    const { neighbours, rounds } = isClear(seeds, evidence.vocabulary)
      ? { neighbours: first, rounds: 0 }
      : await refine(tablesOf(models), { seeds }, context, [0.15, 0.8]);
    return {
      guess: guessOf(neighbours),
      classes: classesOfRows(models.base.embedding(), roundingBetween(models)),
      figures: { rounds },
    };
  },
  control: exactEncryption(0.95),
};

/** A table in the coordinates of its principal axes, most variance first; each axis points to where the table leans (third moment). */
export function principal(table: Matrix): Matrix {
  const centred = subtractRow(table, meanRow(table));
  const { vectors } = symmetricEigen(multiplyFirstTransposed(centred, centred));
  const third = new Float64Array(table.columns);
  multiply(centred, vectors).values.forEach((value, at) => (third[at % table.columns]! += value ** 3));
  const turned = multiply(table, vectors);
  return matrix(
    table.rows,
    table.columns,
    turned.values.map((value, at) => ((third[at % table.columns] as number) < 0 ? -value : value)),
  );
}
