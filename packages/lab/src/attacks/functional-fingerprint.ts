/**
 * The attack that no exact encryption of a public model survives: both models are run on each token alone, and tokens with equal
 * answers are the same token. It looks at no weight, so no key that leaves the model exact can hide from it.
 * @module
 */
import type { Attack } from "../attack.ts";
import { Guess } from "../guess.ts";
import { classesOfRows } from "../numeric/nearest.ts";
import { matchLogits } from "./logit-fingerprint.ts";
import { guessOf } from "./pairing.ts";
import { matchStates } from "./state-fingerprint.ts";
import { roundingBetween } from "./storage-rounding.ts";
import { exactEncryption, missingModels, missingStreams, twoModels } from "./two-models.ts";

/** Numbers of the states of all tokens; two gigabytes. */
const MAXIMUM_STATES = 2 ** 28;
/** Errors of weights add up over the layers. */
const PROPAGATION = 2;

export const functionalFingerprint: Attack = {
  name: "functional-fingerprint",
  title: "Runs both models on every one-token prompt and pairs the prompts whose sorted answers agree.",
  tier: "T2",
  knowledge: "encrypted weights, public model",
  source: "exactness itself: an encrypted model gives the plain one's answers in another order",
  missing(evidence) {
    const { encrypted, base } = evidence;
    // Decoders are compared by their answers, encoders by their streams.
    const reason = base?.kind === "encoder" ? missingStreams(evidence) : missingModels(evidence);
    if (reason !== null || !encrypted || !base) return reason;
    if (!encrypted.model || !base.model) return "it runs the models itself, which it can do with safetensors and GGUF and not with ONNX";
    if (encrypted.kind !== base.kind) return `the encrypted model is ${a(encrypted.kind)}, the public one ${a(base.kind)}`;
    if (Math.max(encrypted.hidden, base.hidden) * evidence.vocabulary > MAXIMUM_STATES)
      return "its vocabulary and its stream are too large to hold the states of all tokens";
    return null;
  },
  async run(evidence, context) {
    const models = twoModels(evidence);
    const found = await (models.base.kind === "decoder" ? matchLogits(models, context) : matchStates(models, context));
    if (!found) return { guess: new Guess(evidence.vocabulary), remark: "The time did not suffice to run both models on every token." };
    return { guess: guessOf(found.neighbours), classes: classesOfRows(found.features, PROPAGATION * roundingBetween(models)) };
  },
  control: exactEncryption(0.95),
};

const a = (kind: string): string => `${/^[aeiou]/.test(kind) ? "an" : "a"} ${kind}`;
