/**
 * A genetic search: orders are crossed with each other, changed a little, and the unlikely ones die out.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import type { Attack } from "../attack.ts";
import { cycleCrossover } from "../language/crossover.ts";
import { Guess } from "../guess.ts";
import { BigramModel } from "../language/ngrams.ts";
import { byFrequency } from "../language/pairs.ts";
import { Proposals } from "../language/proposals.ts";
import { SearchState } from "../language/search-state.ts";
import { commonestAlone, missingTexts } from "../language/settings.ts";
import { Traffic } from "../language/traffic.ts";

/** How much is tried. */
export interface GeneticEffort {
  readonly population: number;
  readonly children: number;
}

/** By how much the first generation departs from a match by frequency: standard deviation of the logarithm of a count. */
const JITTER = 0.3;
/** Exchanges by which a child differs from what it inherits, at most. */
const MUTATIONS = 8;

interface Individual {
  readonly order: Uint32Array;
  readonly logLikelihood: number;
}

/** The attack of a given effort. */
export function geneticOf({ population, children }: GeneticEffort): Attack {
  return {
    name: "genetic",
    title: "Breeds orders of the tokens that start near a match by frequency.",
    tier: "T0",
    knowledge: "recorded ids, and a text of the same kind",
    source: "Nesa's attack paper, genetic crossover; cycle crossover: Oliver, Smith and Holland 1987",
    missing: missingTexts,
    async run({ vocabulary, traffic: recorded, prior }, { random, proceed }) {
      const model = new BigramModel(prior, vocabulary);
      const traffic = new Traffic(recorded, vocabulary);
      const state = new SearchState(traffic, model, model.order);
      const mutation = new Proposals(state, random, null);
      const living: Individual[] = [];
      const total = population + children;
      let born = 0;
      for (; born < total && (await proceed(born / total)); born += 1) {
        if (born < population) {
          state.assign(jittered(model.counts, random));
        } else {
          state.assign(cycleCrossover(parent(living, random).order, parent(living, random).order, random));
          for (let left = 1 + random.below(MUTATIONS); left > 0; left -= 1) {
            mutation.draw();
            state.swap(mutation.x, mutation.y);
          }
        }
        insert(living, { order: state.plain.slice(), logLikelihood: state.total() }, population);
      }
      const [best] = living;
      if (best) state.assign(best.order);
      return {
        guess: Guess.ofMapping(state.mapping()),
        figures: { population, children: Math.max(0, born - population), natsPerToken: -state.total() / traffic.tokens },
      };
    },
    control: commonestAlone(8, 0.1),
  };
}

/** A genetic search of 6,000 children. */
export const genetic: Attack = geneticOf({ population: 32, children: 6000 });

/** Tokens by a frequency that is slightly wrong; what never occurs stays last. */
function jittered(counts: Float64Array, random: RandomStream): Uint32Array {
  return byFrequency(counts.map((count) => count * Math.exp(JITTER * random.gaussian())));
}

/** The better of two. */
function parent(living: readonly Individual[], random: RandomStream): Individual {
  return living[Math.min(random.below(living.length), random.below(living.length))] as Individual;
}

/** Keeps the likeliest first, and no two alike. */
function insert(living: Individual[], born: Individual, room: number): void {
  if (living.some(({ logLikelihood }) => logLikelihood === born.logLikelihood)) return;
  const at = living.findIndex(({ logLikelihood }) => logLikelihood < born.logLikelihood);
  living.splice(at < 0 ? living.length : at, 0, born);
  if (living.length > room) living.pop();
}
