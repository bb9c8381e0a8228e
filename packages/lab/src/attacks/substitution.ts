/**
 * Substitution deciphering: the common ids first, from them to their neighbours, and at last by annealing.
 * @module
 */
import type { Attack } from "../attack.ts";
import { climb } from "../language/climb.ts";
import { decipher } from "../language/decipher.ts";
import { BigramModel } from "../language/ngrams.ts";
import { Proposals } from "../language/proposals.ts";
import { rankedGuess } from "../language/ranked-guess.ts";
import { SearchState } from "../language/search-state.ts";
import { missingTexts, ownText } from "../language/settings.ts";
import { Traffic } from "../language/traffic.ts";

/** Temperatures in nats. What propagation read is mostly right, so it is not melted again. */
const HOT = 3;
const COLD = 0.1;
/** Share of the work that is done when annealing begins. */
const READ = 0.6;

/** The attack with a given number of moves of annealing. */
export function substitutionOf(moves: number): Attack {
  return {
    name: "substitution",
    title: "Deciphers by bigrams: common ids by frequency, the others by their neighbours, the rest by annealing.",
    tier: "T0",
    knowledge: "recorded ids, and a text of the same kind",
    source: "Jakobsen 1995 and Peleg and Rosenfeld 1979, on tokens",
    missing: missingTexts,
    async run({ vocabulary, traffic: recorded, prior }, { random, proceed }) {
      const model = new BigramModel(prior, vocabulary);
      const traffic = new Traffic(recorded, vocabulary);
      const read = await decipher(traffic, model, new Int32Array(vocabulary).fill(-1), (done) => proceed(READ * done));
      const state = new SearchState(traffic, model, read.order);
      const source = new Proposals(state, random, model);
      const schedule = { moves: read.finished ? moves : 0, hot: HOT, cold: COLD };
      const annealed = await climb(state, source, schedule, random, (done) => proceed(READ + (1 - READ) * done));
      if (state.total() < read.logLikelihood) state.assign(read.order);
      return {
        guess: rankedGuess(traffic, state.plain, read.ranked),
        figures: {
          rounds: read.rounds,
          moves: annealed.moves,
          movesPerSecond: annealed.moves / Math.max(annealed.seconds, 1e-9),
          natsPerToken: -state.total() / traffic.tokens,
        },
      };
    },
    control: ownText(0.5),
  };
}

/** Substitution deciphering with 250,000 moves of annealing. */
export const substitution: Attack = substitutionOf(250_000);
