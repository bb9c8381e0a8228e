/**
 * Uniform numbers that nobody can predict, for the noise on features.
 * @module
 */
import { randomFillSync } from "node:crypto";

/** Words drawn at once. */
const BLOCK = 4096;

/** A source of 53-bit uniform numbers in [0, 1) from the system's generator. */
export function secureUniform(): () => number {
  const words = new BigUint64Array(BLOCK);
  let next = BLOCK;
  return () => {
    if (next === BLOCK) {
      randomFillSync(words);
      next = 0;
    }
    return Number(words[next++]! >> 11n) * 2 ** -53;
  };
}
