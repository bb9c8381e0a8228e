/**
 * What an encoder makes of every text of one token, all texts at once, as in `single-token.ts`. `encode` of core is the reference
 * that the tests compare with.
 * @module
 */
import type { TokenInput, Tower } from "@unseen/core/blueprint/encoder.ts";
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { checkShapes } from "@unseen/core/blueprint/plan.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { activations } from "@unseen/core/reference/activation.ts";
import { BLOCK_PARTS, type BlockParts, type EncoderWeights } from "@unseen/core/reference/encoder-weights.ts";
import { normaliseRows } from "@unseen/core/reference/layers.ts";
import type { NormWeights } from "@unseen/core/reference/weights.ts";
import { matrix, type Matrix } from "../numeric/matrix.ts";
import { textWeights } from "./encoder-matrices.ts";
import { addRows, batched, mapped, rowsOf, type Batched } from "./batched.ts";

/** Tokens that go through a layer together. */
const BATCH = 1024;

/** States of all tokens. */
export interface SingleTokenStates {
  /** The stream behind the last block: `(V, d)`. */
  readonly states: Matrix;
  /** Whether gains stand in this stream, so that keys can only permute it. */
  readonly permutedOnly: boolean;
}

/**
 * Runs an encoder's tower of text on each of its tokens alone, without special tokens around it. null where `proceed` ended it.
 * Throws `FAMILY_*`, `CHECKPOINT_*`.
 *
 * @param proceed gets a share 0..1
 */
export async function singleTokenStates(model: Model, proceed: (done: number) => Promise<boolean>): Promise<SingleTokenStates | null> {
  const blueprint = blueprintOf(model.config);
  if (blueprint.kind !== "encoder" || blueprint.vocabulary === null)
    throw new UnseenError("INTERNAL", `${model.name} is no encoder of texts.`);
  checkShapes(model, blueprint);
  const { weights, tower } = textWeights(model, blueprint.architecture);
  const { family } = blueprint.architecture;
  const normalise = (x: Matrix, { gain, bias }: NormWeights): Matrix =>
    matrix(x.rows, x.columns, normaliseRows(x.values, { gain, bias }, { kind: "layer", epsilon: tower.epsilon }, tower.hidden));
  const after = tower.norms === "after";
  const embedded = embed(weights, tower, family);
  const stream = after ? normalise(embedded, weights.norm("embeddings.LayerNorm")) : embedded;
  for (let index = 0; index < tower.layers; index += 1) {
    const block = blockOf(weights, BLOCK_PARTS[family] as BlockParts, tower, index, normalise);
    for (let start = 0; start < stream.rows; start += BATCH) {
      if (!(await proceed((index + start / stream.rows) / tower.layers))) return null;
      block(rowsOf(stream, start, start + BATCH));
    }
  }
  return { states: stream, permutedOnly: after };
}

/** Every token at the first position, of the first type: (V, d). */
function embed(weights: EncoderWeights, { input, hidden }: Tower, family: string): Matrix {
  const { padding, types } = input as TokenInput;
  const clip = family.startsWith("clip");
  const words = weights.linear(clip ? "embeddings.token_embedding" : "embeddings.word_embeddings");
  const positions = weights.linear(clip ? "embeddings.position_embedding" : "embeddings.position_embeddings").weight;
  const type = types > 0 ? weights.linear("embeddings.token_type_embeddings").weight : null;
  const out = matrix(words.out, hidden);
  for (let token = 0; token < words.out; token += 1) {
    // RoBERTa and MPNet count from the padding id, whose own position that is.
    const position = padding === null ? 0 : token === padding ? padding : padding + 1;
    for (let k = 0; k < hidden; k += 1)
      out.values[token * hidden + k] =
        (words.weight[token * hidden + k] as number) + (positions[position * hidden + k] as number) + (type?.[k] ?? 0);
  }
  return out;
}

/** One block, which changes rows of the stream in place. */
function blockOf(
  weights: EncoderWeights,
  parts: BlockParts,
  { norms, activation }: Tower,
  index: number,
  normalise: (x: Matrix, norm: NormWeights) => Matrix,
): (stream: Matrix) => void {
  const name = (part: string): string => `${parts.layer.replace("#", String(index))}.${part}`;
  const layer = (part: string): Batched => batched(weights.linear(name(part)));
  const [values, output, up, down] = [layer(parts.values), layer(parts.output), layer(parts.up), layer(parts.down)];
  const steps: readonly (readonly [Batched, NormWeights])[] = [
    [(x) => output(values(x)), weights.norm(name(parts.attentionNorm))],
    [(x) => down(mapped(up(x), activations[activation])), weights.norm(name(parts.feedForwardNorm))],
  ];
  return (stream) => {
    for (const [step, norm] of steps) {
      addRows(stream, step(norms === "before" ? normalise(stream, norm) : stream));
      if (norms === "after") stream.values.set(normalise(stream, norm).values);
    }
  };
}
