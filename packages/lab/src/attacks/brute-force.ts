/**
 * Brute force: one order of the tokens after another.
 * @module
 */
import type { Attack } from "../attack.ts";
import { Guess } from "../guess.ts";
import { shuffledHead } from "../language/assignment.ts";
import { BigramModel } from "../language/ngrams.ts";
import { SearchState } from "../language/search-state.ts";
import { commonestAlone, missingTexts } from "../language/settings.ts";
import { Traffic } from "../language/traffic.ts";

/** Orders between two looks at the clock. */
const STRIDE = 512;

/** The attack with a limit on how many orders are tried. */
export function bruteForceOf(limit: number): Attack {
  return {
    name: "brute-force",
    title: "Tries one order of the tokens after another and keeps the likeliest.",
    tier: "T0",
    knowledge: "recorded ids, and a text of the same kind",
    source: "Nesa's attack paper, section on brute force; order of enumeration: Heap 1963",
    missing: missingTexts,
    async run({ vocabulary, traffic: recorded, prior }, { random, proceed }) {
      const model = new BigramModel(prior, vocabulary);
      const traffic = new Traffic(recorded, vocabulary);
      const state = new SearchState(traffic, model, shuffledHead(model.order, model.occurring, random));
      let logLikelihood = state.total();
      let best = { logLikelihood, mapping: state.mapping() };
      let tried = 1;
      const exchanges = heapExchanges(traffic.seen);
      let ended = false;
      while (tried < limit && (tried % STRIDE !== 0 || (await proceed(tried / limit)))) {
        const { value, done } = exchanges.next();
        if (done) {
          ended = true;
          break;
        }
        logLikelihood += state.gain(...value);
        state.swap(...value);
        tried += 1;
        // Rounding of the running sum is no improvement.
        if (logLikelihood > best.logLikelihood + 1e-6) best = { logLikelihood, mapping: state.mapping() };
      }
      return {
        guess: Guess.ofMapping(best.mapping),
        figures: { tried, ids: traffic.seen, natsPerToken: -best.logLikelihood / traffic.tokens },
        remark: ended
          ? "Every order of the recorded ids was tried."
          : "The enumeration was cut short, which says nothing about security: the attacks that succeed do not enumerate.",
      };
    },
    control: commonestAlone(6, 0.05),
  };
}

/** Brute force over as many orders as some seconds allow. */
export const bruteForce: Attack = bruteForceOf(40_000);

/** Exchanges that lead through every order of `count` things, by Heap's algorithm: the first places change most. */
export function* heapExchanges(count: number): Generator<readonly [number, number], undefined> {
  const turns = new Uint32Array(count);
  for (let place = 1; place < count;) {
    const turn = turns[place] as number;
    if (turn >= place) {
      turns[place] = 0;
      place += 1;
      continue;
    }
    yield [place % 2 === 0 ? 0 : turn, place];
    turns[place] = turn + 1;
    place = 1;
  }
}
