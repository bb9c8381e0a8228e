/**
 * Decoys: requests that nobody made, so that what is recorded does not show how often each token is said.
 * @module
 */
import { permutation, type RandomStream } from "@unseen/core/algebra/random.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { makeTrial, type Trial } from "../trial.ts";
import type { Defence } from "./defence.ts";
import { frequenciesOf } from "./frequencies.ts";
import { afterSifting } from "./sifting.ts";

/** Most decoys of one request (CWE-770). */
export const MAXIMUM_DECOYS = 100;

/**
 * Decoys beside each request, of its length, of tokens drawn so that all traffic together is as even as so many can make it: rare
 * tokens are raised to one level, and those above it stay. Exact; costs tokens. Weights are as they were, and no attack on them
 * notices, so it has nothing but traffic in evidence.
 */
export const decoys: Defence = {
  name: "decoys",
  title: "Sends requests that nobody made beside the real ones, which even out how often each token occurs.",
  dial: "decoys for each request",
  dials: [0, 1, 2, 4, 8],
  source: "after Pancake (Grubbs et al., USENIX Security 2020); stops attacks on frequencies alone",
  async apply({ subject, dial, key, seed, random }) {
    const { vocabulary, special, texts } = subject;
    const weights = levellingWeights(frequenciesOf(texts.prior, vocabulary, special), dial, special);
    const sent = mixDecoys(texts.recorded, makeDecoys(texts.recorded, dial, weights, special, random("decoys")), random("order"));
    const keyed = { permutation: vocabularyPermutation(key.secret, vocabulary), encrypted: null };
    const trial = makeTrial({ ...subject, texts: { ...texts, recorded: sent.map(({ text }) => text) }, base: null }, keyed, seed);
    return {
      trial: withoutDecoys(trial, sent),
      changed: null,
      cost: 1 + dial,
      informed: (attacks) => attacks.filter(({ tier }) => tier === "T0").map((attack) => afterSifting(attack, dial)),
    };
  },
};

/** What was sent, and whether it was meant. */
export interface Sent {
  readonly text: Uint32Array;
  readonly decoy: boolean;
}

/**
 * Weights to draw decoys' tokens by, `(vocabulary)`, which sum up to `decoys`: max(0, level - p), where the level is as high as the
 * decoys allow ("water filling"). The real frequencies p and these then give traffic that is nowhere above max(p, level) / (1 + decoys).
 *
 * @throws UnseenError `USAGE` unless `decoys` is a whole number from 0 to {@link MAXIMUM_DECOYS}
 */
export function levellingWeights(frequencies: Float64Array, decoys: number, special: ReadonlySet<number>): Float64Array {
  if (!Number.isInteger(decoys) || decoys < 0 || decoys > MAXIMUM_DECOYS)
    throw new UnseenError("USAGE", `a request must have a whole number of decoys from 0 to ${MAXIMUM_DECOYS}, got ${decoys}.`, {
      hint: "0 sends none.",
    });
  const ordinary = [...frequencies.entries()].filter(([id]) => !special.has(id)).map(([, p]) => p);
  let [level, below] = [0, 0];
  for (const [index, p] of ordinary.toSorted((a, b) => a - b).entries()) {
    // The level that the tokens before this one come to, if it is not among them.
    if (index > 0 && level <= p) break;
    below += p;
    level = (decoys + below) / (index + 1);
  }
  return frequencies.map((p, id) => (special.has(id) ? 0 : Math.max(0, level - p)));
}

/** `decoys` texts for each request: as long, with the same special tokens at the same places, all other tokens drawn by weight. */
export function makeDecoys(
  requests: readonly Uint32Array[],
  decoys: number,
  weights: Float64Array,
  special: ReadonlySet<number>,
  random: RandomStream,
): Uint32Array[] {
  const cumulative = new Float64Array(weights.length);
  let sum = 0;
  for (const [id, weight] of weights.entries()) cumulative[id] = sum += weight;
  const draw = (): number => firstAbove(cumulative, random.uniform() * sum);
  return requests.flatMap((request) => Array.from({ length: decoys }, () => request.map((id) => (special.has(id) ? id : draw()))));
}

/** Requests and decoys in random order. */
export function mixDecoys(requests: readonly Uint32Array[], decoys: readonly Uint32Array[], random: RandomStream): Sent[] {
  const all = [...requests.map((text) => ({ text, decoy: false })), ...decoys.map((text) => ({ text, decoy: true }))];
  return Array.from(permutation(random, all.length), (at) => all[at] as Sent);
}

/** Reading a decoy is worth nothing: in the truth it says nothing, and known tokens come from what was meant. */
function withoutDecoys({ evidence, truth, owner }: Trial, sent: readonly Sent[]): Trial {
  const meant = new Set(sent.filter(({ decoy }) => !decoy).flatMap(({ text }) => [...text]));
  return {
    evidence: { ...evidence, known: evidence.known.filter(({ plain }) => meant.has(plain)) },
    truth,
    owner: { ...owner, plainTraffic: sent.map(({ text, decoy }) => (decoy ? new Uint32Array() : text)) },
  };
}

/** Index of the first number above `target` among rising ones; the last index for none. */
function firstAbove(rising: Float64Array, target: number): number {
  let [low, high] = [0, rising.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rising[middle] as number) > target) high = middle;
    else low = middle + 1;
  }
  return low;
}
