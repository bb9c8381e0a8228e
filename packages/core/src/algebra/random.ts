/**
 * Everything secret comes from here: a 32-byte master key and a label become a stream of random numbers.
 *
 * HKDF-SHA256 (RFC 5869) separates the labels, ChaCha20 (RFC 8439) is the stream. Which integers are drawn is exact on
 * every machine; a Gaussian or a logarithm may differ in its last bit between JavaScript engines, which no law notices.
 * @module
 */
import { chacha20 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";

/** Bytes of a master key. */
export const MASTER_BYTES = 32;

// A chunk is a whole number of 64-byte ChaCha20 blocks, so the block counter simply continues.
const CHUNK_BYTES = 4096;
const BLOCK_BYTES = 64;
const NONCE = new Uint8Array(12); // every label has its own key, so one nonce is enough
const ZEROS = new Uint8Array(CHUNK_BYTES);

/** Deterministic random numbers: the ChaCha20 keystream under a 32-byte key, read as little-endian words. */
export class RandomStream {
  readonly #key: Uint8Array;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  readonly #words = new DataView(this.#chunk.buffer);
  #counter = 0;
  #position = CHUNK_BYTES;
  #spare: number | null = null;

  /** @throws RangeError unless the key has 32 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== 32) throw new RangeError(`random key: expected 32 bytes, got ${key.length}.`);
    this.#key = Uint8Array.from(key);
  }

  #refill(): void {
    chacha20(this.#key, NONCE, ZEROS, this.#chunk, this.#counter);
    this.#counter += CHUNK_BYTES / BLOCK_BYTES;
    this.#position = 0;
  }

  /** An integer uniform in [0, 2^32). */
  uint32(): number {
    if (this.#position + 4 > CHUNK_BYTES) this.#refill();
    const word = this.#words.getUint32(this.#position, true);
    this.#position += 4;
    return word;
  }

  /** An integer uniform in [0, n), by rejection, so without bias. @throws RangeError unless n is an integer in [1, 2^32]. */
  below(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) throw new RangeError(`below: expected an integer in [1, 2^32], got ${n}.`);
    const limit = 2 ** 32 - (2 ** 32 % n);
    let word = this.uint32();
    while (word >= limit) word = this.uint32();
    return word % n;
  }

  /** A number uniform in [0, 1) with 53 random bits. */
  uniform(): number {
    const high = this.uint32() >>> 5; // 27 bits
    const low = this.uint32() >>> 6; // 26 bits
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** A standard normal number, by Marsaglia's polar method: what is rejected depends on exact arithmetic alone. */
  gaussian(): number {
    if (this.#spare !== null) {
      const spare = this.#spare;
      this.#spare = null;
      return spare;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      this.#spare = y * factor;
      return x * factor;
    }
  }

  /** +1 or -1, each with probability 1/2. */
  sign(): 1 | -1 {
    return (this.uint32() & 1) === 0 ? 1 : -1;
  }

  /** The next `n` bytes. Whole words are consumed, so numbers drawn afterwards stay aligned. */
  bytes(n: number): Uint8Array {
    const result = new Uint8Array(n);
    for (let at = 0; at < n; at += 4) {
      const word = this.uint32();
      for (let i = 0; i < 4 && at + i < n; i++) result[at + i] = word >>> (8 * i);
    }
    return result;
  }
}

/**
 * `length` bytes derived from the master key for one purpose: HKDF-SHA256 with info `"unseen/v1/" + label`.
 * @throws RangeError unless the master key has 32 bytes.
 */
export function deriveBytes(master: Uint8Array, label: string, length: number): Uint8Array {
  if (master.length !== MASTER_BYTES) throw new RangeError(`master key: expected ${MASTER_BYTES} bytes, got ${master.length}.`);
  return hkdf(sha256, master, undefined, utf8ToBytes(`unseen/v1/${label}`), length);
}

/**
 * The random stream of one label under a master key.
 *
 * @example
 * The secret order of a layer's neurons.
 * ```ts
 * const neurons = permutation(deriveRandom(master, "layer/3/neurons"), 8192);
 * ```
 * @throws RangeError unless the master key has 32 bytes.
 */
export function deriveRandom(master: Uint8Array, label: string): RandomStream {
  return new RandomStream(deriveBytes(master, label, 32));
}

/** A uniform permutation of 0..n-1: Fisher-Yates with unbiased draws. */
export function permutation(random: RandomStream, n: number): Uint32Array {
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  for (let i = n - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const swapped = order[i]!;
    order[i] = order[j]!;
    order[j] = swapped;
  }
  return order;
}
