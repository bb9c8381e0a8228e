/**
 * From distances between cipher ids and plain ids to what an attacker believes.
 * @module
 */
import type { Context, KnownPair } from "../attack.ts";
import { Guess, RANKS } from "../guess.ts";
import { takeRows, type Matrix } from "../numeric/matrix.ts";
import { nearest, type Neighbours } from "../numeric/nearest.ts";

/** Rows that are compared before others get their turn. */
const SLAB = 8192;
/** A pair is beyond doubt when the second nearest is twice as far away. */
const BEYOND_DOUBT = 0.25;
/** Share of all ids beyond doubt from which on there is no noise to reckon with. */
const CLEAR = 0.98;
/** Share of all ids whose pairs may still change when a search is over. */
const SETTLED = 0.005;

/** A pair of which each is the other's nearest. */
export interface Match extends KnownPair {
  /** The squared distance of the two over that to the cipher id's second nearest: 0 for certainty, 1 for a toss. */
  readonly doubt: number;
}

/**
 * For each cipher id the nearest plain ids, by rows of numbers that a key leaves alike. Always finishes, because what came
 * before is worth nothing without it.
 *
 * @param encrypted (V, features) by cipher id
 * @param base (V, features) by plain id
 * @param span the part of the whole attack that this is, as shares 0..1
 */
export async function nearestPlain(
  encrypted: Matrix,
  base: Matrix,
  context: Context,
  [start, end]: readonly [number, number],
): Promise<Neighbours> {
  const all: Neighbours = {
    count: RANKS,
    indices: new Int32Array(encrypted.rows * RANKS),
    squares: new Float64Array(encrypted.rows * RANKS),
  };
  for (let first = 0; first < encrypted.rows; first += SLAB) {
    await context.proceed(start + ((end - start) * first) / encrypted.rows);
    const rows = Uint32Array.from({ length: Math.min(SLAB, encrypted.rows - first) }, (_, i) => first + i);
    const { indices, squares } = nearest(takeRows(encrypted, rows), base, RANKS);
    all.indices.set(indices, first * RANKS);
    all.squares.set(squares, first * RANKS);
  }
  return all;
}

/** The pairs of mutual nearest neighbours, the surest first. */
export function mutualMatches({ count, indices, squares }: Neighbours): Match[] {
  /** The cipher id that is nearest to a plain id, of those to which it is the nearest. */
  const cipherOf = new Map<number, number>();
  for (let cipher = 0; cipher < indices.length / count; cipher += 1) {
    const plain = indices[cipher * count] as number;
    const rival = cipherOf.get(plain);
    if (plain >= 0 && (rival === undefined || (squares[cipher * count] as number) < (squares[rival * count] as number)))
      cipherOf.set(plain, cipher);
  }
  return Array.from(cipherOf, ([plain, cipher]) => ({ plain, cipher, doubt: doubtOf(squares, cipher * count, count) })).toSorted(
    (a, b) => a.doubt - b.doubt || a.cipher - b.cipher,
  );
}

function doubtOf(squares: Float64Array, at: number, count: number): number {
  const second = count > 1 ? (squares[at + 1] as number) : Infinity;
  return second === 0 ? 1 : (squares[at] as number) / second;
}

/** The share of a vocabulary whose pairs are beyond doubt. */
export function sureShare(matches: readonly Match[], vocabulary: number): number {
  return matches.filter(({ doubt }) => doubt < BEYOND_DOUBT).length / vocabulary;
}

/** Whether the matches leave nothing to improve. */
export function isClear(matches: readonly Match[], vocabulary: number): boolean {
  return sureShare(matches, vocabulary) >= CLEAR;
}

/** Whether another round is likely to change little: `matches` are beyond doubt, or nearly all of them were there `before`. */
export function isSettled(matches: readonly Match[], before: readonly KnownPair[], vocabulary: number): boolean {
  const plainOf = new Map(before.map(({ cipher, plain }) => [cipher, plain]));
  const changed = matches.filter(({ cipher, plain }) => plainOf.get(cipher) !== plain).length;
  return changed <= SETTLED * vocabulary || isClear(matches, vocabulary);
}

/** The nearest plain ids of each cipher id, nearest first. */
export function guessOf({ count, indices }: Neighbours): Guess {
  const guess = new Guess(indices.length / count);
  for (let cipher = 0; cipher < guess.vocabulary; cipher += 1)
    guess.set(
      cipher,
      indices.subarray(cipher * count, (cipher + 1) * count).filter((plain) => plain >= 0),
    );
  return guess;
}
