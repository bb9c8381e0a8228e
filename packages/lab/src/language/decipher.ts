/**
 * Reading traffic from next to nothing: {@link propagate} from several beginnings, of which the likeliest reading is kept.
 * @module
 */
import type { Context } from "../attack.ts";
import { completed } from "./assignment.ts";
import type { BigramModel } from "./ngrams.ts";
import { propagate, type Reading } from "./propagation.ts";
import { SearchState } from "./search-state.ts";
import type { Traffic } from "./traffic.ts";

/** Common symbols that are taken for the plain ids of the same frequency, to begin with. Which number works depends on the text. */
const BEGINNINGS = [5, 20, 80];
/** Known symbols from which on nothing has to be guessed. */
const ENOUGH = 20;

/** A reading, completed, and its log-likelihood in nats. */
export interface Deciphered extends Reading {
  /** (vocabulary) plain id of each symbol, a permutation: what is unread by frequency. */
  readonly order: Uint32Array;
  readonly logLikelihood: number;
}

/** Reads traffic; `fixed` (vocabulary) has the plain id of symbols that are certain, -1 for the others. */
export async function decipher(traffic: Traffic, model: BigramModel, fixed: Int32Array, proceed: Context["proceed"]): Promise<Deciphered> {
  const { order } = model;
  const certain = fixed.reduce((sum, plain) => sum + Number(plain >= 0), 0);
  const beginnings = certain >= ENOUGH ? [0] : BEGINNINGS;
  const taken = new Set(fixed);
  let best: Deciphered | null = null;
  for (const [index, count] of beginnings.entries()) {
    const start = fixed.map((known, symbol) =>
      known < 0 && symbol < count && !taken.has(order[symbol] as number) ? (order[symbol] as number) : -1,
    );
    const reading = await propagate(traffic, model, fixed, start, (done) => proceed((index + done) / beginnings.length));
    const whole = completed(reading.plain, order);
    const logLikelihood = new SearchState(traffic, model, whole).total();
    if (!best || logLikelihood > best.logLikelihood) best = { ...reading, order: whole, logLikelihood };
    if (!reading.finished) return { ...best, finished: false };
  }
  return best as Deciphered;
}
