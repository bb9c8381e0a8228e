/**
 * The leverage of a token's row in its table: what is left when the stream may have been changed by any invertible map.
 * @module
 */
import type { Attack } from "../attack.ts";
import { symmetricEigen } from "../numeric/decompose.ts";
import { matrix, rowNorms, type Matrix } from "../numeric/matrix.ts";
import { multiply, multiplyFirstTransposed } from "../numeric/multiply.ts";
import type { Weights } from "../weights/weights.ts";
import { reorderedTables } from "./reordered-tables.ts";
import { pairScalars, type Invariant } from "./scalar-invariants.ts";
import { roundingBetween } from "./storage-rounding.ts";
import { missingModels, twoModels } from "./two-models.ts";

/** Directions with less than this share of the largest variance count as absent: a centred table lacks one, up to rounding. */
const LEAST_VARIANCE = 1e-9;

export const leverage: Attack = {
  name: "leverage",
  title: "Looks up the leverage score of each row of the word table and of the output table in the public model.",
  tier: "T2",
  knowledge: "encrypted weights, public model",
  source: "e (EᵀE)⁺ eᵀ is unchanged when E becomes E·A, for every invertible A",
  missing(evidence) {
    const reason = missingModels(evidence);
    if (reason !== null || (evidence.base?.hidden ?? 0) < evidence.vocabulary) return reason;
    return "with no more token ids than dimensions every row has leverage 1";
  },
  async run(evidence, context) {
    const models = twoModels(evidence);
    const rounding = roundingBetween(models);
    return pairScalars(leverages(models.encrypted, rounding), leverages(models.base, rounding), context);
  },
  control: reorderedTables,
};

function leverages(weights: Weights, rounding: number): Invariant[] {
  const head = weights.head();
  return [weights.embedding(), ...(head ? [head] : [])].map((table) => leverageOf(table, rounding));
}

/** Squared lengths of the rows in coordinates in which the table has no preferred direction. */
function leverageOf(table: Matrix, rounding: number): Invariant {
  const { values: variances, vectors } = symmetricEigen(multiplyFirstTransposed(table, table));
  const kept = variances.filter((variance) => variance > LEAST_VARIANCE * (variances[0] as number));
  const whitening = matrix(table.columns, kept.length);
  for (let i = 0; i < table.columns; i += 1)
    for (let k = 0; k < kept.length; k += 1)
      whitening.values[i * kept.length + k] = (vectors.values[i * vectors.columns + k] as number) / Math.sqrt(kept[k] as number);
  // Rounding errors have one size in all directions, so whitening stretches them where there is little variance.
  const mean = kept.reduce((sum, variance) => sum + variance, 0) / kept.length;
  const stretch = Math.sqrt(kept.reduce((sum, variance) => sum + mean / variance, 0) / kept.length);
  return {
    values: rowNorms(multiply(table, whitening)).map((length) => length ** 2),
    error: (rounding * stretch * Math.sqrt(3)) / Math.sqrt(kept.length),
  };
}
