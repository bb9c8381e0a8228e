/**
 * A reading as a guess about cipher ids.
 * @module
 */
import { Guess, RANKS } from "../guess.ts";
import type { Traffic } from "./traffic.ts";

/**
 * For each cipher id of the traffic its plain id, then what else was likely. The others are left open.
 *
 * @param plain (vocabulary) plain id of each symbol
 * @param ranked (vocabulary, RANKS) likely plain ids of each symbol, -1 where there are fewer
 */
export function rankedGuess({ vocabulary, seen, cipherOf }: Traffic, plain: ArrayLike<number>, ranked: Int32Array): Guess {
  const guess = new Guess(vocabulary);
  for (let symbol = 0; symbol < seen; symbol += 1) {
    const likely = ranked.subarray(symbol * RANKS, (symbol + 1) * RANKS);
    guess.set(cipherOf[symbol] as number, new Set([plain[symbol] as number, ...likely.filter((id) => id >= 0)]));
  }
  return guess;
}
