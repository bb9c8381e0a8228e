/**
 * The models that a gateway offers: what the key holder knows of them, and where their hosts are.
 * @module
 */
import type { Bundle } from "../bundle.ts";
import type { BlindEncoder } from "../encoders/blind-encoder.ts";
import type { Engine, ModelHost } from "../engines/engine.ts";
import { BlindEngine } from "../engines/blind.ts";
import type { TokenCipher } from "../token-cipher.ts";
import type { TextTokenizer } from "../tokenizer.ts";

/** A model that continues text. */
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

/** A model that makes labels, vectors or scores of texts or pictures. */
export interface EncoderModel {
  readonly id: string;
  readonly bundle: Bundle;
  readonly tokenizer: TextTokenizer | null;
  readonly engines: readonly ModelHost[];
  readonly encoder: BlindEncoder;
  /** Tokens of one text. */
  readonly contextLength: number;
}

/** Whatever a running gateway offers. */
export type OfferedModel = ServedModel | EncoderModel;

/** Gives a model its blind session; an encoder has one. */
export function serveModel(model: GatewayModel): ServedModel;
export function serveModel(model: GatewayModel | OfferedModel): OfferedModel;
export function serveModel(model: GatewayModel | OfferedModel): OfferedModel {
  if ("encoder" in model || "blind" in model) return model;
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

/** Ends what hosts' connections keep open. */
export function closeHosts(models: readonly { readonly engines: readonly ModelHost[] }[]): void {
  for (const { engines } of models) for (const engine of engines) engine.close?.();
}

/** Asks the model's hosts who they are. @throws UnseenError BUNDLE_MISMATCH, or HOST_* when none answers. */
export function connectModel(model: OfferedModel): Promise<void> {
  return "encoder" in model ? model.encoder.connect() : model.blind.connect();
}
