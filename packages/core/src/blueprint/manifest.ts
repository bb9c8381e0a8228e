/**
 * What an encrypted model says about itself in public: `unseen.json`, or the `unseen.*` keys of a GGUF.
 * @module
 */
import { UnseenError } from "../errors.ts";
import { MAXIMUM_DIMENSION, type JsonObject } from "./config.ts";

/** What an encrypted model says about itself in public. */
export interface Manifest {
  readonly scheme: "unseen-ee";
  readonly version: 1;
  /** 32 hexadecimal digits; names this encryption of this model. */
  readonly fingerprint: string;
  readonly strength: "permute" | "rotate";
  readonly family: string;
  /** Token ids; 0 for a model that takes none. */
  /** 0 for a model without token ids. */
  readonly vocabularySize: number;
}

/** Checks an `unseen.json`; null for null. Throws `CHECKPOINT_MALFORMED`. */
export function parseManifest(value: JsonObject | null): Manifest | null {
  if (!value) return null;
  const { scheme, version, fingerprint, strength, family, vocabularySize } = value;
  const valid =
    scheme === "unseen-ee" &&
    version === 1 &&
    typeof fingerprint === "string" &&
    /^[0-9a-f]{32}$/.test(fingerprint) &&
    (strength === "permute" || strength === "rotate") &&
    typeof family === "string" &&
    typeof vocabularySize === "number" &&
    Number.isSafeInteger(vocabularySize) &&
    vocabularySize >= 0 &&
    vocabularySize <= MAXIMUM_DIMENSION;
  if (!valid) {
    throw new UnseenError("CHECKPOINT_MALFORMED", "unseen.json is not a manifest of this version.", {
      hint: "Encrypt the model again with this version of Unseen.",
    });
  }
  return { scheme, version, fingerprint, strength, family, vocabularySize };
}
