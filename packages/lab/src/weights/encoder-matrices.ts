/**
 * The matrices of an encoder's tower of text, folded.
 * @module
 */
import type { Encoder, Tower } from "@unseen/core/blueprint/encoder.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { BLOCK_PARTS, EncoderWeights, type BlockParts } from "@unseen/core/reference/encoder-weights.ts";
import { centred, folded, plain } from "./fold.ts";
import type { Weights } from "./weights.ts";

/** An encoder's tower of text and its weights. The encoder has a tower that takes token ids. */
export function textWeights(model: Model, { family, towers }: Encoder): { readonly weights: EncoderWeights; readonly tower: Tower } {
  const tower = towers.find(({ input }) => input.kind === "tokens")!;
  const prefix = family.startsWith("clip") ? "text_model." : `${family === "xlm-roberta" ? "roberta" : family}.`;
  return { weights: new EncoderWeights(model, [prefix]), tower };
}

/** Throws `CHECKPOINT_*` when a matrix is asked for and missing. */
export function encoderMatrices(model: Model, encoder: Encoder): Weights {
  const { weights, tower } = textWeights(model, encoder);
  const { family } = encoder;
  const clip = family.startsWith("clip");
  const parts = BLOCK_PARTS[family] as BlockParts;
  const name = (index: number, part: string): string => `${parts.layer.replace("#", String(index))}.${part}`;
  const before = tower.norms === "before";
  /** The gain of the norm whose result attention reads: its own, or that behind the block before. */
  const attentionGain = (index: number): Float32Array =>
    weights.norm(before ? name(index, parts.attentionNorm) : index === 0 ? "embeddings.LayerNorm" : name(index - 1, parts.feedForwardNorm))
      .gain;
  const feedForwardGain = (index: number): Float32Array =>
    weights.norm(name(index, before ? parts.feedForwardNorm : parts.attentionNorm)).gain;
  return {
    name: model.name,
    kind: "encoder",
    vocabulary: encoder.vocabulary,
    hidden: tower.hidden,
    layers: tower.layers,
    layout: { heads: tower.heads, kvHeads: tower.heads, headSize: tower.headSize, rotaryDimensions: 0, rotaryLayout: "half" },
    embedding: () => centred(plain(weights.linear(clip ? "embeddings.token_embedding" : "embeddings.word_embeddings")), true),
    head: () => null,
    layer(index) {
      const read = (part: string, gain: Float32Array) => folded(weights.linear(name(index, part)), gain, true);
      const attention = attentionGain(index);
      return {
        queries: read(parts.queries, attention),
        keys: read(parts.keys, attention),
        values: read(parts.values, attention),
        output: plain(weights.linear(name(index, parts.output))),
        gate: null,
        up: read(parts.up, feedForwardGain(index)),
        down: plain(weights.linear(name(index, parts.down))),
      };
    },
    model,
    path: model.path,
  };
}
