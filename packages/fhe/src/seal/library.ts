/**
 * Microsoft SEAL as WebAssembly (node-seal 6.0.3), typed as far as it is used here.
 *
 * Everything with `delete` lies on the WebAssembly heap, which is not garbage collected: whoever makes it deletes it.
 * @module
 */
import { createRequire } from "node:module";

/** Something on the WebAssembly heap. */
export interface Freed {
  delete(): void;
}

/** What can be serialised, and lies in memory without secrets. */
export interface Saved extends Freed {
  saveArray(compression: ComprMode): Uint8Array;
}

/** What can be read back; the bytes must have passed a check of their form. */
interface Loaded extends Saved {
  loadArray(context: Context, bytes: Uint8Array): void;
}

/** Names a level of a context. */
export interface ParmsId extends Freed {
  readonly values: BigUint64Array;
}

export interface Modulus extends Freed {
  readonly value: bigint;
}

export interface EncryptionParameters extends Freed {
  setPolyModulusDegree(degree: number): void;
  setCoeffModulus(primes: Freed): void;
  setPlainModulus(modulus: Modulus): void;
  readonly coeffModulus: BigUint64Array;
}

export interface ContextData extends Freed {
  readonly parms: EncryptionParameters;
  readonly parmsId: ParmsId;
  readonly nextContextData: ContextData;
}

export interface Context extends Freed {
  readonly firstContextData: ContextData;
  parametersSet(): boolean;
}

export interface Plaintext extends Freed {
  readonly isZero: boolean;
  shrinkToFit(): void;
}

export interface Ciphertext extends Loaded {
  readonly scale: number;
  setScale(scale: number): void;
}

/** Relinearisation or rotation keys. */
export type SwitchingKeys = Loaded;

export interface KeyGenerator extends Freed {
  secretKey(): Freed;
  createPublicKey(): Freed;
  createRelinKeysSerializable(): Saved;
  /** Without steps SEAL makes keys for all powers of two, so there must be some. */
  createGaloisKeysSerializable(steps: Int32Array): Saved;
}

export interface Encryptor extends Freed {
  encryptSymmetric(plaintext: Plaintext, to: Ciphertext): void;
  encryptSymmetricSerializable(plaintext: Plaintext): Saved;
}

export interface Decryptor extends Freed {
  decrypt(ciphertext: Ciphertext, to: Plaintext): void;
}

export interface CkksEncoder extends Freed {
  encode(values: Float64Array, scale: number, to: Plaintext): void;
  decode(plaintext: Plaintext): Float64Array;
}

export interface BatchEncoder extends Freed {
  encode(values: Int32Array, to: Plaintext): void;
  decode(plaintext: Plaintext, signed: true): Int32Array;
}

/** SEAL's evaluator; `to` may be the operand itself. */
export interface SealEvaluator extends Freed {
  add(left: Ciphertext, right: Ciphertext, to: Ciphertext): void;
  addPlain(from: Ciphertext, plaintext: Plaintext, to: Ciphertext): void;
  multiplyPlain(from: Ciphertext, plaintext: Plaintext, to: Ciphertext): void;
  multiply(left: Ciphertext, right: Ciphertext, to: Ciphertext): void;
  square(from: Ciphertext, to: Ciphertext): void;
  relinearize(from: Ciphertext, keys: SwitchingKeys, to: Ciphertext): void;
  rotateVector(from: Ciphertext, steps: number, keys: SwitchingKeys, to: Ciphertext): void;
  rescaleToNext(from: Ciphertext, to: Ciphertext): void;
  cipherModSwitchTo(from: Ciphertext, level: ParmsId, to: Ciphertext): void;
  plainModSwitchTo(from: Plaintext, level: ParmsId, to: Plaintext): void;
  plainTransformToNtt(from: Plaintext, level: ParmsId, to: Plaintext): void;
  cipherTransformToNtt(from: Ciphertext, to: Ciphertext): void;
  cipherTransformFromNtt(from: Ciphertext, to: Ciphertext): void;
}

/** An opaque constant of the library. */
interface Opaque<Name extends string> {
  readonly name: Name;
}
type ComprMode = Opaque<"compression">;

/** One WebAssembly instance. */
export interface Seal {
  readonly ComprModeType: { readonly none: ComprMode };
  readonly SchemeType: { readonly ckks: Opaque<"scheme">; readonly bfv: Opaque<"scheme"> };
  readonly SecurityLevel: { readonly tc128: Opaque<"security"> };
  readonly CoeffModulus: {
    Create(degree: number, bits: Int32Array): Freed;
    BFVDefault(degree: number, security: Opaque<"security">): Freed;
  };
  readonly PlainModulus: { Batching(degree: number, bits: number): Modulus };
  EncryptionParameters(scheme: Opaque<"scheme">): EncryptionParameters;
  Context(parameters: EncryptionParameters, expandModulusChain: boolean, security: Opaque<"security">): Context;
  KeyGenerator(context: Context): KeyGenerator;
  Encryptor(context: Context, publicKey: Freed, secretKey: Freed): Encryptor;
  Decryptor(context: Context, secretKey: Freed): Decryptor;
  CKKSEncoder(context: Context): CkksEncoder;
  BatchEncoder(context: Context): BatchEncoder;
  Evaluator(context: Context): SealEvaluator;
  PlainText(): Plaintext;
  CipherText(): Ciphertext;
  RelinKeys(): SwitchingKeys;
  GaloisKeys(): SwitchingKeys;
}

let instance: Promise<Seal> | undefined;

/** The WebAssembly instance of this thread; made at the first call, about 30 ms. */
export function loadSeal(): Promise<Seal> {
  const load = createRequire(import.meta.url)("node-seal/throws_wasm_node_umd") as () => Promise<Seal>;
  return (instance ??= load());
}
