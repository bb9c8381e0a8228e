/**
 * Recorded traffic as the search needs it: cipher ids renumbered by frequency, and what stands beside what.
 * @module
 */
import { byFrequency, countPairs, countTokens, transposePairs, type PairCounts } from "./pairs.ts";

/** Traffic in symbols: symbol 0 is the commonest cipher id; ids that do not occur come last. */
export class Traffic {
  readonly vocabulary: number;
  /** Symbols that occur: 0..seen-1. */
  readonly seen: number;
  /** (vocabulary) cipher id of each symbol. */
  readonly cipherOf: Uint32Array;
  /** (vocabulary) symbol of each cipher id. */
  readonly symbolOf: Uint32Array;
  /** (vocabulary) how often each symbol occurs. */
  readonly counts: Float64Array;
  readonly tokens: number;
  readonly followers: PairCounts;
  readonly predecessors: PairCounts;

  /** @throws RangeError where an id is beyond the vocabulary. */
  constructor(texts: readonly Uint32Array[], vocabulary: number) {
    const counts = countTokens(texts, vocabulary);
    this.vocabulary = vocabulary;
    this.cipherOf = byFrequency(counts);
    this.symbolOf = new Uint32Array(vocabulary);
    for (const [symbol, cipher] of this.cipherOf.entries()) this.symbolOf[cipher] = symbol;
    this.counts = Float64Array.from(this.cipherOf, (cipher) => counts[cipher] as number);
    const end = this.counts.indexOf(0);
    this.seen = end < 0 ? vocabulary : end;
    this.tokens = counts.reduce((sum, count) => sum + count, 0);
    const renumbered = texts.map((text) => text.map((cipher) => this.symbolOf[cipher] as number));
    this.followers = countPairs(renumbered, vocabulary);
    this.predecessors = transposePairs(this.followers);
  }
}
