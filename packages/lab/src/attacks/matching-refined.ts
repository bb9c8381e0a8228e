/**
 * Vocabulary matching, then refinement: what the products of weights give away for some tokens, the map between the streams gives
 * away for the rest.
 * @module
 */
import type { Attack } from "../attack.ts";
import { classesOfRows } from "../numeric/nearest.ts";
import { guessOf, isClear } from "./pairing.ts";
import { refine, tablesOf } from "./refine.ts";
import { roundingBetween } from "./storage-rounding.ts";
import { exactEncryption, twoModels } from "./two-models.ts";
import { matchVocabularies, vocabularyMatching } from "./vocabulary-matching.ts";

/** Share of all ids that start the refinement, the surest first. */
const SEED_SHARE = 1 / 3;

export const matchingRefined: Attack = {
  name: "matching-refined",
  title: "Starts from the surest pairs of vocabulary matching and refines the map between the streams, round by round.",
  tier: "T2",
  knowledge: "encrypted weights, public model",
  source: "own, after vocabulary matching (arXiv 2603.01499) and Procrustes refinement of embeddings (arXiv 1710.04087)",
  missing: vocabularyMatching.missing,
  async run(evidence, context) {
    const models = twoModels(evidence);
    const first = await matchVocabularies(models, context, [0, 0.5]);
    const seeds = first.matches.slice(0, Math.ceil(evidence.vocabulary * SEED_SHARE));
    const { neighbours, rounds } = isClear(first.matches, evidence.vocabulary)
      ? { ...first, rounds: 0 }
      : await refine(tablesOf(models), { seeds }, context, [0.5, 0.9]);
    return {
      guess: guessOf(neighbours),
      classes: classesOfRows(models.base.embedding(), roundingBetween(models)),
      figures: { rounds, seeds: seeds.length },
    };
  },
  control: exactEncryption(0.95),
};
