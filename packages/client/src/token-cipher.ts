/**
 * The secret substitution of token ids: the last thing that happens to a prompt before it leaves the client,
 * and the first that happens to an answer.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";

/**
 * Substitutes plain token ids by cipher ids and back; a bijection of [0, vocabulary size).
 *
 * @example
 * ```ts
 * const cipher = new TokenCipher(vocabularyPermutation(key.secret, bundle.vocabularySize));
 * cipher.decipher(cipher.encipher([1, 42])); // [1, 42]
 * ```
 */
export class TokenCipher {
  /** Rows of the model's embedding table; may exceed the tokenizer's vocabulary. */
  readonly size: number;
  readonly #forward: Uint32Array; // (vocabulary) plain id -> cipher id
  readonly #backward: Uint32Array; // (vocabulary) cipher id -> plain id

  /**
   * @param permutation the cipher id of every plain id
   * @throws RangeError when it is not a permutation: a defect of the caller, never of a host or a user
   */
  constructor(permutation: Uint32Array) {
    this.size = permutation.length;
    this.#forward = Uint32Array.from(permutation);
    this.#backward = new Uint32Array(this.size);
    const seen = new Uint8Array(this.size);
    for (let plain = 0; plain < this.size; plain++) {
      const cipher = this.#forward[plain]!;
      if (cipher >= this.size || seen[cipher]) throw new RangeError("token permutation: expected every id below its length exactly once.");
      seen[cipher] = 1;
      this.#backward[cipher] = plain;
    }
  }

  /** Plain ids to cipher ids. @throws UnseenError TOKEN_OUT_OF_RANGE */
  encipher(ids: readonly number[]): number[] {
    return this.#substitute(ids, this.#forward, "plain");
  }

  /** Cipher ids to plain ids. @throws UnseenError TOKEN_OUT_OF_RANGE */
  decipher(ids: readonly number[]): number[] {
    return this.#substitute(ids, this.#backward, "cipher");
  }

  #substitute(ids: readonly number[], table: Uint32Array, kind: string): number[] {
    return ids.map((id, index) => {
      // `table[id]` alone would let 1.5, -1 and "__proto__" through as undefined.
      if (Number.isInteger(id) && id >= 0 && id < this.size) return table[id]!;
      // The id itself is content, so the message gives its place instead.
      throw new UnseenError("TOKEN_OUT_OF_RANGE", `${kind} token ${index}: expected an integer id below ${this.size}, got another value.`, {
        hint: "Use the bundle that was made with this model.",
      });
    });
  }
}
