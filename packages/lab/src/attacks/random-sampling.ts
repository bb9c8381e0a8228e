/**
 * Random sampling: the likeliest of some thousand random orders.
 * @module
 */
import type { Attack } from "../attack.ts";
import { Guess } from "../guess.ts";
import { shuffledHead } from "../language/assignment.ts";
import { BigramModel } from "../language/ngrams.ts";
import { SearchState } from "../language/search-state.ts";
import { commonestAlone, missingTexts } from "../language/settings.ts";
import { Traffic } from "../language/traffic.ts";

/** The attack with a given number of samples. */
export function randomSamplingOf(samples: number): Attack {
  return {
    name: "random-sampling",
    title: "Keeps the likeliest of random orders of the tokens.",
    tier: "T0",
    knowledge: "recorded ids, and a text of the same kind",
    source: "Nesa's attack paper, section on random sampling",
    missing: missingTexts,
    async run({ vocabulary, traffic: recorded, prior }, { random, proceed }) {
      const model = new BigramModel(prior, vocabulary);
      const traffic = new Traffic(recorded, vocabulary);
      const state = new SearchState(traffic, model, model.order);
      let best = { logLikelihood: -Infinity, guess: new Guess(vocabulary) };
      let sampled = 0;
      while (sampled < samples && (await proceed(sampled / samples))) {
        state.assign(shuffledHead(model.order, model.occurring, random));
        sampled += 1;
        const logLikelihood = state.total();
        if (logLikelihood > best.logLikelihood) best = { logLikelihood, guess: Guess.ofMapping(state.mapping()) };
      }
      return { guess: best.guess, figures: { samples: sampled, natsPerToken: -best.logLikelihood / traffic.tokens } };
    },
    control: commonestAlone(5, 0.05),
  };
}

/** Random sampling of 5,000 orders. */
export const randomSampling: Attack = randomSamplingOf(5000);
