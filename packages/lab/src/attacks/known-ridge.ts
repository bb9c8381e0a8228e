/**
 * Known text: some ids that the attacker can name fix the map between the streams, and the map names the rest.
 * @module
 */
import type { Attack, CurvePoint, KnownPair } from "../attack.ts";
import { Guess } from "../guess.ts";
import { classesOfRows } from "../numeric/nearest.ts";
import { guessOf, isClear, type Match } from "./pairing.ts";
import { refine, tablesOf } from "./refine.ts";
import { roundingBetween } from "./storage-rounding.ts";
import { exactEncryption, missingModels, twoModels } from "./two-models.ts";

/** Numbers of known pairs that are tried. */
const STEPS: readonly number[] = [20, 50, 100, 200, 500, 1000];
/** What fewer pairs have led to is built upon where it gives so many of the further pairs right. */
const TRUSTED = 0.5;

export const knownRidge: Attack = {
  name: "known-ridge",
  title: "Fits the map between the two streams to known pairs of ids by ridge regression, pairs all rows and refines.",
  tier: "T3",
  knowledge: "encrypted weights, public model, some known pairs of ids",
  source: "ridge regression (Hoerl and Kennard 1970) on embedding rows, refined as arXiv 1710.04087",
  missing(evidence) {
    const reason = missingModels(evidence);
    const least = STEPS[0] as number;
    if (reason !== null || evidence.known.length >= least) return reason;
    return `it needs ${least} known pairs, and there are ${evidence.known.length}`;
  },
  async run(evidence, context) {
    const models = twoModels(evidence);
    const tables = tablesOf(models);
    const steps = STEPS.filter((count) => count <= evidence.known.length);
    const points: CurvePoint[] = [];
    let last: { readonly matches: readonly Match[]; readonly guess: Guess } | null = null;
    for (const [index, count] of steps.entries()) {
      const known = evidence.known.slice(0, count);
      const span = [(0.9 * index) / steps.length, (0.9 * (index + 1)) / steps.length] as const;
      const trust = last ? shareRight(last.guess, known.slice(steps[index - 1])) : 0;
      if (!last || trust < 1 || !isClear(last.matches, evidence.vocabulary)) {
        const { neighbours, matches } = await refine(
          tables,
          { certain: known, seeds: last && trust > TRUSTED ? last.matches : [] },
          context,
          span,
        );
        last = { matches, guess: guessOf(neighbours) };
      }
      points.push({ x: count, guess: withKnown(last.guess, known) });
      if (!(await context.proceed(span[1]))) break;
    }
    return {
      guess: points.at(-1)?.guess ?? new Guess(evidence.vocabulary),
      curve: { of: "known pairs", points },
      classes: classesOfRows(models.base.embedding(), roundingBetween(models)),
    };
  },
  control: exactEncryption(0.95),
};

/** The share of pairs that a guess has right. */
function shareRight(guess: Guess, pairs: readonly KnownPair[]): number {
  return pairs.filter(({ cipher, plain }) => guess.top(cipher) === plain).length / pairs.length;
}

/** A copy in which what is known is not guessed. */
function withKnown(of: Guess, known: readonly KnownPair[]): Guess {
  const guess = new Guess(of.vocabulary);
  guess.ranked.set(of.ranked);
  for (const { cipher, plain } of known) guess.set(cipher, [plain]);
  return guess;
}
