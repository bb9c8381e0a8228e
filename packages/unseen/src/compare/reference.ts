/**
 * The plain model in 32-bit floating point, which every protection is compared with: it is run once.
 * @module
 */
import type { Model } from "@unseen/core/blueprint/model.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { forward, type Logits } from "@unseen/core/reference/forward.ts";
import { compareLogits, decipherLogits } from "@unseen/core/reference/verify.ts";
import type { FidelityRow } from "@unseen/web/protocol/library.ts";

export class Reference {
  readonly #expected: readonly Logits[];
  readonly #cipher: Uint32Array;
  /** What it was run on, as cipher ids. */
  readonly sequences: readonly (readonly number[])[];

  /** @param sequences - Plain ids. @throws UnseenError `TOKEN_OUT_OF_RANGE`, `FAMILY_*`, `CHECKPOINT_*` */
  constructor(plain: Model, vocabulary: number, secret: Uint8Array, sequences: readonly (readonly number[])[]) {
    this.#cipher = vocabularyPermutation(secret, vocabulary);
    this.#expected = forward(plain, sequences);
    this.sequences = sequences.map((ids) => this.encipher(ids));
  }

  /** From plain ids to cipher ids. */
  encipher(ids: readonly number[]): number[] {
    return ids.map((id) => this.#cipher[id]!);
  }

  /** How far logits are from the plain model's: those after every position of {@link sequences}, over cipher ids. */
  compare(logits: readonly Logits[]): FidelityRow {
    const { greedyAgreement, meanKl, maxLogitDifference, tokens } = compareLogits(
      this.#expected,
      logits.map((row) => decipherLogits(row, this.#cipher)),
    );
    return { greedyAgreement, meanKl, maxLogitDifference, tokens };
  }

  /** Runs an encrypted model under the same key. @throws as the constructor */
  compareModel(encrypted: Model): FidelityRow {
    return this.compare(forward(encrypted, this.sequences));
  }
}
