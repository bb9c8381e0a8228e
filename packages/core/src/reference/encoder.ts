/**
 * The forward pass of every encoder family, plainly: one input at a time, float64 activations over the stored weights.
 * It is what the tests trust, and agrees with Python's `transformers` (tests/interop).
 *
 * Shapes: positions (T), hidden (d), heads (H), head size (h), neurons (m).
 * @module
 */
import { blueprintOf } from "../blueprint/families/index.ts";
import type { Encoder, PatchInput, TokenInput, Tower } from "../blueprint/encoder.ts";
import type { Model } from "../blueprint/model.ts";
import { checkShapes } from "../blueprint/plan.ts";
import { UnseenError } from "../errors.ts";
import { activations } from "./activation.ts";
import { BLOCK_PARTS, EncoderWeights, type BlockParts } from "./encoder-weights.ts";
import { add, apply, normaliseRows, softmax, type NormKind } from "./layers.ts";
import type { Linear, NormWeights } from "./weights.ts";

/** What one run takes: ids for towers of text, pixels for towers of pictures. */
export interface EncoderInput {
  readonly ids?: readonly number[];
  /** Token types; all 0 unless given. */
  readonly types?: readonly number[];
  /** 0 hides a position from all others; all 1 unless given. */
  readonly mask?: readonly number[];
  /** (channels, height, width), preprocessed. */
  readonly pixels?: Float64Array;
}

/** Numbers of one output: `(rows, columns)`. */
export interface EncoderOutput {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

/**
 * The outputs of one run, by the names that `transformers` gives them.
 *
 * Throws `TOKEN_OUT_OF_RANGE`, `REQUEST_TOO_LARGE`, `REQUEST_INVALID`, `FAMILY_*`, `CHECKPOINT_*`.
 *
 * @example
 * ```ts
 * const hidden = encode(await openModel("sentence-encoder"), { ids: [101, 7592, 102] }).get("last_hidden_state");
 * ```
 */
export function encode(model: Model, input: EncoderInput): ReadonlyMap<string, EncoderOutput> {
  const blueprint = blueprintOf(model.config);
  if (blueprint.kind !== "encoder")
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `family ${blueprint.architecture.family} is a decoder, and this needs an encoder.`, {
      hint: "Decoders are run by `forward`.",
    });
  checkShapes(model, blueprint);
  const { architecture } = blueprint;
  return architecture.family.startsWith("clip") ? encodeClip(model, architecture, input) : encodeOne(model, architecture, input);
}

/** BERT and its kin, and ViT: one tower and a head. */
function encodeOne(model: Model, encoder: Encoder, input: EncoderInput): Map<string, EncoderOutput> {
  const { family, head } = encoder;
  const tower = encoder.towers[0] as Tower;
  const weights = new EncoderWeights(model, [`${family === "xlm-roberta" ? "roberta" : family}.`]);
  const norm: NormKind = { kind: "layer", epsilon: tower.epsilon };
  const tokens = tower.input.kind === "tokens";
  const start = tokens ? embedTokens(weights, tower, input, BERT_TOKENS) : embedPatches(weights, tower, input, VIT_PATCHES);
  const stream = tokens ? normaliseRows(start, weights.norm("embeddings.LayerNorm"), norm, tower.hidden) : start;
  runBlocks(stream, weights, tower, BLOCK_PARTS[family] as BlockParts, input.mask);
  const hidden = tokens ? stream : normaliseRows(stream, weights.norm("layernorm"), norm, tower.hidden);
  const first = hidden.subarray(0, tower.hidden);
  const pooled = (name: string, from: Float64Array): Float64Array =>
    apply(weights.linear(name), from).map(activations[encoder.poolerActivation]);

  switch (head) {
    case "none": {
      const outputs = new Map([["last_hidden_state", shaped(hidden, tower.hidden)]]);
      if (weights.has("pooler.dense.weight")) outputs.set("pooler_output", row(pooled("pooler.dense", first)));
      return outputs;
    }
    case "token-classes":
      return logits(apply(weights.linear("classifier"), hidden), encoder.classes);
    case "sequence-classes": {
      if (family === "vit") return logits(apply(weights.linear("classifier"), first), encoder.classes);
      if (family === "bert") return logits(apply(weights.linear("classifier"), pooled("pooler.dense", first)), encoder.classes);
      const distil = family === "distilbert";
      const inner = pooled(distil ? "pre_classifier" : "classifier.dense", first);
      return logits(apply(weights.linear(distil ? "classifier" : "classifier.out_proj"), inner), encoder.classes);
    }
    case "masked":
      return logits(maskedLogits(weights, encoder, tower, hidden), encoder.vocabulary);
    case "projection":
      throw new UnseenError("INTERNAL", "a family without a projection.");
  }
}

/** What the masked head of each family is called: dense layer, norm, word table, its bias. */
const MASKED: Readonly<Record<string, readonly [string, string, string, string]>> = {
  bert: ["cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder", "cls.predictions.bias"],
  distilbert: ["vocab_transform", "vocab_layer_norm", "vocab_projector", "vocab_projector.bias"],
  roberta: ["lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias"],
};

function maskedLogits(weights: EncoderWeights, encoder: Encoder, tower: Tower, hidden: Float64Array): Float64Array {
  const [dense, norm, decoder, bias] = (MASKED[encoder.family] ?? MASKED["roberta"]) as readonly [string, string, string, string];
  // BERT's head has the blocks' activation, RoBERTa's and MPNet's always GELU.
  const activation = encoder.family === "bert" || encoder.family === "distilbert" ? tower.activation : "gelu";
  const inner = apply(weights.linear(dense), hidden).map(activations[activation]);
  const normed = normaliseRows(inner, weights.norm(norm), { kind: "layer", epsilon: tower.epsilon }, tower.hidden);
  const own = weights.has(`${decoder}.weight`);
  const table = weights.linear(own ? decoder : "embeddings.word_embeddings");
  return apply({ ...table, bias: weights.tensor(bias) }, normed);
}

/** CLIP's towers, one or both. */
function encodeClip(model: Model, encoder: Encoder, input: EncoderInput): Map<string, EncoderOutput> {
  const outputs = new Map<string, EncoderOutput>();
  const both = encoder.towers.length === 2;
  const whole = new EncoderWeights(model, []);
  for (const tower of encoder.towers) {
    const text = tower.input.kind === "tokens";
    const weights = new EncoderWeights(model, [text ? "text_model." : "vision_model."]);
    const norm: NormKind = { kind: "layer", epsilon: tower.epsilon };
    const start = text ? embedTokens(weights, tower, input, CLIP_TOKENS) : embedPatches(weights, tower, input, CLIP_PATCHES);
    const stream = text ? start : normaliseRows(start, weights.norm("pre_layrnorm"), norm, tower.hidden);
    runBlocks(stream, weights, tower, BLOCK_PARTS["clip"] as BlockParts, text ? input.mask : undefined);
    const hidden = text ? normaliseRows(stream, weights.norm("final_layer_norm"), norm, tower.hidden) : stream;
    const at = text ? endPosition(model, encoder, input.ids ?? []) : 0;
    const vector = hidden.subarray(at * tower.hidden, (at + 1) * tower.hidden);
    const pooled = text ? vector : normaliseRows(vector, weights.norm("post_layernorm"), norm, tower.hidden);
    if (encoder.head === "projection") {
      const embeds = apply(whole.linear(text ? "text_projection" : "visual_projection"), pooled);
      outputs.set(text ? "text_embeds" : "image_embeds", row(both ? unit(embeds) : embeds));
    } else outputs.set("pooler_output", row(pooled));
    if (!both) outputs.set("last_hidden_state", shaped(hidden, tower.hidden));
  }
  return outputs;
}

/** Where CLIP takes a text's vector: at the first end token; with the id 2 in an old configuration, at the highest id. */
function endPosition(model: Model, encoder: Encoder, ids: readonly number[]): number {
  const text = (model.config["text_config_dict"] ?? model.config["text_config"] ?? model.config) as { readonly eos_token_id?: unknown };
  if (text.eos_token_id === 2) return ids.indexOf(Math.max(...ids));
  return Math.max(0, ids.indexOf(encoder.endOfText ?? -1));
}

/** Names of the tables of an input. */
interface TokenNames {
  readonly words: string;
  readonly positions: string;
  readonly types: string;
}

const BERT_TOKENS: TokenNames = {
  words: "embeddings.word_embeddings",
  positions: "embeddings.position_embeddings",
  types: "embeddings.token_type_embeddings",
};
const CLIP_TOKENS: TokenNames = { words: "embeddings.token_embedding", positions: "embeddings.position_embedding", types: "" };

/** The sum of a word's, a position's and a type's row: (T, d). */
function embedTokens(weights: EncoderWeights, tower: Tower, { ids, types }: EncoderInput, names: TokenNames): Float64Array {
  if (!ids || ids.length === 0)
    throw new UnseenError("REQUEST_INVALID", "a model of texts needs ids.", { hint: "Give at least one token id." });
  const input = tower.input as TokenInput;
  const words = weights.linear(names.words);
  const positions = weights.linear(names.positions);
  const typeTable = input.types > 0 ? weights.linear(names.types) : null;
  const stream = new Float64Array(ids.length * tower.hidden);
  const addRow = (place: number, table: Linear, index: number): void => {
    for (let k = 0; k < tower.hidden; k += 1) stream[place * tower.hidden + k]! += table.weight[index * tower.hidden + k] as number;
  };
  for (const [place, position] of numberPositions(ids, input.padding).entries()) {
    const id = ids[place] as number;
    if (!Number.isInteger(id) || id < 0 || id >= words.out)
      throw new UnseenError("TOKEN_OUT_OF_RANGE", `token id ${id} is outside the vocabulary of ${words.out}.`);
    if (position >= positions.out)
      throw new UnseenError("REQUEST_TOO_LARGE", `the model has ${positions.out} positions, the text ${ids.length} tokens.`);
    addRow(place, words, id);
    addRow(place, positions, position);
    if (typeTable) addRow(place, typeTable, types?.[place] ?? 0);
  }
  return stream;
}

/** 0, 1, 2, ...; with a padding id, from the number behind it on, and that number itself for padding. */
function numberPositions(ids: readonly number[], padding: number | null): number[] {
  let count = 0;
  return ids.map((id, place) => {
    if (padding === null) return place;
    if (id === padding) return padding;
    count += 1;
    return padding + count;
  });
}

interface PatchNames {
  readonly projection: string;
  readonly first: string;
  readonly positions: string;
}

const VIT_PATCHES: PatchNames = {
  projection: "embeddings.patch_embeddings.projection",
  first: "embeddings.cls_token",
  positions: "embeddings.position_embeddings",
};
const CLIP_PATCHES: PatchNames = {
  projection: "embeddings.patch_embedding",
  first: "embeddings.class_embedding",
  positions: "embeddings.position_embedding.weight",
};

/** A class token, then the projected patches row by row, each with its position: (1 + patches, d). */
function embedPatches(weights: EncoderWeights, tower: Tower, { pixels }: EncoderInput, names: PatchNames): Float64Array {
  const { channels, height, width, patchHeight, patchWidth } = tower.input as PatchInput;
  if (pixels?.length !== channels * height * width)
    throw new UnseenError("REQUEST_INVALID", `a model of pictures needs ${channels} x ${height} x ${width} pixels.`, {
      hint: "Preprocess the picture to that size.",
    });
  const [down, across] = [Math.floor(height / patchHeight), Math.floor(width / patchWidth)];
  const size = channels * patchHeight * patchWidth;
  const patches = new Float64Array(down * across * size); // (patches, channels·height·width)
  for (let patch = 0; patch < down * across; patch += 1) {
    const [top, left] = [Math.floor(patch / across) * patchHeight, (patch % across) * patchWidth];
    for (let i = 0; i < size; i += 1) {
      const channel = Math.floor(i / (patchHeight * patchWidth));
      const y = top + (Math.floor(i / patchWidth) % patchHeight);
      patches[patch * size + i] = pixels[(channel * height + y) * width + left + (i % patchWidth)] as number;
    }
  }
  const stream = Float64Array.from(weights.tensor(names.positions));
  add(stream.subarray(0, tower.hidden), Float64Array.from(weights.tensor(names.first)));
  add(stream.subarray(tower.hidden), apply(weights.linear(names.projection), patches));
  return stream;
}

/** All blocks, in place. */
function runBlocks(stream: Float64Array, weights: EncoderWeights, tower: Tower, parts: BlockParts, mask: EncoderInput["mask"]): void {
  const norm: NormKind = { kind: "layer", epsilon: tower.epsilon };
  const normalise = (x: Float64Array, w: NormWeights): Float64Array => normaliseRows(x, w, norm, tower.hidden);
  const bias = tower.distanceBuckets === null ? null : weights.tensor("encoder.relative_attention_bias.weight"); // (buckets, H)
  for (let index = 0; index < tower.layers; index += 1) {
    const name = (part: string): string => `${parts.layer.replace("#", String(index))}.${part}`;
    const [queries, keys, values, output] = [parts.queries, parts.keys, parts.values, parts.output].map((part) =>
      weights.linear(name(part)),
    ) as [Linear, Linear, Linear, Linear];
    const [up, down] = [weights.linear(name(parts.up)), weights.linear(name(parts.down))];
    const feed = (x: Float64Array): Float64Array => apply(down, apply(up, x).map(activations[tower.activation]));
    const attentionNorm = weights.norm(name(parts.attentionNorm));
    const feedForwardNorm = weights.norm(name(parts.feedForwardNorm));
    const attend = (x: Float64Array): Float64Array =>
      apply(output, mix(apply(queries, x), apply(keys, x), apply(values, x), tower, bias, mask));
    if (tower.norms === "before") {
      add(stream, attend(normalise(stream, attentionNorm)));
      add(stream, feed(normalise(stream, feedForwardNorm)));
    } else {
      add(stream, attend(stream));
      stream.set(normalise(stream, attentionNorm));
      add(stream, feed(stream));
      stream.set(normalise(stream, feedForwardNorm));
    }
  }
}

/** Attention of every head: (T, H·h) each -> (T, H·h). */
export function mix(
  queries: Float64Array,
  keys: Float64Array,
  values: Float64Array,
  { heads, headSize, hidden, causal }: Tower,
  bias: Float32Array | null,
  mask: EncoderInput["mask"],
): Float64Array {
  const positions = queries.length / hidden;
  const mixed = new Float64Array(queries.length);
  for (let head = 0; head < heads; head += 1) {
    for (let to = 0; to < positions; to += 1) {
      const scores = new Float64Array(causal ? to + 1 : positions);
      for (let from = 0; from < scores.length; from += 1) {
        let score = 0;
        for (let k = head * headSize; k < (head + 1) * headSize; k += 1)
          score += (queries[to * hidden + k] as number) * (keys[from * hidden + k] as number);
        scores[from] = score / Math.sqrt(headSize) + (bias ? (bias[distanceBucket(from - to) * heads + head] as number) : 0);
        if (mask?.[from] === 0) scores[from] = -1e300;
      }
      const shares = softmax(scores);
      for (const [from, share] of shares.entries())
        for (let k = head * headSize; k < (head + 1) * headSize; k += 1)
          mixed[to * hidden + k]! += share * (values[from * hidden + k] as number);
    }
  }
  return mixed;
}

/** Buckets per direction of T5 and MPNet (1910.10683): half of them for single steps, the rest logarithmic up to 128. */
const BUCKETS = 16;
const FARTHEST = 128;

/** The row of the bias table for a key that lies `distance` behind (negative) or before (positive) its query. */
function distanceBucket(distance: number): number {
  const steps = Math.abs(distance);
  const exact = BUCKETS / 2;
  // float32, as transformers computes it, because a bucket's edge is a rounding away.
  const far = Math.fround(Math.fround(Math.fround(Math.log(steps / exact)) / Math.log(FARTHEST / exact)) * (BUCKETS - exact));
  const bucket = steps < exact ? steps : Math.min(exact + Math.floor(far), BUCKETS - 1);
  return distance > 0 ? BUCKETS + bucket : bucket;
}

/** Brought to length 1. */
function unit(vector: Float64Array): Float64Array {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

const row = (values: Float64Array): EncoderOutput => ({ rows: 1, columns: values.length, values });
const shaped = (values: Float64Array, columns: number): EncoderOutput => ({ rows: values.length / columns, columns, values });
const logits = (values: Float64Array, columns: number): Map<string, EncoderOutput> => new Map([["logits", shaped(values, columns)]]);
