/**
 * Homophones: several ids for a frequent word, one of which is chosen at random each time, so that no id is frequent.
 *
 * A model is given them by repeating rows: the word table's, so that each id of a word means the same, and the head's, so that the
 * host can answer with any of them. Old as ciphers are; whoever sees the rows sees which are equal (`equal-rows.ts`).
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { UnseenError } from "@unseen/core/errors.ts";

/** Most ids of one word (CWE-770). */
export const MAXIMUM_COPIES = 1000;

/** Which ids stand for which word. A word's first id is the word itself; further ids follow behind the vocabulary, word by word. */
export interface Codebook {
  /** Words. */
  readonly vocabulary: number;
  /** Ids in all. */
  readonly size: number;
  /** Number of ids of each word: `(vocabulary)`. */
  readonly copies: Uint32Array;
  /** Second id of each word, where it has one: `(vocabulary)`. */
  readonly second: Uint32Array;
  /** Word of each id: `(size)`. */
  readonly words: Uint32Array;
}

/**
 * m = ceil(p / f) ids for a word of frequency p, where f is such that the most frequent word has `most`; one for words that do not
 * occur. No id is then said more often than f, and there are at most 1 / f further ids.
 *
 * @param frequencies share of each word, `(vocabulary)`; 0 for words that must have one id
 * @throws UnseenError `USAGE` unless `most` is a whole number from 1 to {@link MAXIMUM_COPIES}
 */
export function makeCodebook(frequencies: Float64Array, most: number): Codebook {
  if (!Number.isInteger(most) || most < 1 || most > MAXIMUM_COPIES)
    throw new UnseenError("USAGE", `a word must have a whole number of ids from 1 to ${MAXIMUM_COPIES}, got ${most}.`, {
      hint: "1 leaves the vocabulary as it is.",
    });
  const vocabulary = frequencies.length;
  const highest = frequencies.reduce((a, b) => Math.max(a, b), 0);
  // p · most / highest, and not p / f: the most frequent word has exactly `most`.
  const copies = Uint32Array.from(frequencies, (p) => (p === 0 ? 1 : Math.ceil((p * most) / highest)));
  const second = new Uint32Array(vocabulary);
  const words = [...copies.keys()];
  for (const [word, count] of copies.entries()) {
    second[word] = words.length;
    for (let copy = 1; copy < count; copy += 1) words.push(word);
  }
  return { vocabulary, size: words.length, copies, second, words: Uint32Array.from(words) };
}

/** One of its ids for each word of a text, chosen uniformly and anew each time. */
export function chooseHomophones({ copies, second }: Codebook, text: Uint32Array, random: RandomStream): Uint32Array {
  return text.map((word) => {
    const copy = random.below(copies[word] as number);
    return copy === 0 ? word : (second[word] as number) + copy - 1;
  });
}

/**
 * Logits over words from logits over ids: log-mean-exp over the ids of each word. `(size)` -> `(vocabulary)`.
 *
 * Equal rows of the head have equal logits z, so that softmax over ids gives a word of m ids the mass m · exp(z) where the plain
 * model gives exp(z): summing that mass alone would make frequent words likelier still. log Σ exp(z_i) - log m undoes it, and is z.
 * The largest of them is z too where they are exactly equal; rounding and noise would bias it upwards, and the mean not.
 */
export function mergeLogits(logits: Float64Array, { vocabulary, copies, words }: Codebook): Float64Array {
  const highest = new Float64Array(vocabulary).fill(-Infinity);
  for (const [id, logit] of logits.entries()) highest[words[id] as number] = Math.max(highest[words[id] as number] as number, logit);
  const sums = new Float64Array(vocabulary);
  for (const [id, logit] of logits.entries()) {
    const word = words[id] as number;
    // A word without any mass: exp(-Infinity - -Infinity) would be NaN.
    if (highest[word] !== -Infinity) sums[word]! += Math.exp(logit - (highest[word] as number));
  }
  return highest.map((most, word) => (most === -Infinity ? most : most + Math.log((sums[word] as number) / (copies[word] as number))));
}

/**
 * What to add to the logit of each id where the host samples, so that all ids of a word together have the word's mass: -log m, `(size)`.
 * As `logit_bias` of a request it tells whoever reads it which ids belong to frequent words; a client that samples needs none.
 */
export function homophoneBias({ copies, words }: Codebook): Float64Array {
  return Float64Array.from(words, (word) => -Math.log(copies[word] as number));
}
