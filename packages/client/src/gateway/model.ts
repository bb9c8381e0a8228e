/**
 * A model that the gateway serves: what the key holder knows of it, and where its hosts are.
 * @module
 */
import type { Bundle } from "../bundle.ts";
import type { Engine } from "../engines/engine.ts";
import { BlindEngine } from "../engines/blind.ts";
import type { TokenCipher } from "../token-cipher.ts";
import type { TextTokenizer } from "../tokenizer.ts";

export interface GatewayModel {
  /** The name by which clients ask for it. */
  readonly id: string;
  readonly bundle: Bundle;
  /** null: the model takes and gives ids alone. */
  readonly tokenizer: TextTokenizer | null;
  readonly cipher: TokenCipher;
  readonly engines: readonly Engine[];
}

/** A {@link GatewayModel} with its blind session, as one running gateway or chat holds it. */
export interface ServedModel extends GatewayModel {
  readonly blind: BlindEngine;
  /** Tokens of prompt and answer together: the model's own, as far as the hosts offer them. */
  readonly contextLength: number;
}

/** Gives a model its blind session. */
export function serveModel(model: GatewayModel): ServedModel {
  const { name, fingerprint, vocabularySize, contextLength } = model.bundle;
  const blind = new BlindEngine({ name, fingerprint, vocabularySize }, model.cipher, model.engines);
  return {
    ...model,
    blind,
    get contextLength() {
      return Math.min(contextLength, blind.contextLength);
    },
  };
}

/** Asks the model's hosts who they are. @throws UnseenError BUNDLE_MISMATCH, or HOST_* when none answers. */
export function connectModel(model: ServedModel): Promise<void> {
  return model.blind.connect();
}
