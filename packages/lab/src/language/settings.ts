/**
 * What attacks on texts need, and the settings in which they must succeed.
 * @module
 */
import type { Control, Evidence } from "../attack.ts";
import { byFrequency, countTokens } from "./pairs.ts";

/** Why an attack on recorded texts by a text of the same language cannot be run, or null. */
export function missingTexts({ traffic, prior }: Evidence): string | null {
  if (!traffic.some((text) => text.length > 0)) return "nothing was recorded";
  return prior.some((text) => text.length > 0) ? null : "there is no text to compare with";
}

/** The attacker's text is what was recorded, in plain ids: statistics agree exactly, so an attack that lives on them must read it. */
export function ownText(least: number): Control {
  return {
    setting: "the recorded text itself, in plain ids, as text to compare with",
    least,
    judged: "textTokens",
    arrange: (evidence, { plainTraffic }) => ({ ...evidence, prior: plainTraffic }),
  };
}

/**
 * As {@link ownText}, with all but the `count` commonest ids taken out of both: so few that guessing at random finds the right order.
 * `least` is a share of all text, of which these few ids are a part.
 */
export function commonestAlone(count: number, least: number): Control {
  return {
    setting: `the ${count} commonest ids alone, and the same text in plain ids to compare with`,
    least,
    judged: "textTokens",
    arrange: (evidence, { plainTraffic }) => ({
      ...evidence,
      traffic: onlyCommonest(evidence.traffic, evidence.vocabulary, count),
      prior: onlyCommonest(plainTraffic, evidence.vocabulary, count),
    }),
  };
}

function onlyCommonest(texts: readonly Uint32Array[], vocabulary: number, count: number): Uint32Array[] {
  const kept = new Set(byFrequency(countTokens(texts, vocabulary)).subarray(0, count));
  return texts.map((text) => text.filter((id) => kept.has(id)));
}
