/**
 * What a decoder answers to every prompt of one token, all prompts at once: with one position to look at, attention passes values
 * on as they are, and a whole vocabulary becomes a few products of matrices. `forward` of core is the reference that the tests
 * compare with.
 *
 * Shapes: vocabulary (V), hidden (d), heads (H), key-value heads (K), head size (h), neurons (m).
 * @module
 */
import { groupSize, type Architecture, type Layer } from "@unseen/core/blueprint/architecture.ts";
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { checkShapes } from "@unseen/core/blueprint/plan.ts";
import { activations } from "@unseen/core/reference/activation.ts";
import { normaliseRows, softmax } from "@unseen/core/reference/layers.ts";
import { WeightReader, type FeedForward, type LayerWeights, type NormWeights } from "@unseen/core/reference/weights.ts";
import { matrix, takeRows, type Matrix } from "../numeric/matrix.ts";
import { multiplyTransposed } from "../numeric/multiply.ts";
import { addRows, batched, mapped, rowsOf, type Batched } from "./batched.ts";
import { plain } from "./fold.ts";

/** Tokens that go through a layer together. */
const BATCH = 1024;

/** What a decoder answers to its tokens. */
export interface SingleTokenAnswers {
  readonly vocabulary: number;
  /** Logits after each of `tokens`, of each of `words` (default: all): `(tokens, words)`. */
  logits(tokens: ArrayLike<number>, words?: ArrayLike<number>): Matrix;
}

/**
 * Runs a decoder on each of its tokens alone. null where `proceed` ended it. Throws `FAMILY_*`, `CHECKPOINT_*`.
 *
 * @param proceed gets a share 0..1
 */
export async function singleTokenAnswers(model: Model, proceed: (done: number) => Promise<boolean>): Promise<SingleTokenAnswers | null> {
  const blueprint = decoderOf(model.config);
  checkShapes(model, blueprint);
  const a = blueprint.architecture;
  const weights = new WeightReader(model, a);
  const stream = embed(weights, a);
  for (const [index, layer] of a.layers.entries()) {
    const block = blockOf(weights.layer(index), layer, a);
    for (let start = 0; start < stream.rows; start += BATCH) {
      if (!(await proceed((index + start / stream.rows) / a.layers.length))) return null;
      block(rowsOf(stream, start, start + BATCH));
    }
  }
  const states = matrix(stream.rows, stream.columns, normaliseRows(stream.values, weights.finalNorm(), a.norm, a.hidden));
  const head = weights.head();
  const [table, { bias }, { finalCap }] = [plain(head), head, a];
  return {
    vocabulary: a.vocabulary,
    logits(tokens, words) {
      const logits = multiplyTransposed(takeRows(states, tokens), words ? takeRows(table, words) : table);
      if (!bias && finalCap === null) return logits;
      return mapped(logits, (value, at) => {
        const word = at % logits.columns;
        const logit = value + (bias?.[words ? (words[word] as number) : word] ?? 0);
        return finalCap === null ? logit : finalCap * Math.tanh(logit / finalCap);
      });
    },
  };
}

/** Every token at position 0: (V, d). */
function embed(weights: WeightReader, a: Architecture): Matrix {
  const { out, weight } = weights.embedding();
  const first = weights.positions()?.weight;
  return matrix(
    out,
    a.hidden,
    Float64Array.from(weight, (value, at) => value * a.embeddingScale + (first?.[at % a.hidden] ?? 0)),
  );
}

/** One layer, which adds itself to rows of the stream in place. */
function blockOf(w: LayerWeights, layer: Layer, a: Architecture): (stream: Matrix) => void {
  const normalise = (x: Matrix, norm: NormWeights | null): Matrix =>
    norm ? matrix(x.rows, x.columns, normaliseRows(x.values, norm, a.norm, a.hidden)) : x;
  const [values, output] = [batched(w.values), batched(w.output)];
  const fed = w.feedForward ? feed(w.feedForward, a) : mix(w, layer, a);
  return (stream) => {
    addRows(stream, normalise(output(forEachHead(values(normalise(stream, w.attentionNorm)), a)), w.attentionPostNorm));
    addRows(stream, normalise(fed(normalise(stream, w.feedForwardNorm)), w.feedForwardPostNorm));
  };
}

/** Each key-value head's vector for each of its query heads: (n, K·h) -> (n, H·h). */
function forEachHead(values: Matrix, a: Architecture): Matrix {
  if (a.heads === a.kvHeads) return values;
  const out = matrix(values.rows, a.heads * a.headSize);
  for (let row = 0; row < values.rows; row += 1)
    for (let head = 0; head < a.heads; head += 1) {
      const from = row * values.columns + Math.floor(head / groupSize(a)) * a.headSize;
      out.values.set(values.values.subarray(from, from + a.headSize), row * out.columns + head * a.headSize);
    }
  return out;
}

/** down(activation(gate(x)) ⊙ up(x)), or down(activation(up(x))). */
function feed(w: FeedForward, a: Architecture): Batched {
  const [gate, up, down] = [w.gate && batched(w.gate), batched(w.up), batched(w.down)];
  const activation = activations[a.activation];
  return (x) => {
    const gates = gate?.(x).values;
    return down(mapped(up(x), gates ? (value, at) => activation(gates[at] as number) * value : activation));
  };
}

/** Each token through its most probable experts, weighted by probability. */
function mix(w: LayerWeights, layer: Layer, a: Architecture): Batched {
  const { count, perToken, normalise } = layer.experts as NonNullable<Layer["experts"]>;
  const router = batched(w.router as NonNullable<LayerWeights["router"]>);
  return (x) => {
    const out = matrix(x.rows, x.columns);
    const scores = router(x); // (n, experts)
    /** For each expert its tokens and their weights. */
    const chosen: { readonly tokens: number[]; readonly shares: number[] }[] = Array.from({ length: count }, () => ({
      tokens: [],
      shares: [],
    }));
    for (let token = 0; token < x.rows; token += 1) {
      const shares = softmax(scores.values.subarray(token * count, (token + 1) * count));
      const best = [...shares.keys()].toSorted((p, q) => (shares[q] as number) - (shares[p] as number)).slice(0, perToken);
      const total = normalise ? best.reduce((sum, expert) => sum + (shares[expert] as number), 0) : 1;
      for (const expert of best) {
        chosen[expert]!.tokens.push(token);
        chosen[expert]!.shares.push((shares[expert] as number) / total);
      }
    }
    for (const [expert, { tokens, shares }] of chosen.entries()) {
      if (tokens.length === 0) continue;
      const fed = feed(w.experts[expert] as FeedForward, a)(takeRows(x, tokens));
      for (const [row, token] of tokens.entries())
        for (let k = 0; k < x.columns; k += 1)
          out.values[token * x.columns + k]! += (shares[row] as number) * (fed.values[row * x.columns + k] as number);
    }
    return out;
  };
}
