/**
 * From some pairs of ids to all: fit the map between the two streams to the pairs, look for mutual nearest neighbours under it,
 * fit again. What one look at noisy weights gives by chance grows to a whole vocabulary, because a map has far fewer numbers than
 * the tables.
 *
 * The map goes from the public rows to the encrypted ones: noise is in the latter alone, so nothing shrinks the fit, and the
 * nearest row is the likeliest.
 * @module
 */
import type { Context, KnownPair } from "../attack.ts";
import { procrustes, ridge } from "../numeric/decompose.ts";
import { rowOf, takeRows, type Matrix } from "../numeric/matrix.ts";
import { multiply } from "../numeric/multiply.ts";
import type { Neighbours } from "../numeric/nearest.ts";
import { mapped } from "../weights/batched.ts";
import { joinColumns, joinRows } from "./features.ts";
import { isSettled, mutualMatches, nearestPlain, type Match } from "./pairing.ts";
import type { TwoModels } from "./two-models.ts";

/** One table of both models; the word table and the output table lie in the same stream. */
export interface TablePair {
  readonly encrypted: Matrix; // (V, d~)
  readonly base: Matrix; // (V, d)
}

export interface Refined {
  readonly neighbours: Neighbours;
  readonly matches: readonly Match[];
  readonly rounds: number;
}

/** Of the mean variance of the paired rows. */
const RIDGE = 0.05;
/** Pairs for each dimension from which on the map is taken for a rotation, as every key's is; with fewer, most of it is unknown. */
const ROTATION_SHARE = 1;
/** Residuals below this share of a table's numbers are taken for rounding. */
const LEAST_RESIDUAL = 1e-6;
const ROUNDS = 8;

/** The word table and, where both models have one, the output table. */
export function tablesOf({ encrypted, base }: TwoModels): TablePair[] {
  const heads = [encrypted.head(), base.head()] as const;
  return [
    { encrypted: encrypted.embedding(), base: base.embedding() },
    ...(heads[0] && heads[1] ? [{ encrypted: heads[0], base: heads[1] }] : []),
  ];
}

/**
 * Refines pairs.
 *
 * @param seeds where to start, some of them wrong perhaps
 * @param certain pairs that are right
 * @param span the part of the whole attack that this is, as shares 0..1
 */
export async function refine(
  tables: readonly TablePair[],
  { seeds = [], certain = [] }: { readonly seeds?: readonly KnownPair[]; readonly certain?: readonly KnownPair[] },
  context: Context,
  [start, end]: readonly [number, number],
): Promise<Refined> {
  const sure = { plain: new Set(certain.map(({ plain }) => plain)), cipher: new Set(certain.map(({ cipher }) => cipher)) };
  const besides = (pairs: readonly KnownPair[]) => [
    ...certain,
    ...pairs.filter(({ plain, cipher }) => !sure.plain.has(plain) && !sure.cipher.has(cipher)),
  ];
  let pairs = besides(seeds);
  for (let round = 1; ; round += 1) {
    const [encrypted, base] = aligned(tables, pairs);
    const at = (done: number): number => start + ((end - start) * done) / ROUNDS;
    const neighbours = await nearestPlain(encrypted, base, context, [at(round - 1), at(round)]);
    const matches = mutualMatches(neighbours);
    if (round === ROUNDS || isSettled(matches, pairs, encrypted.rows) || !(await context.proceed(at(round))))
      return { neighbours, matches, rounds: round };
    pairs = besides(matches);
  }
}

/** All tables in coordinates in which rows of one token lie near each other: `(V, features)` of the encrypted model, and of the public one. */
function aligned(tables: readonly TablePair[], pairs: readonly KnownPair[]): readonly [Matrix, Matrix] {
  const [plain, cipher] = [pairs.map((pair) => pair.plain), pairs.map((pair) => pair.cipher)];
  const [{ encrypted, base }] = tables as readonly [TablePair];
  const rigid = encrypted.columns === base.columns && pairs.length * tables.length >= ROTATION_SHARE * base.columns;
  const rotation = rigid ? commonRotation(tables, plain, cipher) : null;
  const sides = tables.map((table) => {
    const [from, to] = [takeRows(table.base, plain), takeRows(table.encrypted, cipher)];
    const base = multiply(table.base, rotation ?? ridge(from, to, RIDGE));
    // Few pairs tell of few directions; what lies in others says nothing about a row.
    const encrypted = rotation ? table.encrypted : multiply(table.encrypted, ridge(to, to, RIDGE));
    const scale = 1 / residual(encrypted, base, pairs);
    return [mapped(encrypted, (value) => value * scale), mapped(base, (value) => value * scale)] as const;
  });
  return [joinColumns(sides.map(([encrypted]) => encrypted)), joinColumns(sides.map(([, base]) => base))];
}

function commonRotation(tables: readonly TablePair[], plain: readonly number[], cipher: readonly number[]): Matrix {
  // Tables of different size would count differently.
  const stacked = (side: keyof TablePair, ids: readonly number[]): Matrix =>
    joinRows(
      tables.map((table) => {
        const scale = 1 / size(table[side]);
        return mapped(takeRows(table[side], ids), (value) => value * scale);
      }),
    );
  return procrustes(stacked("base", plain), stacked("encrypted", cipher));
}

/** Root mean square of the difference of paired rows. */
function residual(encrypted: Matrix, base: Matrix, pairs: readonly KnownPair[]): number {
  let sum = 0;
  for (const { plain, cipher } of pairs) {
    const [a, b] = [rowOf(encrypted, cipher), rowOf(base, plain)];
    for (let k = 0; k < a.length; k += 1) sum += ((a[k] as number) - (b[k] as number)) ** 2;
  }
  return Math.sqrt(sum / Math.max(1, pairs.length * base.columns)) + LEAST_RESIDUAL * size(base) + Number.MIN_VALUE;
}

/** Root mean square. */
function size({ values }: Matrix): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum / values.length) || 1;
}
