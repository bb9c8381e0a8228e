/**
 * What an attacker believes about a language: how likely one id follows another.
 * @module
 */
import { byFrequency, countPairs, countTokens, transposePairs, type PairCounts } from "./pairs.ts";

/** Anything that says how likely one plain id follows another, in nats. */
export interface PairModel {
  logProbability(previous: number, next: number): number;
}

/** Added to each count, so that an id that the corpus lacks is unlikely and not impossible. */
const UNSEEN = 0.1;

/**
 * Bigram probabilities of a corpus, interpolated with unigrams: P(b|a) = (1 - w(a)) n(a,b)/n(a) + w(a) P(b), where w(a) is the
 * share of what is new after `a`.
 *
 * Only pairs that occur are stored, 12 bytes each in one open-addressing table: a table of all V² pairs has no fewer cache misses,
 * and at V = 30,522 it would need 3.7 GB.
 *
 * Source: Witten and Bell 1991, "The zero-frequency problem", method C.
 */
export class BigramModel implements PairModel {
  readonly vocabulary: number;
  /** (vocabulary) how often each id occurs. */
  readonly counts: Float64Array;
  /** (vocabulary) ids by descending count. */
  readonly order: Uint32Array;
  /** How many ids of {@link order} occur. */
  readonly occurring: number;
  /** (vocabulary) log P(b). */
  readonly logUnigram: Float64Array;
  /** (vocabulary) log w(a); 0 for an id that nothing follows. */
  readonly logBackoff: Float64Array;
  readonly followers: PairCounts;
  readonly predecessors: PairCounts;
  /** Slots of three words: a + 1 (0 where free), b, and log P(b|a) as float32. */
  readonly #slots: Uint32Array;
  readonly #values: Float32Array;
  readonly #shift: number;
  readonly #mask: number;

  /** @throws RangeError where an id is beyond the vocabulary. */
  constructor(texts: readonly ArrayLike<number>[], vocabulary: number) {
    this.vocabulary = vocabulary;
    this.counts = countTokens(texts, vocabulary);
    this.order = byFrequency(this.counts);
    this.occurring = this.counts.reduce((sum, count) => sum + Number(count > 0), 0);
    const total = this.counts.reduce((sum, count) => sum + count, 0);
    this.logUnigram = this.counts.map((count) => Math.log((count + UNSEEN) / (total + UNSEEN * vocabulary)));
    this.followers = countPairs(texts, vocabulary);
    this.predecessors = transposePairs(this.followers);
    this.logBackoff = new Float64Array(vocabulary);
    const { start, ids, counts } = this.followers;
    const bits = Math.max(1, Math.ceil(Math.log2(2 * ids.length + 1)));
    this.#slots = new Uint32Array(3 * 2 ** bits);
    this.#values = new Float32Array(this.#slots.buffer);
    this.#shift = 32 - bits;
    this.#mask = 2 ** bits - 1;
    for (let a = 0; a < vocabulary; a += 1) {
      const [first, end] = [start[a] as number, start[a + 1] as number];
      if (first === end) continue;
      let weight = end - first;
      for (let i = first; i < end; i += 1) weight += counts[i] as number;
      this.logBackoff[a] = Math.log((end - first) / weight);
      for (let i = first; i < end; i += 1) {
        const b = ids[i] as number;
        this.#store(
          a,
          b,
          Math.log((counts[i] as number) / weight + Math.exp((this.logBackoff[a] as number) + (this.logUnigram[b] as number))),
        );
      }
    }
  }

  logProbability(previous: number, next: number): number {
    const slots = this.#slots;
    for (let slot = this.#home(previous, next); ; slot = (slot + 1) & this.#mask) {
      const at = slot * 3;
      const owner = slots[at] as number;
      if (owner === 0) return (this.logBackoff[previous] as number) + (this.logUnigram[next] as number);
      if (owner === previous + 1 && slots[at + 1] === next) return this.#values[at + 2] as number;
    }
  }

  /** How much likelier a pair is than its ids alone would have it, in nats, for each pair of `followers` or `predecessors`. */
  excess(side: "followers" | "predecessors"): Float32Array {
    const { start, ids } = this[side];
    const excess = new Float32Array(ids.length);
    for (let row = 0; row < this.vocabulary; row += 1)
      for (let i = start[row] as number; i < (start[row + 1] as number); i += 1) {
        const [a, b] = side === "followers" ? [row, ids[i] as number] : [ids[i] as number, row];
        excess[i] = this.logProbability(a, b) - (this.logBackoff[a] as number) - (this.logUnigram[b] as number);
      }
    return excess;
  }

  #home(previous: number, next: number): number {
    return (Math.imul(previous, 0x9e3779b1) ^ Math.imul(next, 0x85ebca6b)) >>> this.#shift;
  }

  #store(previous: number, next: number, value: number): void {
    let slot = this.#home(previous, next);
    while (this.#slots[slot * 3] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[slot * 3] = previous + 1;
    this.#slots[slot * 3 + 1] = next;
    this.#values[slot * 3 + 2] = value;
  }
}
