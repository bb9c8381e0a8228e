/**
 * What an attacker believes: for each cipher id, plain ids from the likeliest on.
 * @module
 */

/** Plain ids kept for each cipher id. */
export const RANKS = 10;

/** Ranked guesses for a whole vocabulary. */
export class Guess {
  readonly vocabulary: number;
  /** (vocabulary, RANKS) plain ids by cipher id; -1 where there is none. */
  readonly ranked: Int32Array;

  constructor(vocabulary: number) {
    this.vocabulary = vocabulary;
    this.ranked = new Int32Array(vocabulary * RANKS).fill(-1);
  }

  /** A guess of one plain id for each cipher id, -1 where there is none: `(vocabulary)`. */
  static ofMapping(plainByCipher: ArrayLike<number>): Guess {
    const guess = new Guess(plainByCipher.length);
    for (let cipher = 0; cipher < plainByCipher.length; cipher += 1) guess.ranked[cipher * RANKS] = plainByCipher[cipher] as number;
    return guess;
  }

  /** Sets the plain ids of one cipher id, likeliest first; more than {@link RANKS} are cut. */
  set(cipher: number, plains: Iterable<number>): void {
    let rank = 0;
    for (const plain of plains) {
      if (rank === RANKS) break;
      this.ranked[cipher * RANKS + rank] = plain;
      rank += 1;
    }
    this.ranked.fill(-1, cipher * RANKS + rank, (cipher + 1) * RANKS);
  }

  /** The likeliest plain id of a cipher id; -1 where there is none. */
  top(cipher: number): number {
    return this.ranked[cipher * RANKS] as number;
  }

  /** 0-based rank of a plain id among a cipher id's guesses; -1 where it is not among them. */
  rankOf(cipher: number, plain: number): number {
    for (let rank = 0; rank < RANKS; rank += 1) if (this.ranked[cipher * RANKS + rank] === plain) return rank;
    return -1;
  }

  /** The likeliest plain id of every cipher id: `(vocabulary)`. */
  mapping(): Int32Array {
    return Int32Array.from({ length: this.vocabulary }, (_, cipher) => this.top(cipher));
  }
}
