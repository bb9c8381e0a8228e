/**
 * Known plaintext without a model: some tokens are known, their neighbours follow.
 * @module
 */
import type { Attack, CurvePoint, KnownPair } from "../attack.ts";
import { Guess } from "../guess.ts";
import { decipher } from "../language/decipher.ts";
import { BigramModel } from "../language/ngrams.ts";
import { rankedGuess } from "../language/ranked-guess.ts";
import { missingTexts, ownText } from "../language/settings.ts";
import { Traffic } from "../language/traffic.ts";

/** Known pairs at which the curve is measured, each among the next. */
const KNOWN = [0, 20, 50, 100, 200, 500, 1000];

/** Known plaintext without a model, over a growing number of known pairs. */
export const knownPairs: Attack = {
  name: "known-pairs",
  title: "Reads the neighbours of known tokens by who stands beside whom, then theirs.",
  tier: "T3",
  knowledge: "recorded ids, a text of the same kind, and some known tokens",
  source: "relaxation of Peleg and Rosenfeld 1979, with known plaintext",
  missing: (evidence) => missingTexts(evidence) ?? (evidence.known.length > 0 ? null : "no token is known"),
  async run({ vocabulary, traffic: recorded, prior, known }, { proceed }) {
    const model = new BigramModel(prior, vocabulary);
    const traffic = new Traffic(recorded, vocabulary);
    const steps = KNOWN.filter((count) => count <= known.length);
    const points: CurvePoint[] = [];
    const figures: Record<string, number> = {};
    for (const [index, x] of steps.entries()) {
      const given = known.slice(0, x);
      const fixed = new Int32Array(vocabulary).fill(-1);
      for (const { plain, cipher } of given) fixed[traffic.symbolOf[cipher] as number] = plain;
      const read = await decipher(traffic, model, fixed, (done) => proceed((index + done) / steps.length));
      const guess = rankedGuess(traffic, read.order, read.ranked);
      for (const { plain, cipher } of given) guess.set(cipher, [plain]);
      points.push({ x, guess });
      Object.assign(figures, beyond(traffic, guess, known, x));
      if (!read.finished) break;
    }
    return { guess: points.at(-1)?.guess ?? new Guess(vocabulary), curve: { of: "known pairs", points }, figures };
  },
  control: ownText(0.5),
};

/**
 * What was read and not given, checked by known pairs that were held back: `beyondKnown`, its share of what was read in all;
 * `restRead`, the share of the held-back tokens that was read. Tokens count as often as they occur in the traffic.
 */
function beyond(traffic: Traffic, guess: Guess, known: readonly KnownPair[], given: number): Record<string, number> {
  let [granted, read, rest] = [0, 0, 0];
  for (const [index, { plain, cipher }] of known.entries()) {
    const count = traffic.counts[traffic.symbolOf[cipher] as number] as number;
    if (index < given) granted += count;
    else {
      rest += count;
      if (guess.top(cipher) === plain) read += count;
    }
  }
  return rest === 0 ? {} : { beyondKnown: read / Math.max(1, read + granted), restRead: read / rest };
}
