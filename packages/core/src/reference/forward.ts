/**
 * The forward pass of every decoder family, plainly: no cache, no tricks, float64 activations over the
 * stored weights. It is what `unseen verify` and the tests trust. After llama2.c's way of writing one.
 *
 * Shapes: positions (T), hidden (d), heads (H), key-value heads (K), head size (h), neurons (m).
 * @module
 */
import { groupSize, type Architecture, type Layer } from "../blueprint/architecture.ts";
import { decoderOf } from "../blueprint/families/index.ts";
import type { Model } from "../blueprint/model.ts";
import { checkShapes } from "../blueprint/plan.ts";
import { UnseenError } from "../errors.ts";
import { activations } from "./activation.ts";
import { add, apply, normaliseRows, softmax } from "./layers.ts";
import { rotate } from "./rotary.ts";
import { WeightReader, type FeedForward, type LayerWeights, type Linear, type NormWeights } from "./weights.ts";

/** The logits after every position of one sequence: `(positions, vocabulary)`. */
export interface Logits {
  readonly positions: number;
  readonly vocabulary: number;
  readonly values: Float64Array;
}

/**
 * Logits for every position of every sequence. Each layer's weights are read once and dropped again, so
 * memory is bounded by the largest layer, not by the model.
 *
 * Throws `TOKEN_OUT_OF_RANGE`, `FAMILY_*`, `CHECKPOINT_*`.
 *
 * @example
 * ```ts
 * const [logits] = forward(await openModel("story-llama"), [[0, 1, 42]]);
 * ```
 */
export function forward(model: Model, sequences: readonly (readonly number[])[]): Logits[] {
  const blueprint = decoderOf(model.config);
  checkShapes(model, blueprint);
  const a = blueprint.architecture;
  const weights = new WeightReader(model, a);
  const embedding = weights.embedding();
  const learned = weights.positions();
  const streams = sequences.map((ids) => embed(ids, embedding, learned, a)); // (T, d)
  for (const [index, layer] of a.layers.entries()) {
    const layerWeights = weights.layer(index);
    for (const stream of streams) block(stream, layerWeights, layer, index, a, model.rotaryLayout);
  }
  const norm = weights.finalNorm();
  const head = a.tied ? embedding : weights.head();
  return streams.map((stream) => {
    const values = apply(head, normalise(stream, norm, a)); // (T, vocabulary)
    return { positions: stream.length / a.hidden, vocabulary: head.out, values: cap(values, a.finalCap) };
  });
}

/** The hidden stream (T, d) of ids that stand from position `first` on. Throws `TOKEN_OUT_OF_RANGE`, `REQUEST_TOO_LARGE`. */
export function embed(ids: readonly number[], embedding: Linear, learned: Linear | null, a: Architecture, first = 0): Float64Array {
  const stream = new Float64Array(ids.length * a.hidden);
  for (const [index, id] of ids.entries()) {
    const position = first + index;
    if (!Number.isInteger(id) || id < 0 || id >= embedding.out)
      throw new UnseenError("TOKEN_OUT_OF_RANGE", `token id ${id} is outside the vocabulary of ${embedding.out}.`);
    if (learned && position >= learned.out)
      throw new UnseenError("REQUEST_TOO_LARGE", `the model has ${learned.out} positions, the text ${first + ids.length} tokens.`);
    for (let k = 0; k < a.hidden; k += 1) {
      const token = (embedding.weight[id * a.hidden + k] as number) * a.embeddingScale;
      stream[index * a.hidden + k] = token + (learned?.weight[position * a.hidden + k] ?? 0);
    }
  }
  return stream;
}

/** One layer, added to `stream` in place. */
function block(stream: Float64Array, w: LayerWeights, layer: Layer, index: number, a: Architecture, layout: Model["rotaryLayout"]): void {
  const attended = attend(normalise(stream, w.attentionNorm, a), w, layer, index, a, layout);
  add(stream, w.attentionPostNorm ? normalise(attended, w.attentionPostNorm, a) : attended);
  const inner = normalise(stream, w.feedForwardNorm, a);
  const fed = w.feedForward ? feed(inner, w.feedForward, a) : mix(inner, w, layer, a);
  add(stream, w.feedForwardPostNorm ? normalise(fed, w.feedForwardPostNorm, a) : fed);
}

/** Causal attention with grouped queries: (T, d) -> (T, d). */
function attend(
  x: Float64Array,
  w: LayerWeights,
  layer: Layer,
  index: number,
  a: Architecture,
  layout: Model["rotaryLayout"],
): Float64Array {
  const positions = x.length / a.hidden;
  const size = a.headSize;
  const queries = apply(w.queries, x); // (T, H·h)
  const keys = apply(w.keys, x); // (T, K·h)
  const values = apply(w.values, x); // (T, K·h)
  if (w.queryNorm) normaliseHeads(queries, w.queryNorm, a);
  if (w.keyNorm) normaliseHeads(keys, w.keyNorm, a);
  if (layer.rope) {
    rotate(queries, { positions, heads: a.heads, headSize: size }, layer.rope, layout);
    rotate(keys, { positions, heads: a.kvHeads, headSize: size }, layer.rope, layout);
  }
  return apply(w.output, attendHeads(queries, keys, values, index, a));
}

/**
 * Every head's mixture of values: (T, H·h), for queries (T, H·h) that stand from position `before` on, and keys and values
 * (at least before + T, K·h).
 */
export function attendHeads(
  queries: Float64Array,
  keys: Float64Array,
  values: Float64Array,
  index: number,
  a: Architecture,
  before = 0,
): Float64Array {
  const size = a.headSize;
  const positions = queries.length / (a.heads * size);
  const { window } = a.layers[index] as Layer;
  const scale = a.attentionScale / (a.scaleByLayer ? index + 1 : 1);
  const mixed = new Float64Array(queries.length); // (T, H·h)
  for (let head = 0; head < a.heads; head += 1) {
    const kvHead = Math.floor(head / groupSize(a));
    for (let to = 0; to < positions; to += 1) {
      const last = before + to;
      const first = window === null ? 0 : Math.max(0, last - window + 1);
      const scores = new Float64Array(last - first + 1);
      for (let from = first; from <= last; from += 1) {
        let score = 0;
        for (let k = 0; k < size; k += 1)
          score += (queries[(to * a.heads + head) * size + k] as number) * (keys[(from * a.kvHeads + kvHead) * size + k] as number);
        scores[from - first] = score * scale;
      }
      const shares = softmax(cap(scores, a.attentionCap));
      for (let from = first; from <= last; from += 1) {
        const share = shares[from - first] as number;
        for (let k = 0; k < size; k += 1)
          mixed[(to * a.heads + head) * size + k]! += share * (values[(from * a.kvHeads + kvHead) * size + k] as number);
      }
    }
  }
  return mixed;
}

/** down(activation(gate(x)) ⊙ up(x)), or down(activation(up(x))). */
function feed(x: Float64Array, w: FeedForward, a: Architecture): Float64Array {
  const activation = activations[a.activation];
  const up = apply(w.up, x); // (T, m)
  const gate = w.gate ? apply(w.gate, x) : null;
  for (let i = 0; i < up.length; i += 1) up[i] = gate ? activation(gate[i] as number) * (up[i] as number) : activation(up[i] as number);
  return apply(w.down, up);
}

/** Each position through its most probable experts, weighted by probability. */
function mix(x: Float64Array, w: LayerWeights, layer: Layer, a: Architecture): Float64Array {
  const { experts } = layer;
  if (!experts || !w.router) throw new UnseenError("INTERNAL", "a mixture layer without experts.");
  const out = new Float64Array(x.length);
  const scores = apply(w.router, x); // (T, experts)
  for (let position = 0; position < x.length / a.hidden; position += 1) {
    const shares = softmax(scores.subarray(position * experts.count, (position + 1) * experts.count));
    const chosen = [...shares.keys()].toSorted((p, q) => (shares[q] as number) - (shares[p] as number)).slice(0, experts.perToken);
    const total = experts.normalise ? chosen.reduce((sum, expert) => sum + (shares[expert] as number), 0) : 1;
    const row = x.subarray(position * a.hidden, (position + 1) * a.hidden);
    for (const expert of chosen) {
      const share = (shares[expert] as number) / total;
      const fed = feed(row, w.experts[expert] as FeedForward, a);
      for (let k = 0; k < a.hidden; k += 1) out[position * a.hidden + k]! += share * (fed[k] as number);
    }
  }
  return out;
}

/** RMSNorm (1910.07467) or LayerNorm (1607.06450) of every row of (T, d). */
export function normalise(x: Float64Array, w: NormWeights, a: Architecture): Float64Array {
  return normaliseRows(x, w, a.norm, a.hidden);
}

/** RMSNorm of every head, in place. */
export function normaliseHeads(x: Float64Array, w: NormWeights, a: Architecture): void {
  x.set(normaliseRows(x, w, a.norm, a.headSize));
}

/** cap · tanh(x / cap), in place; Gemma 2's soft-capping. */
export function cap(x: Float64Array, limit: number | null): Float64Array {
  if (limit !== null) for (let i = 0; i < x.length; i += 1) x[i] = limit * Math.tanh((x[i] as number) / limit);
  return x;
}
