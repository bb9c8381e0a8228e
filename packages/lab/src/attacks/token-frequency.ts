/**
 * Token frequency matching: the commonest cipher id is the commonest token, and so on down the ranks.
 * @module
 */
import type { Attack, CurvePoint } from "../attack.ts";
import { Guess, RANKS } from "../guess.ts";
import { byFrequency, countTokens } from "../language/pairs.ts";
import { missingTexts, ownText } from "../language/settings.ts";

/** Tokens of traffic at which the curve is measured, and all. */
const SEEN = [100, 1000, 10_000, 100_000, 1_000_000];

/** Token frequency matching (TFMA), over a growing amount of traffic. */
export const tokenFrequency: Attack = {
  name: "token-frequency",
  title: "Pairs cipher ids with tokens of the same rank of frequency.",
  tier: "T0",
  knowledge: "recorded ids, and a text of the same kind",
  source: "Al-Kindi, 9th century; for tokens TFMA in AloePri, arXiv 2603.01499",
  missing: missingTexts,
  async run({ vocabulary, traffic, prior }, { proceed }) {
    const priorCounts = countTokens(prior, vocabulary);
    const order = byFrequency(priorCounts);
    const known = priorCounts.reduce((sum, count) => sum + Number(count > 0), 0);
    const total = traffic.reduce((sum, text) => sum + text.length, 0);
    const points: CurvePoint[] = [];
    for (const x of [...SEEN.filter((count) => count < total), total]) {
      points.push({ x, guess: matchRanks(countTokens(beginning(traffic, x), vocabulary), order.subarray(0, known)) });
      if (!(await proceed(x / total))) break;
    }
    const guess = points.at(-1)?.guess as Guess;
    return { guess, curve: { of: "recorded tokens", points }, figures: { recordedTokens: total } };
  },
  control: ownText(0.25),
};

/** Ranks of the traffic on ranks of the language; neighbouring ranks, the nearest first, as further guesses. */
function matchRanks(counts: Float64Array, order: Uint32Array): Guess {
  const guess = new Guess(counts.length);
  for (const [rank, cipher] of byFrequency(counts).entries()) {
    if (counts[cipher] === 0) break;
    guess.set(cipher, neighbours(order, rank));
  }
  return guess;
}

function neighbours(order: Uint32Array, rank: number): number[] {
  // Traffic may have more ids than the text to compare with.
  const centre = Math.min(rank, order.length - 1);
  const ids: number[] = [];
  for (let step = 0; ids.length < RANKS && step < order.length; step += 1)
    for (const at of step === 0 ? [centre] : [centre + step, centre - step])
      if (at >= 0 && at < order.length) ids.push(order[at] as number);
  return ids;
}

/** The first `count` tokens of the texts. */
function beginning(texts: readonly Uint32Array[], count: number): Uint32Array[] {
  let left = count;
  return texts.map((text) => {
    const part = text.subarray(0, left);
    left -= part.length;
    return part;
  });
}
