/**
 * What is known about writing without knowing a language's words: which shapes of tokens follow each other.
 * @module
 */
import type { PairModel } from "./ngrams.ts";
import { countPairs, countTokens } from "./pairs.ts";

/** Shapes of tokens; words by their length, since the common ones are short (Zipf 1935). */
const SHAPES: readonly (readonly [name: string, pattern: RegExp])[] = [
  ["space", /^\s+$/u],
  ["sentence end", /^\s*[.!?…]+["'”’)]*$/u],
  ["pause", /^\s*[,;:–—-]+$/u],
  ["quote", /^\s*["“”„«»]+$/u],
  ["other mark", /^\s*[\p{P}\p{S}]+$/u],
  ["number", /^\s*\p{N}+$/u],
  ["short ending", /^['’]\p{L}{1,2}$/u],
  ["one-letter word", /^\s\p{L}$/u],
  ["capital word", /^\s\p{Lu}\p{L}+$/u],
  ["short word", /^\s\p{L}{2,3}$/u],
  ["middle word", /^\s\p{L}{4,6}$/u],
  ["long word", /^\s\p{L}{7,}$/u],
  ["capital start", /^\p{Lu}\p{L}*$/u],
  ["letter", /^\p{L}$/u],
  ["short piece", /^\p{L}{2,3}$/u],
  ["long piece", /^\p{L}{4,}$/u],
];

/** What is added to each count. */
const UNSEEN = 0.5;
/** What shapes count beside frequency: less than they would if all tokens of a shape had the same neighbours. */
const WEIGHT = 0.5;

/** Index of a token's shape; a leading space starts a word. The last index is for what has none of the shapes. */
export function shapeOf(spelling: string): number {
  const shape = SHAPES.findIndex(([, pattern]) => pattern.test(spelling));
  return shape < 0 ? SHAPES.length : shape;
}

/**
 * P(b|a) ~ P(b) · (P(shape of b | shape of a) / P(shape of b))^w: sentences end and then begin with a capital, pieces follow
 * beginnings of words, and each token has its frequency. Which words follow each other is not known to it.
 *
 * Source: class n-grams, Brown et al. 1992, with shapes as classes.
 */
export class ShapeModel implements PairModel {
  readonly #shapes: Uint8Array;
  /** (shapes, shapes) how much likelier one is after the other than by itself, in nats. */
  readonly #affinity: Float64Array;
  /** (vocabulary) */
  readonly #logUnigram: Float64Array;
  readonly #count = SHAPES.length + 1;

  /** `spelling`: text of each plain id. @throws RangeError where an id is beyond the vocabulary. */
  constructor(texts: readonly Uint32Array[], spelling: readonly string[], vocabulary: number) {
    this.#shapes = Uint8Array.from({ length: vocabulary }, (_, id) => shapeOf(spelling[id] ?? ""));
    const counts = countTokens(texts, vocabulary).map((count) => count + UNSEEN);
    const total = counts.reduce((sum, count) => sum + count, 0);
    this.#logUnigram = counts.map((count) => Math.log(count / total));
    const shares = new Float64Array(this.#count);
    for (const [id, count] of counts.entries()) shares[this.#shapes[id] as number]! += count / total;
    const {
      start,
      ids,
      counts: pairs,
    } = countPairs(
      texts.map((text) => text.map((id) => this.#shapes[id] as number)),
      this.#count,
    );
    this.#affinity = new Float64Array(this.#count ** 2).fill(UNSEEN);
    for (let a = 0; a < this.#count; a += 1) {
      const row = this.#affinity.subarray(a * this.#count, (a + 1) * this.#count);
      for (let i = start[a] as number; i < (start[a + 1] as number); i += 1) row[ids[i] as number]! += pairs[i] as number;
      const followed = row.reduce((sum, count) => sum + count, 0);
      for (const [b, count] of row.entries()) row[b] = WEIGHT * Math.log(count / followed / (shares[b] as number));
    }
  }

  logProbability(previous: number, next: number): number {
    const at = (this.#shapes[previous] as number) * this.#count + (this.#shapes[next] as number);
    return (this.#affinity[at] as number) + (this.#logUnigram[next] as number);
  }
}
