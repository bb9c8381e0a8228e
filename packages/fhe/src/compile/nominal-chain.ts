/**
 * The chain of primes that parameters stand for, without SEAL: what levels and scales are followed with.
 * @module
 */
import type { Chain } from "../evaluator/track.ts";
import type { Parameters } from "../parameters.ts";

/** Bits of the ciphertext primes that SEAL chooses for BFV at 128 bits of security (`CoeffModulus::BFVDefault`), up to each degree. */
const BFV_PRIME_BITS: readonly (readonly [number, readonly number[]])[] = [
  [4096, [36, 36]],
  [8192, [43, 43, 44, 44]],
  [16_384, [48, 48, 48, 49, 49, 49, 49, 49]],
];

/** Moduli of the size of the parameters' primes, in their order, without the one of keys alone. No two are equal, so that scales which SEAL would refuse differ here too. */
export function nominalChain(parameters: Parameters): Chain {
  const bits =
    parameters.scheme === "ckks"
      ? parameters.primeBits.slice(0, -1)
      : (BFV_PRIME_BITS.find(([degree]) => parameters.degree <= degree)?.[1] ?? []);
  const primes = bits.map((bits, index) => (1n << BigInt(bits)) - BigInt(2 * parameters.degree * (index + 1) - 1));
  return { primes, scale: parameters.scheme === "ckks" ? 2 ** parameters.scaleBits : 1 };
}
