/**
 * A trial: one key, the evidence that an attacker has under it, and the truth to score with.
 * @module
 */
import { permutation, RandomStream } from "@unseen/core/algebra/random.ts";
import type { Evidence, KnownPair, OwnerKnowledge } from "./attack.ts";
import type { Truth } from "./score.ts";
import { seeded } from "./seed.ts";
import type { Weights } from "./weights/weights.ts";

/** One key's setting. */
export interface Trial {
  readonly evidence: Evidence;
  readonly truth: Truth;
  readonly owner: OwnerKnowledge;
}

/** Texts in plain ids, by what they are for. */
export interface Texts {
  /** What was sent and answered while the attacker recorded. */
  readonly recorded: readonly Uint32Array[];
  /** What was said when nobody recorded: recovered text is scored on it. */
  readonly heldOut: readonly Uint32Array[];
  /** What the attacker takes for the language. */
  readonly prior: readonly Uint32Array[];
}

/** What all keys share. */
export interface Subject {
  readonly vocabulary: number;
  readonly special: ReadonlySet<number>;
  readonly texts: Texts;
  readonly spelling: readonly string[] | null;
  readonly base: Weights | null;
  /** Plain ids of text that the attacker knows to have been sent; null draws known pairs from what was recorded. */
  readonly knownText: readonly Uint32Array[] | null;
}

/** Under one key. */
export interface KeyedModel {
  /** Cipher id of every plain id. */
  readonly permutation: Uint32Array;
  readonly encrypted: Weights | null;
  /** The exact encryption, where `encrypted` is a defended one. */
  readonly exact?: Weights | null;
}

/** The subject with its texts recorded in another order: who has recorded little has another beginning under each key. */
export function reorderedRecording(subject: Subject, seed: number): Subject {
  const recorded = shuffled(subject.texts.recorded, seeded(seed, "order of recording"));
  return { ...subject, texts: { ...subject.texts, recorded } };
}

/** Puts a subject under a key. The seed chooses what known pairs come first. */
export function makeTrial(subject: Subject, { permutation, encrypted, exact = null }: KeyedModel, seed: number): Trial {
  const { vocabulary, special, texts, spelling, base } = subject;
  const encipher = (ids: Uint32Array): Uint32Array => ids.map((id) => permutation[id] as number);
  return {
    evidence: {
      vocabulary,
      traffic: texts.recorded.map(encipher),
      prior: texts.prior,
      known: knownPairs(subject, permutation, seed),
      encrypted,
      base,
      spelling,
    },
    truth: { permutation, special, heldOut: texts.heldOut },
    owner: { permutation, plainTraffic: texts.recorded, exact },
  };
}

/** Ordinary tokens of known text, each once, as they come; else those of the recorded text in random order; else random ids. */
function knownPairs({ vocabulary, special, texts, knownText }: Subject, secret: Uint32Array, seed: number): KnownPair[] {
  const random = seeded(seed, "known pairs");
  const given = new Set((knownText ?? []).flatMap((ids) => [...ids]));
  const drawn = knownText
    ? [...given]
    : shuffled(
        [...new Set(texts.recorded.flatMap((ids) => [...ids]))].toSorted((a, b) => a - b),
        random,
      );
  const ids = drawn.length > 0 ? drawn : [...permutation(random, vocabulary)];
  return ids.filter((plain) => !special.has(plain)).map((plain) => ({ plain, cipher: secret[plain] as number }));
}

function shuffled<T>(items: readonly T[], random: RandomStream): T[] {
  return items.length === 0 ? [] : Array.from(permutation(random, items.length), (at) => items[at] as T);
}
