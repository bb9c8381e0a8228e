/**
 * Compares an encrypted model with its plain original, on the reference implementation.
 * @module
 */
import { RandomStream } from "../algebra/random.ts";
import type { PatchInput } from "../blueprint/encoder.ts";
import { blueprintOf } from "../blueprint/families/index.ts";
import type { EncoderBlueprint } from "../blueprint/family.ts";
import { requireKey, requireVocabulary } from "../blueprint/fingerprint.ts";
import type { Model } from "../blueprint/model.ts";
import { decipherOutput, type OutputNorm } from "../blueprint/output.ts";
import { Elements, vocabularyPermutation } from "../blueprint/spaces.ts";
import { UnseenError } from "../errors.ts";
import { EncoderWeights } from "./encoder-weights.ts";
import { encode, type EncoderInput, type EncoderOutput } from "./encoder.ts";
import { forward, type Logits } from "./forward.ts";
import { softmax } from "./layers.ts";

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
 * Runs both models on the same plain ids and compares the logits token by token. Of an encoder, every row of every output
 * counts as logits; one that takes pictures is shown noise.
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
  const blueprint = blueprintOf(encrypted.config);
  requireVocabulary(manifest, blueprint.architecture);
  if (blueprint.kind === "encoder") return compareEncoders(plain, encrypted, blueprint, { secret, strength: manifest.strength }, sequences);
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

function compareEncoders(
  plain: Model,
  encrypted: Model,
  blueprint: EncoderBlueprint,
  key: ConstructorParameters<typeof Elements>[0],
  sequences: readonly (readonly number[])[],
): Fidelity {
  const { vocabulary, outputs } = blueprint;
  const cipher = vocabulary && vocabularyPermutation(key.secret, vocabulary);
  const elements = new Elements(key, encrypted.rotaryLayout);
  const expected: Logits[] = [];
  const actual: Logits[] = [];
  for (const input of encoderInputs(plain, sequences)) {
    const said = encode(plain, input);
    const enciphered = encode(encrypted, cipher && input.ids ? { ...input, ids: input.ids.map((id) => cipher[id] ?? -1) } : input);
    for (const { name, space, after } of outputs) {
      const [plainOutput, output] = [said.get(name), enciphered.get(name)];
      if (!plainOutput || !output) continue;
      const norm = after === undefined ? null : foldedNorm(plain, encrypted, after);
      expected.push(asLogits(plainOutput));
      actual.push(asLogits({ ...output, values: decipherOutput({ name, space, norm }, elements, output.values) }));
    }
  }
  return compareLogits(expected, actual);
}

const asLogits = ({ rows, columns, values }: EncoderOutput): Logits => ({ positions: rows, vocabulary: columns, values });

/** The texts, cut to the model's length and ended as CLIP expects; a picture of noise with each. */
function encoderInputs(plain: Model, sequences: readonly (readonly number[])[]): EncoderInput[] {
  const blueprint = blueprintOf(plain.config);
  if (blueprint.kind !== "encoder")
    throw new UnseenError("CHECKPOINT_WRONG_SHAPE", "the plain model is a decoder, the encrypted one an encoder.", {
      hint: "Compare an encrypted model with the model that it was made from.",
    });
  const { endOfText, maximumPositions, towers } = blueprint.architecture;
  const text = towers.some(({ input }) => input.kind === "tokens");
  const picture = towers.find(({ input }) => input.kind === "patches")?.input as PatchInput | undefined;
  const random = new RandomStream(new Uint8Array(32).fill(1));
  return (text ? sequences : sequences.slice(0, 2)).map((ids) => ({
    ...(text ? { ids: endOfText === null ? ids.slice(0, maximumPositions) : [...ids.slice(0, maximumPositions - 1), endOfText] } : {}),
    ...(picture
      ? { pixels: Float64Array.from({ length: picture.channels * picture.height * picture.width }, () => random.gaussian()) }
      : {}),
  }));
}

/** The norm that an output leaves, if encrypting folded it: then gain and bias are all ones, up to a sign. */
function foldedNorm(plain: Model, encrypted: Model, after: string): OutputNorm | null {
  const [name, base] = [after.replace(/^[a-z_]+\./, ""), after.slice(0, after.indexOf(".") + 1)];
  const [before, now] = [plain, encrypted].map((model) => new EncoderWeights(model, [base]).norm(name)) as [Norm, Norm];
  const offset = now.bias?.[0] ?? 0;
  const folded = Math.abs(offset) === 1 && now.gain.every((value) => value === 1) && now.bias?.every((value) => value === offset);
  return folded ? { gain: [...before.gain], bias: [...(before.bias ?? [])], offset } : null;
}

type Norm = ReturnType<EncoderWeights["norm"]>;

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
