/**
 * What an observer makes of decoys: requests whose words do not follow each other as those of other requests do are not meant.
 * @module
 */
import type { Attack } from "../attack.ts";
import { informedAttack, translateOutcome } from "./informed.ts";

/**
 * Places of the texts that are likest to the others, in their order: by the mean logarithm of how many other texts have the same pair of
 * neighbouring ids. Texts share pairs where somebody meant them; drawn tokens meet by chance.
 *
 * @param share of the texts that is kept, 0..1
 */
export function likeliestTexts(texts: readonly Uint32Array[], share: number): number[] {
  const having = new Map<number, number>();
  const pairs = texts.map((text) => Array.from(text.subarray(1), (id, before) => (text[before] as number) * 2 ** 26 + id)); // exact: ids are far below 2^26
  for (const of of pairs) for (const pair of new Set(of)) having.set(pair, (having.get(pair) ?? 0) + 1);
  const likeness = pairs.map((of) =>
    of.length === 0 ? 0 : of.reduce((sum, pair) => sum + Math.log(having.get(pair) as number), 0) / of.length,
  );
  return [...texts.keys()]
    .toSorted((a, b) => (likeness[b] as number) - (likeness[a] as number) || a - b)
    .slice(0, Math.round(share * texts.length))
    .toSorted((a, b) => a - b);
}

/** The attack on what is left when the texts that look drawn are put aside; `decoys` for each request. */
export function afterSifting(attack: Attack, decoys: number): Attack {
  return informedAttack(attack, {
    name: `${attack.name}-after-sifting`,
    title: `Puts aside requests that look drawn. ${attack.title}`,
    knowledge: `${attack.knowledge}, and how many decoys a request has`,
    async run(evidence, context) {
      const kept = likeliestTexts(evidence.traffic, 1 / (1 + decoys));
      const outcome = await attack.run({ ...evidence, traffic: kept.map((place) => evidence.traffic[place] as Uint32Array) }, context);
      const unread = evidence.traffic.map((text) => new Int32Array(text.length).fill(-1));
      return translateOutcome(outcome, {
        guess: (guess) => guess,
        texts: (texts) => unread.map((text, place) => texts[kept.indexOf(place)] ?? text),
      });
    },
  });
}
