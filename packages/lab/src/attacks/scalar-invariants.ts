/**
 * Pairs token ids by a few positive numbers each that no key of a kind changes.
 * @module
 */
import type { Context, Outcome } from "../attack.ts";
import { matrix } from "../numeric/matrix.ts";
import { classesOfRows } from "../numeric/nearest.ts";
import { ofColumns, standardised } from "./features.ts";
import { guessOf, nearestPlain } from "./pairing.ts";

/** One number for each token id. */
export interface Invariant {
  /** (V), positive but for tokens without a row. */
  readonly values: Float64Array;
  /** Relative error that storing the weights brings. */
  readonly error: number;
}

/** Deviations of the error within which two tokens count as equal. */
const DEVIATIONS = 3;
/** Share of classes below which it is worth saying why they are fewer than tokens. */
const MOST = 0.9;

/** For each cipher id the plain ids whose numbers are nearest, as logarithms in units of their spread. */
export async function pairScalars(encrypted: readonly Invariant[], base: readonly Invariant[], context: Context): Promise<Outcome> {
  const logarithms = (of: readonly Invariant[]) =>
    ofColumns(of.map(({ values }) => values.map((value) => Math.log(Math.max(value, 1e-30)))));
  const plain = logarithms(base);
  const features = standardised(plain);
  const neighbours = await nearestPlain(standardised(logarithms(encrypted)), features, context, [0.3, 0.7]);
  // The error of the logarithms, in the same units.
  const blur = Math.sqrt(base.reduce((sum, { error }, k) => sum + (error / deviation(plain, k)) ** 2, 0));
  const classes = classesOfRows(features, (DEVIATIONS * blur) / Math.sqrt(features.columns));
  const apart = new Set(classes).size / classes.length;
  return {
    guess: guessOf(neighbours),
    classes,
    ...(apart < MOST ? { remark: "Storing the changed weights has rounded them, and many tokens lie closer together than that." } : {}),
  };
}

function deviation({ rows, columns, values }: ReturnType<typeof matrix>, column: number): number {
  let [sum, square] = [0, 0];
  for (let at = column; at < values.length; at += columns) {
    sum += (values[at] as number) / rows;
    square += (values[at] as number) ** 2 / rows;
  }
  return Math.sqrt(Math.max(square - sum ** 2, 1e-30));
}
