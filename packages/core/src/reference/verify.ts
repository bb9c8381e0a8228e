/**
 * Compares an encrypted model with its plain original, on the reference implementation.
 * @module
 */
import { blueprintOf } from "../blueprint/families/index.ts";
import { requireKey, requireVocabulary } from "../blueprint/fingerprint.ts";
import type { Model } from "../blueprint/model.ts";
import { vocabularyPermutation } from "../blueprint/spaces.ts";
import { UnseenError } from "../errors.ts";
import { forward, softmax, type Logits } from "./forward.ts";

export interface Fidelity {
  /** Largest absolute difference of any logit at any position. */
  readonly maxLogitDifference: number;
  /** Mean Kullback-Leibler divergence, plain from encrypted, in nats per position. */
  readonly meanKl: number;
  /** Share of positions where both prefer the same next token, 0..1. */
  readonly greedyAgreement: number;
  /** Positions compared. */
  readonly tokens: number;
}

/**
 * Runs both models on the same plain ids and compares the logits token by token.
 *
 * @param sequences plain token ids; each sequence is run from an empty context
 * @throws UnseenError `KEY_WRONG`, `NOT_ENCRYPTED`, `CHECKPOINT_WRONG_SHAPE`, `TOKEN_OUT_OF_RANGE`
 */
export function compareModels(plain: Model, encrypted: Model, secret: Uint8Array, sequences: readonly (readonly number[])[]): Fidelity {
  const { manifest } = encrypted;
  if (!manifest)
    throw new UnseenError("NOT_ENCRYPTED", `${encrypted.path} is not an encrypted model.`, {
      hint: "Give the plain model first, the encrypted one second.",
    });
  requireKey(manifest, secret);
  requireVocabulary(manifest, blueprintOf(encrypted.config).architecture);
  const cipher = vocabularyPermutation(secret, manifest.vocabularySize);
  const expected = forward(plain, sequences);
  const actual = forward(
    encrypted,
    sequences.map((ids) => ids.map((id) => cipher[id] ?? -1)),
  );
  return compareLogits(
    expected,
    actual.map((logits) => decipherLogits(logits, cipher)),
  );
}

/** Logits over cipher ids, in the order of plain ids. */
export function decipherLogits(logits: Logits, cipher: Uint32Array): Logits {
  const { positions, vocabulary, values } = logits;
  const plain = new Float64Array(values.length);
  for (let position = 0; position < positions; position += 1) {
    for (let id = 0; id < vocabulary; id += 1)
      plain[position * vocabulary + id] = values[position * vocabulary + (cipher[id] as number)] as number;
  }
  return { positions, vocabulary, values: plain };
}

/** The three figures over pairs of logits of the same shape. Throws `CHECKPOINT_WRONG_SHAPE`, `CHECKPOINT_NON_FINITE`; `USAGE` for no positions at all. */
export function compareLogits(expected: readonly Logits[], actual: readonly Logits[]): Fidelity {
  let maxLogitDifference = 0;
  let divergence = 0;
  let agreements = 0;
  let tokens = 0;
  for (const [index, plain] of expected.entries()) {
    const other = actual[index];
    if (!other || other.values.length !== plain.values.length) {
      throw new UnseenError("CHECKPOINT_WRONG_SHAPE", "the two models do not have the same vocabulary.", {
        hint: "Compare an encrypted model with the model that it was made from.",
      });
    }
    for (let position = 0; position < plain.positions; position += 1) {
      const from = position * plain.vocabulary;
      const p = plain.values.subarray(from, from + plain.vocabulary);
      const q = other.values.subarray(from, from + plain.vocabulary);
      if (!p.every(Number.isFinite) || !q.every(Number.isFinite))
        throw new UnseenError("CHECKPOINT_NON_FINITE", `a logit at position ${position} is not a number.`, {
          hint: "One of the two models is damaged: encrypt it again.",
        });
      for (const [id, value] of p.entries()) maxLogitDifference = Math.max(maxLogitDifference, Math.abs(value - (q[id] as number)));
      divergence += kullbackLeibler(softmax(p), softmax(q));
      agreements += argmax(p) === argmax(q) ? 1 : 0;
      tokens += 1;
    }
  }
  if (tokens === 0)
    throw new UnseenError("USAGE", "there is nothing to compare: no prompt has a token.", { hint: "Give text to compare on." });
  return { maxLogitDifference, meanKl: divergence / tokens, greedyAgreement: agreements / tokens, tokens };
}

function kullbackLeibler(p: Float64Array, q: Float64Array): number {
  let sum = 0;
  for (const [id, share] of p.entries()) if (share > 0) sum += share * Math.log(share / Math.max(q[id] as number, Number.MIN_VALUE));
  return Math.max(sum, 0);
}

/** The index of the largest entry; the first of several. */
export function argmax(values: Float64Array): number {
  let best = 0;
  for (let index = 1; index < values.length; index += 1) if ((values[index] as number) > (values[best] as number)) best = index;
  return best;
}
