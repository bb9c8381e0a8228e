/**
 * Hill climbing: exchanges of two tokens, each kept where it makes the recorded text likelier.
 * @module
 */
import type { Attack } from "../attack.ts";
import { Guess } from "../guess.ts";
import { BigramModel } from "../language/ngrams.ts";
import { Proposals } from "../language/proposals.ts";
import { climbRepeatedly } from "../language/restarts.ts";
import { SearchState } from "../language/search-state.ts";
import { missingTexts, ownText } from "../language/settings.ts";
import { Traffic } from "../language/traffic.ts";

/** How much is tried. */
export interface ClimbEffort {
  readonly times: number;
  /** Exchanges in each. */
  readonly moves: number;
}

/** Hill climbing of a given effort. */
export function hillClimbingOf({ times, moves }: ClimbEffort): Attack {
  return {
    name: "hill-climbing",
    title: "Exchanges tokens, from a match by frequency on, wherever the text becomes likelier.",
    tier: "T0",
    knowledge: "recorded ids, and a text of the same kind",
    source: "Nesa's attack paper, section on hill climbing; the likelihood is of bigrams instead of a judge's score",
    missing: missingTexts,
    async run({ vocabulary, traffic: recorded, prior }, context) {
      const model = new BigramModel(prior, vocabulary);
      const traffic = new Traffic(recorded, vocabulary);
      const state = new SearchState(traffic, model, model.order);
      const source = new Proposals(state, context.random, model);
      const effort = { times, schedule: { moves, hot: 0, cold: 0 } };
      const best = await climbRepeatedly(state, model.order, source, effort, context);
      return {
        guess: Guess.ofMapping(state.mapping()),
        figures: { moves: best.moves, movesPerSecond: best.movesPerSecond, natsPerToken: -best.logLikelihood / traffic.tokens },
      };
    },
    control: ownText(0.5),
  };
}

/** Hill climbing for some seconds: two climbs of 400,000 exchanges. */
export const hillClimbing: Attack = hillClimbingOf({ times: 2, moves: 400_000 });
