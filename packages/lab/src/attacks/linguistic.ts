/**
 * Hill climbing by the rhythm of writing: lengths of words, pieces of words, pauses, sentence ends and the capitals after them.
 * @module
 */
import type { Attack } from "../attack.ts";
import { Guess } from "../guess.ts";
import { byFrequency, countTokens } from "../language/pairs.ts";
import { Proposals } from "../language/proposals.ts";
import { climbRepeatedly } from "../language/restarts.ts";
import { SearchState } from "../language/search-state.ts";
import { missingTexts, ownText } from "../language/settings.ts";
import { Traffic } from "../language/traffic.ts";
import { ShapeModel } from "../language/word-shapes.ts";
import type { ClimbEffort } from "./hill-climbing.ts";

/** The attack of a given effort. */
export function linguisticOf({ times, moves }: ClimbEffort): Attack {
  return {
    name: "linguistic",
    title: "Climbs as hill-climbing does, by shapes of words instead of which words follow each other.",
    tier: "T0",
    knowledge: "recorded ids, a text, and the public tokenizer",
    source: "Nesa's attack paper, linguistic side information",
    missing: (evidence) => missingTexts(evidence) ?? (evidence.spelling ? null : "no tokenizer says how tokens are written"),
    async run({ vocabulary, traffic: recorded, prior, spelling }, context) {
      const model = new ShapeModel(prior, spelling ?? [], vocabulary);
      const traffic = new Traffic(recorded, vocabulary);
      const order = byFrequency(countTokens(prior, vocabulary));
      const state = new SearchState(traffic, model, order);
      const source = new Proposals(state, context.random, null);
      const best = await climbRepeatedly(state, order, source, { times, schedule: { moves, hot: 0, cold: 0 } }, context);
      return {
        guess: Guess.ofMapping(state.mapping()),
        figures: { moves: best.moves, movesPerSecond: best.movesPerSecond, natsPerToken: -best.logLikelihood / traffic.tokens },
      };
    },
    control: ownText(0.25),
  };
}

/** The attack for some seconds: two climbs of 300,000 exchanges. */
export const linguistic: Attack = linguisticOf({ times: 2, moves: 300_000 });
