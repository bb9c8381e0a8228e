/**
 * Encryption parameters made into what SEAL computes with: primes, levels, an encoder, an evaluator.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { parametersId, slotsOf, type Parameters } from "../parameters.ts";
import {
  loadSeal,
  type BatchEncoder,
  type CkksEncoder,
  type Context,
  type ParmsId,
  type Plaintext,
  type Seal,
  type SealEvaluator,
} from "./library.ts";

/** Parameters beyond these are refused before SEAL sees them (CWE-770, CWE-1284): larger rings need keys of 100 MiB each. */
export const parameterLimits = {
  degrees: [4096, 8192, 16_384],
  primes: 12,
  primeBits: [20, 60],
  scaleBits: [20, 55],
  plainBits: [16, 31],
} as const;

/** A context of SEAL with what belongs to it. Making one takes 0.3 to 3 seconds, so it is kept. */
export class SealContext {
  readonly seal: Seal;
  readonly parameters: Parameters;
  readonly handle: Context;
  readonly evaluator: SealEvaluator;
  /** Primes of the ciphertexts, first to last; level l uses those up to index l. Those of keys have one more. */
  readonly primes: readonly bigint[];
  /** The prime of keys alone. */
  readonly keyPrime: bigint;
  /** BFV: the plaintext prime; else null. */
  readonly plainModulus: number | null;
  readonly #levels: readonly ParmsId[];
  readonly #encoder: { readonly ckks: CkksEncoder } | { readonly bfv: BatchEncoder };

  private constructor(seal: Seal, parameters: Parameters) {
    const made = makeContext(seal, parameters);
    this.seal = seal;
    this.parameters = parameters;
    this.handle = made.handle;
    this.primes = made.primes.slice(0, -1);
    this.keyPrime = made.primes.at(-1) ?? 0n;
    this.plainModulus = made.plainModulus;
    this.evaluator = seal.Evaluator(this.handle);
    this.#encoder = parameters.scheme === "ckks" ? { ckks: seal.CKKSEncoder(this.handle) } : { bfv: seal.BatchEncoder(this.handle) };
    this.#levels = levelsOfContext(this.handle, this.primes.length);
  }

  /** @throws UnseenError REQUEST_INVALID for parameters beyond {@link parameterLimits} or below 128 bits of security */
  static async open(parameters: Parameters): Promise<SealContext> {
    checkParameters(parameters);
    return new SealContext(await loadSeal(), parameters);
  }

  /** Level of fresh ciphertexts. */
  get top(): number {
    return this.primes.length - 1;
  }

  /** Scale of fresh ciphertexts; 1 for BFV. */
  get scale(): number {
    return this.parameters.scheme === "ckks" ? 2 ** this.parameters.scaleBits : 1;
  }

  /** SEAL's name of a level. */
  level(level: number): ParmsId {
    const id = this.#levels[level];
    if (!id) throw new UnseenError("INTERNAL", `there is no level ${level}: the parameters have ${this.primes.length}.`);
    return id;
  }

  /** A plaintext at the top level from numbers per slot; BFV: whole numbers, in coefficient form. */
  encode(values: Float64Array, scale: number): Plaintext {
    const plaintext = this.seal.PlainText();
    try {
      if ("ckks" in this.#encoder) this.#encoder.ckks.encode(values, scale, plaintext);
      else this.#encoder.bfv.encode(Int32Array.from(values), plaintext);
      return plaintext;
    } catch (error) {
      plaintext.delete();
      throw error;
    }
  }

  /** The numbers per slot of a plaintext. */
  decode(plaintext: Plaintext): Float64Array {
    return "ckks" in this.#encoder ? this.#encoder.ckks.decode(plaintext) : Float64Array.from(this.#encoder.bfv.decode(plaintext, true));
  }

  /**
   * Checks that numbers can be encoded as they are.
   *
   * @throws UnseenError REQUEST_INVALID for too many, not finite or (BFV) not whole numbers, or ones beyond half the plaintext prime
   */
  checkValues(values: Float64Array): void {
    const slots = slotsOf(this.parameters);
    const largest = this.plainModulus === null ? Number.MAX_VALUE : (this.plainModulus - 1) / 2;
    const fits = (value: number): boolean => Math.abs(value) <= largest && (this.plainModulus === null || Number.isInteger(value));
    if (values.length <= slots && values.every(fits)) return;
    const kind = this.plainModulus === null ? "finite numbers" : `whole numbers up to ${largest}`;
    throw new UnseenError("REQUEST_INVALID", `a ciphertext takes at most ${slots} ${kind}; got ${values.length} numbers or others.`, {
      hint: "Let the program pack the picture.",
    });
  }

  close(): void {
    for (const level of this.#levels) level.delete();
    if ("ckks" in this.#encoder) this.#encoder.ckks.delete();
    else this.#encoder.bfv.delete();
    this.evaluator.delete();
    this.handle.delete();
  }
}

function makeContext(seal: Seal, parameters: Parameters): { handle: Context; primes: readonly bigint[]; plainModulus: number | null } {
  const { degree, scheme } = parameters;
  const security = seal.SecurityLevel.tc128;
  const made = seal.EncryptionParameters(seal.SchemeType[scheme]);
  made.setPolyModulusDegree(degree);
  const primes =
    scheme === "ckks"
      ? seal.CoeffModulus.Create(degree, Int32Array.from(parameters.primeBits))
      : seal.CoeffModulus.BFVDefault(degree, security);
  made.setCoeffModulus(primes);
  primes.delete();
  let plainModulus: number | null = null;
  if (scheme === "bfv") {
    const modulus = seal.PlainModulus.Batching(degree, parameters.plainBits);
    plainModulus = Number(modulus.value);
    made.setPlainModulus(modulus);
    modulus.delete();
  }
  const handle = seal.Context(made, true, security);
  const values = [...made.coeffModulus];
  made.delete();
  if (handle.parametersSet()) return { handle, primes: values, plainModulus };
  handle.delete();
  throw refuse(parameters, "they have less than 128 bits of security, or do not fit each other");
}

/** SEAL's names of the levels, by level: its chain goes from the top down. */
function levelsOfContext(context: Context, count: number): ParmsId[] {
  const levels: ParmsId[] = [];
  let data = context.firstContextData;
  while (levels.length < count) {
    levels.unshift(data.parmsId);
    if (levels.length < count) data = data.nextContextData;
  }
  return levels;
}

function checkParameters(parameters: Parameters): void {
  const { degrees, primes, primeBits, scaleBits, plainBits } = parameterLimits;
  const within = (value: number, [low, high]: readonly [number, number]): boolean =>
    Number.isInteger(value) && value >= low && value <= high;
  if (!degrees.some((degree) => degree === parameters.degree)) throw refuse(parameters, `the degree is one of ${degrees.join(", ")}`);
  if (parameters.scheme === "bfv") {
    if (!within(parameters.plainBits, plainBits)) throw refuse(parameters, `the plaintext prime has ${plainBits.join(" to ")} bits`);
    return;
  }
  const { length } = parameters.primeBits;
  if (length < 2 || length > primes || !parameters.primeBits.every((bits) => within(bits, primeBits)))
    throw refuse(parameters, `there are 2 to ${primes} primes of ${primeBits.join(" to ")} bits`);
  if (!within(parameters.scaleBits, scaleBits)) throw refuse(parameters, `the scale has ${scaleBits.join(" to ")} bits`);
}

function refuse(parameters: Parameters, expected: string): UnseenError {
  return new UnseenError("REQUEST_INVALID", `the encryption parameters ${parametersId(parameters)} are refused: ${expected}.`, {
    hint: "Use the parameters that the plan names.",
  });
}
