/**
 * What all attacks with the public model share: that they need two models, and the setting in which they must succeed.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Control, Evidence } from "../attack.ts";
import type { Weights } from "../weights/weights.ts";

/** The encrypted model and the public one that it was made from. */
export interface TwoModels {
  readonly encrypted: Weights;
  readonly base: Weights;
}

/** Why there are not two models with equally many token ids, as an end of the sentence "not run: ...", or null. */
export function missingModels({ encrypted, base }: Evidence): string | null {
  if (!encrypted) return "it needs the encrypted model";
  if (!base) return "it needs the public model";
  if (encrypted.vocabulary === base.vocabulary) return null;
  return `the encrypted model has ${encrypted.vocabulary} token ids, the public one ${base.vocabulary}`;
}

/** As {@link missingModels}, for attacks that compare the two streams coordinate by coordinate. */
export function missingStreams(evidence: Evidence): string | null {
  const { encrypted, base } = evidence;
  if (!encrypted || !base || encrypted.hidden === base.hidden) return missingModels(evidence);
  return `the encrypted model's stream has ${encrypted.hidden} dimensions, the public one's ${base.hidden}`;
}

/** As {@link missingModels}, for attacks that look inside the blocks, one by one. */
export function missingBlocks(evidence: Evidence): string | null {
  const { encrypted, base } = evidence;
  if (encrypted?.kind === "onnx" || base?.kind === "onnx") return "an ONNX graph does not name the matrices of its blocks";
  if (!encrypted || !base || encrypted.layers === base.layers) return missingModels(evidence);
  return `the encrypted model has ${encrypted.layers} layers, the public one ${base.layers}`;
}

/** Both models of evidence that has them. Throws `INTERNAL` for an attack that was run although `missing` refused. */
export function twoModels({ encrypted, base }: Evidence): TwoModels {
  if (!encrypted || !base) throw new UnseenError("INTERNAL", "an attack was run without the models that it needs.");
  return { encrypted, base };
}

/** The control of these attacks: the same model under the same key, without any noise or other defence. */
export function exactEncryption(least: number): Control {
  return {
    setting: "the exact encryption of the same model",
    least,
    judged: "distinguishableTop1",
    arrange: (evidence, { exact }) => (exact ? { ...evidence, encrypted: exact } : evidence),
  };
}
