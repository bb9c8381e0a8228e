/**
 * For tests: a language that nobody speaks, with the statistics that attacks live on: few frequent words, and words that follow each other.
 * @module
 */
import { permutation, type RandomStream } from "@unseen/core/algebra/random.ts";
import { seeded } from "./seed.ts";

/** Texts of an order-1 Markov chain over `vocabulary` words whose frequencies fall as 1 / rank (Zipf). */
export class ToyLanguage {
  readonly vocabulary: number;
  readonly #followers: readonly Uint32Array[];
  readonly #cumulative: Float64Array;

  /** The seed is the language; texts are drawn with another. */
  constructor(vocabulary: number, seed: number) {
    this.vocabulary = vocabulary;
    const random = seeded(seed, "toy language");
    this.#cumulative = new Float64Array(vocabulary);
    let sum = 0;
    for (let rank = 0; rank < vocabulary; rank += 1) this.#cumulative[rank] = sum += 1 / (rank + 1.5);
    const names = permutation(random, vocabulary);
    // Each word prefers eight followers, frequent words among them.
    this.#followers = Array.from({ length: vocabulary }, () => Uint32Array.from({ length: 8 }, () => names[this.#rank(random)] as number));
  }

  /** Texts of `length` words each. */
  texts(count: number, length: number, seed: number): Uint32Array[] {
    const random = seeded(seed, "toy text");
    return Array.from({ length: count }, () => {
      const text = new Uint32Array(length);
      let word = random.below(this.vocabulary);
      for (let place = 0; place < length; place += 1) {
        text[place] = word;
        const followers = this.#followers[word] as Uint32Array;
        // The first followers are the likeliest.
        word = random.uniform() < 0.1 ? random.below(this.vocabulary) : (followers[Math.floor(8 * random.uniform() ** 2)] as number);
      }
      return text;
    });
  }

  #rank(random: RandomStream): number {
    const target = random.uniform() * (this.#cumulative.at(-1) as number);
    return this.#cumulative.findIndex((sum) => sum > target);
  }
}
