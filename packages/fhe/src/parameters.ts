/**
 * Encryption parameters: ring dimension, modulus chain, scale. Every set here has 128 bits of security by the
 * Homomorphic Encryption Standard (https://homomorphicencryption.org/standard/), which SEAL checks again.
 * @module
 */

/** CKKS: approximate numbers, one level per product. */
export interface CkksParameters {
  readonly scheme: "ckks";
  /** N; N / 2 values per ciphertext. */
  readonly degree: number;
  /** Bits of each prime; the last serves key switching alone. */
  readonly primeBits: readonly number[];
  /** log2 of the scale. */
  readonly scaleBits: number;
}

/** BFV: exact integers modulo a prime. */
export interface BfvParameters {
  readonly scheme: "bfv";
  /** N; N values per ciphertext, as two rows of N / 2. */
  readonly degree: number;
  /** Bits of the plaintext prime. */
  readonly plainBits: number;
}

export type Parameters = CkksParameters | BfvParameters;

/** Products in a row that a set allows. */
export function levelsOf(parameters: CkksParameters): number {
  return parameters.primeBits.length - 2;
}

/** Values per ciphertext that the packing uses. */
export function slotsOf(parameters: Parameters): number {
  return parameters.scheme === "ckks" ? parameters.degree / 2 : parameters.degree;
}

/** Up to three products (fhe set P1): ciphertexts of 256 KiB as sent. */
export const shallow: CkksParameters = { scheme: "ckks", degree: 8192, primeBits: [49, 40, 40, 40, 49], scaleBits: 40 };
/** Up to five products (set P4). */
export const deep: CkksParameters = { scheme: "ckks", degree: 16_384, primeBits: [50, 40, 40, 40, 40, 40, 50], scaleBits: 40 };
/** Up to three products on twice the values (set P3). */
export const wide: CkksParameters = { scheme: "ckks", degree: 16_384, primeBits: [50, 40, 40, 40, 50], scaleBits: 40 };
/** Exact integers below 2^29 in magnitude; for one convolution of whole numbers. */
export const exact: BfvParameters = { scheme: "bfv", degree: 8192, plainBits: 30 };
/** The same with one ciphertext's worth twice as large. */
export const exactWide: BfvParameters = { scheme: "bfv", degree: 16_384, plainBits: 30 };

/** What canonical JSON of parameters names them by, in caches and on the wire. */
export function parametersId(parameters: Parameters): string {
  return parameters.scheme === "ckks"
    ? `ckks/${parameters.degree}/${parameters.primeBits.join("-")}/${parameters.scaleBits}`
    : `bfv/${parameters.degree}/${parameters.plainBits}`;
}

/** All sets that the planner chooses from; an evaluator runs no others. */
export const allowedParameters: readonly Parameters[] = [shallow, wide, deep, exact, exactWide];
