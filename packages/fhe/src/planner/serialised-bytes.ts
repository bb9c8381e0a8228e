/**
 * Bytes of ciphertexts and keys as SEAL 4.1 serialises them without compression.
 * @module
 */
import { trackResults } from "../evaluator/track.ts";
import { nominalChain } from "../compile/nominal-chain.ts";
import type { Parameters } from "../parameters.ts";
import type { Program } from "../program.ts";

/** Bytes of a coefficient, and of an empty list. */
const WORD = 8;
/** What surrounds the coefficients of a ciphertext, and the seed that stands for its second polynomial. */
const CIPHERTEXT_HEADER = 113;
const SEED_BLOCK = 81;
/** Header of a set of keys with the name of its parameters, without the number of its lists. */
const KEYS_HEADER = 48;

/** A ciphertext as a client sends it: one polynomial and a seed. */
export function inputBytes(parameters: Parameters): number {
  return seededBytes(parameters, primesOf(parameters));
}

/** A ciphertext as it comes back: two polynomials of `level` + 1 primes. */
export function resultBytes({ degree }: Parameters, level: number): number {
  return 2 * WORD * degree * (level + 1) + CIPHERTEXT_HEADER;
}

/** All results of a program that its parameters have levels for. */
export function resultsBytes(program: Program): number {
  const places = trackResults(program, nominalChain(program.parameters));
  return places.reduce((sum, { level }) => sum + resultBytes(program.parameters, level), 0);
}

/** The key that products of ciphertexts need. */
export function relinearisationBytes(parameters: Parameters): number {
  return KEYS_HEADER + 2 * WORD + switchingBytes(parameters);
}

/** Keys of so many rotations: SEAL keeps a list for each of the N possible ones, most of them empty. */
export function rotationBytes(parameters: Parameters, rotations: number): number {
  return rotations === 0 ? 0 : KEYS_HEADER + WORD + WORD * parameters.degree + rotations * switchingBytes(parameters);
}

/** All evaluation keys of a program. */
export function keyBytes({ parameters, relinearises, rotations }: Program): number {
  return (relinearises ? relinearisationBytes(parameters) : 0) + rotationBytes(parameters, rotations.length);
}

/** One ciphertext of all primes for each prime of ciphertexts. */
function switchingBytes(parameters: Parameters): number {
  const primes = primesOf(parameters);
  return primes * seededBytes(parameters, primes + 1);
}

function seededBytes({ degree }: Parameters, primes: number): number {
  return WORD * degree * primes + CIPHERTEXT_HEADER + SEED_BLOCK;
}

function primesOf(parameters: Parameters): number {
  return nominalChain(parameters).primes.length;
}
