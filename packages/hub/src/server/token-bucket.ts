/**
 * How often someone may ask: a bucket of tokens that fills at a steady rate, of which each request takes one (CWE-799).
 * @module
 */
import { Refusal } from "./refusal.ts";

/** Buckets that are kept at once (CWE-770); beyond them, the one that was used longest ago goes. */
const MAXIMUM_BUCKETS = 50_000;

/** Buckets of equal size, by name. */
export class TokenBuckets {
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  /** Buckets that hold `burst` tokens and get `perSecond`. */
  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
  }

  /**
   * Takes a token.
   * @param now milliseconds on any clock that does not go back
   * @throws UnseenError QUOTA_EXCEEDED with `retry-after`
   */
  take(name: string, now: number = performance.now()): void {
    const known = this.#buckets.get(name) ?? { tokens: this.#burst, at: now };
    const tokens = Math.min(this.#burst, known.tokens + ((now - known.at) / 1000) * this.#perSecond);
    // Entries stay in the order of their last use.
    this.#buckets.delete(name);
    this.#buckets.set(name, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > MAXIMUM_BUCKETS) this.#buckets.delete(this.#buckets.keys().next().value as string);
    if (tokens < 1)
      throw new Refusal("QUOTA_EXCEEDED", `requests: expected at most ${this.#perSecond} a second, got more.`, {
        hint: "Ask less often.",
        headers: { "retry-after": String(Math.max(1, Math.ceil((1 - tokens) / this.#perSecond))) },
      });
  }
}

/** What an address counts as: an IPv6 subscriber has 2^64 addresses, which count as one (RFC 6177). */
export function networkOf(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [before = [], after] = address
    .split("%", 1)[0]!
    .split("::")
    .map((half) => half.split(":").filter(Boolean)) as [string[], string[]?];
  const zeros = after ? Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0") : [];
  return [...before, ...zeros, ...(after ?? [])].slice(0, 4).join(":");
}
