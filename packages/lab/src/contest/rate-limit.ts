/**
 * How often an address may try.
 * @module
 */

/** Addresses that are counted at once (CWE-770); beyond them, new ones wait for the next window. */
const MAXIMUM_ADDRESSES = 100_000;

/** Counts attempts by address in windows of fixed length. */
export class RateLimit {
  readonly #limit: number;
  readonly #milliseconds: number;
  readonly #counts = new Map<string, number>();
  #start = -Infinity;

  /** Allows `limit` attempts in a window of `milliseconds`. */
  constructor(limit: number, milliseconds: number) {
    this.#limit = limit;
    this.#milliseconds = milliseconds;
  }

  /** Counts an attempt and says whether it is allowed. `now` in milliseconds. */
  allow(address: string, now: number): boolean {
    if (now - this.#start >= this.#milliseconds || now < this.#start) {
      this.#counts.clear();
      this.#start = now;
    }
    const count = this.#counts.get(address) ?? 0;
    if (count >= this.#limit || (count === 0 && this.#counts.size >= MAXIMUM_ADDRESSES)) return false;
    this.#counts.set(address, count + 1);
    return true;
  }
}
