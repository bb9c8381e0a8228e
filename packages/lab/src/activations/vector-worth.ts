/**
 * What maps between encrypted and public vectors are worth, against the truth.
 * @module
 */
import { matrix, type Matrix } from "../numeric/matrix.ts";
import { multiply } from "../numeric/multiply.ts";
import { nearest } from "../numeric/nearest.ts";
import { bagsOf } from "./bag-inversion.ts";
import type { VectorDatabase } from "./vector-database.ts";

type Bags = readonly ReadonlySet<number>[];

/**
 * Shares 0..1 for each map, its name behind each figure's: `textsIdentified`, of vectors whose own text is nearest among all public
 * and recorded ones; `tokensRecovered`, of a text's distinct tokens those that are among as many likeliest ones;
 * `textTokensRecovered`, the same with each token as often as it occurs. Tokens that every text has are not counted. `ByChance`,
 * `ByFrequency` and `WithTheMap` are what is reached by drawing lots, without the vectors, and with the map itself.
 *
 * @param maps from the encrypted to the public encoder's vectors, `(d, d)`
 * @param plain the recorded texts, cut, in the order of the vectors
 */
export async function worthOf(
  database: VectorDatabase,
  maps: ReadonlyMap<string, Matrix>,
  plain: readonly Uint32Array[],
): Promise<Record<string, number>> {
  const { vectors, candidates, inversion, everywhere } = database;
  const truth = await database.base.of(plain);
  const bags = bagsOf(plain, everywhere);
  const sizes = bags.map(({ size }) => size);
  const recovered = (name: string, found: Bags): Record<string, number> => ({
    [`tokensRecovered${name}`]: shareFound(bags, bags.map((bag) => [...bag]), found), // prettier-ignore
    [`textTokensRecovered${name}`]: shareFound(bags, plain, found),
  });
  const figures = {
    textsIdentifiedByChance: 1 / (plain.length + candidates.rows),
    ...recovered("ByFrequency", sizes.map((size) => inversion.frequent(size))), // prettier-ignore
    ...recovered("WithTheMap", inversion.invert(truth, sizes)),
  };
  const all = matrix(truth.rows + candidates.rows, truth.columns);
  all.values.set(truth.values);
  all.values.set(candidates.values, truth.values.length);
  const names = [...plain, ...database.texts].map((ids) => ids.join(" "));
  for (const [name, map] of maps) {
    const mapped = multiply(vectors, map);
    const { indices } = nearest(mapped, all, 1);
    const identified = indices.filter((index, row) => names[index] === names[row]).length;
    Object.assign(figures, { [`textsIdentified${name}`]: identified / vectors.rows }, recovered(name, inversion.invert(mapped, sizes)));
  }
  return figures;
}

/** Of the tokens that count, those that were found in their text. */
function shareFound(bags: Bags, texts: readonly Iterable<number>[], found: Bags): number {
  let [right, all] = [0, 0];
  for (const [index, bag] of bags.entries()) {
    for (const id of texts[index] as Iterable<number>) {
      if (!bag.has(id)) continue;
      all += 1;
      right += Number((found[index] as ReadonlySet<number>).has(id));
    }
  }
  return all === 0 ? 0 : right / all;
}
