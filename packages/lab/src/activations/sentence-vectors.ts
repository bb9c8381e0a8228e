/**
 * Vectors of texts, as a retrieval database holds them: an encoder's last states, their mean over a text's positions, brought to
 * length 1. Computes what `encode` of `@unseen/core/reference/encoder.ts` does, for many texts at once; a test compares the two.
 *
 * Shapes: tokens of a batch (T), hidden (d), heads (H), head size (h), neurons (m).
 * @module
 */
import type { Encoder, TokenInput, Tower } from "@unseen/core/blueprint/encoder.ts";
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { checkShapes } from "@unseen/core/blueprint/plan.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { activations } from "@unseen/core/reference/activation.ts";
import { BLOCK_PARTS, EncoderWeights, type BlockParts } from "@unseen/core/reference/encoder-weights.ts";
import { add, normaliseRows } from "@unseen/core/reference/layers.ts";
import type { NormWeights } from "@unseen/core/reference/weights.ts";
import { matrix, rowOf, type Matrix } from "../numeric/matrix.ts";
import { applyDense, dense, type Dense } from "../weights/dense.ts";
import { softmaxInPlace } from "./softmax.ts";

/** Tokens that are run at once. */
const BATCH_TOKENS = 2048;

interface Block {
  readonly queries: Dense;
  readonly keys: Dense;
  readonly values: Dense;
  readonly output: Dense;
  readonly attentionNorm: NormWeights;
  readonly up: Dense;
  readonly down: Dense;
  readonly feedForwardNorm: NormWeights;
}

/** The tower of text whose blocks normalise after each sum, as in BERT, RoBERTa and DistilBERT; null for other encoders. */
export function bertLikeTower(model: Model): Tower | null {
  const blueprint = blueprintOf(model.config);
  if (blueprint.kind !== "encoder") return null;
  const [tower] = (blueprint.architecture as Encoder).towers;
  return tower?.input.kind === "tokens" && tower.norms === "after" && tower.distanceBuckets === null ? tower : null;
}

/** An encoder with its weights in memory. */
export class SentenceVectors {
  readonly tower: Tower;
  readonly #words: Float32Array; // (V, d)
  readonly #positions: Float32Array; // (positions, d)
  /** Of the first token type; null without types. */
  readonly #type: Float32Array | null;
  readonly #norm: NormWeights;
  readonly #blocks: readonly Block[];

  /** Throws `FAMILY_*`, among them `FAMILY_UNSUPPORTED_VALUE` for encoders of other kinds, and `CHECKPOINT_*`. */
  constructor(model: Model) {
    const tower = bertLikeTower(model);
    if (!tower)
      throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `expected an encoder of texts in the manner of BERT, got ${model.name}.`, {
        hint: "Use `encode`, which runs every encoder.",
      });
    const blueprint = blueprintOf(model.config);
    checkShapes(model, blueprint);
    const { family } = blueprint.architecture;
    const weights = new EncoderWeights(model, [`${family === "xlm-roberta" ? "roberta" : family}.`]);
    const parts = BLOCK_PARTS[family] as BlockParts;
    this.tower = tower;
    this.#words = weights.tensor("embeddings.word_embeddings.weight");
    this.#positions = weights.tensor("embeddings.position_embeddings.weight");
    this.#type = (tower.input as TokenInput).types > 0 ? weights.tensor("embeddings.token_type_embeddings.weight") : null;
    this.#norm = weights.norm("embeddings.LayerNorm");
    this.#blocks = Array.from({ length: tower.layers }, (_, index): Block => {
      const name = (part: string): string => `${parts.layer.replace("#", String(index))}.${part}`;
      const linear = (part: string): Dense => dense(weights.linear(name(part)));
      return {
        queries: linear(parts.queries),
        keys: linear(parts.keys),
        values: linear(parts.values),
        output: linear(parts.output),
        attentionNorm: weights.norm(name(parts.attentionNorm)),
        up: linear(parts.up),
        down: linear(parts.down),
        feedForwardNorm: weights.norm(name(parts.feedForwardNorm)),
      };
    });
  }

  /**
   * One vector a text: `(texts, d)`.
   *
   * @param texts ids with all special tokens in place; none empty, none longer than the model takes
   * @param proceed called often with a share 0..1; on false, there are only the rows that are done
   * @throws UnseenError `REQUEST_INVALID`, `REQUEST_TOO_LARGE`, `TOKEN_OUT_OF_RANGE`
   */
  async of(texts: readonly Uint32Array[], proceed: (done: number) => Promise<boolean> = async () => true): Promise<Matrix> {
    const out = matrix(texts.length, this.tower.hidden);
    for (let start = 0; start < texts.length;) {
      if (!(await proceed(start / texts.length))) return matrix(start, out.columns, out.values.subarray(0, start * out.columns));
      let end = start;
      for (let tokens = 0; end < texts.length && (end === start || tokens < BATCH_TOKENS); end += 1)
        tokens += (texts[end] as Uint32Array).length;
      const batch = texts.slice(start, end);
      const states = this.#run(batch);
      let row = 0;
      for (const [index, { length }] of batch.entries()) {
        const vector = rowOf(out, start + index);
        for (const last = row + length; row < last; row += 1) add(vector, rowOf(states, row));
        const size = Math.hypot(...vector);
        for (let k = 0; k < vector.length; k += 1) vector[k]! /= size;
      }
      start = end;
    }
    return out;
  }

  /** The last states of all tokens of a batch, text after text: (T, d). */
  #run(texts: readonly Uint32Array[]): Matrix {
    const { epsilon, hidden, activation } = this.tower;
    const act = activations[activation];
    const normalise = (x: Matrix, w: NormWeights): Matrix =>
      matrix(x.rows, x.columns, normaliseRows(x.values, w, { kind: "layer", epsilon }, hidden));
    let stream = normalise(this.#embed(texts), this.#norm);
    for (const block of this.#blocks) {
      const [queries, keys, values] = [block.queries, block.keys, block.values].map((part) => applyDense(part, stream)) as [
        Matrix,
        Matrix,
        Matrix,
      ];
      const attended = applyDense(block.output, attend(queries, keys, values, texts, this.tower));
      add(attended.values, stream.values);
      stream = normalise(attended, block.attentionNorm);
      const inner = applyDense(block.up, stream); // (T, m)
      for (let i = 0; i < inner.values.length; i += 1) inner.values[i] = act(inner.values[i] as number);
      const fed = applyDense(block.down, inner);
      add(fed.values, stream.values);
      stream = normalise(fed, block.feedForwardNorm);
    }
    return stream;
  }

  #embed(texts: readonly Uint32Array[]): Matrix {
    const { hidden, input } = this.tower;
    const { vocabulary, positions, padding } = input as TokenInput;
    const stream = matrix(
      texts.reduce((sum, { length }) => sum + length, 0),
      hidden,
    );
    let row = 0;
    for (const ids of texts) {
      if (ids.length === 0)
        throw new UnseenError("REQUEST_INVALID", "expected texts of at least one token, got an empty one.", { hint: "Leave it out." });
      let counted = 0;
      for (const id of ids) {
        if (id >= vocabulary) throw new UnseenError("TOKEN_OUT_OF_RANGE", `token id ${id} is outside the vocabulary of ${vocabulary}.`);
        // RoBERTa counts from the padding id on, and leaves out padding itself.
        const position = padding === null ? counted : id === padding ? padding : padding + 1 + counted;
        if (id !== padding) counted += 1;
        if (position >= positions)
          throw new UnseenError("REQUEST_TOO_LARGE", `the model has ${positions} positions, the text ${ids.length} tokens.`, {
            hint: "Give a shorter text.",
          });
        const into = rowOf(stream, row);
        for (let k = 0; k < hidden; k += 1)
          into[k] = (this.#words[id * hidden + k] as number) + (this.#positions[position * hidden + k] as number) + (this.#type?.[k] ?? 0);
        row += 1;
      }
    }
    return stream;
  }
}

/** Attention inside each text: (T, H·h). */
function attend(queries: Matrix, keys: Matrix, values: Matrix, texts: readonly Uint32Array[], { heads, headSize }: Tower): Matrix {
  const width = queries.columns;
  const mixed = matrix(queries.rows, width);
  let start = 0;
  for (const { length } of texts) {
    const scores = new Float64Array(length);
    for (let to = start; to < start + length; to += 1) {
      for (let inside = 0; inside < heads * headSize; inside += headSize) {
        for (let from = 0; from < length; from += 1) {
          const [query, key] = [to * width + inside, (start + from) * width + inside];
          let score = 0;
          for (let k = 0; k < headSize; k += 1) score += (queries.values[query + k] as number) * (keys.values[key + k] as number);
          scores[from] = score / Math.sqrt(headSize);
        }
        softmaxInPlace(scores);
        for (let from = 0; from < length; from += 1) {
          const [into, value] = [to * width + inside, (start + from) * width + inside];
          for (let k = 0; k < headSize; k += 1) mixed.values[into + k]! += (scores[from] as number) * (values.values[value + k] as number);
        }
      }
    }
    start += length;
  }
  return mixed;
}
