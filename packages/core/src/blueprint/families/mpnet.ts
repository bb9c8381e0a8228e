/**
 * MPNet: a RoBERTa with its own names, no token types, and one table of biases by distance that all layers add to their
 * scores, so that all layers order their heads alike. Source: docs/reference/groups.md.
 * @module
 */
import { norm } from "../decoder.ts";
import type { TokenInput } from "../encoder.ts";
import { block, fixed } from "../encoder-spaces.ts";
import type { EncoderFamily, Row } from "../family.ts";
import { write, type Space } from "../space.ts";
import { bertLike, readBertLike, robertaHead } from "./bert.ts";

/** `transformers` writes this number into the code, whatever `pad_token_id` says. */
const PADDING = 1;

export const mpnet: EncoderFamily = {
  types: ["mpnet"],
  architecture(config) {
    config.only("pad_token_id", [PADDING]);
    return readBertLike(config, "MPNet", PADDING, config.count("relative_attention_num_buckets", 32, 1 << 16));
  },
  blueprint: (encoder) =>
    bertLike(encoder, "mpnet", (tower, spaces, vocabulary) => {
      const { stream } = spaces;
      const tensors: Record<string, Row> = {
        "mpnet.embeddings.word_embeddings.weight": { axes: [write(vocabulary), write(stream)] },
        "mpnet.embeddings.position_embeddings.weight": { axes: [write(fixed((tower.input as TokenInput).positions)), write(stream)] },
        ...norm("mpnet.embeddings.LayerNorm", stream, "layer"),
        "mpnet.encoder.relative_attention_bias.weight": {
          axes: [write(fixed(tower.distanceBuckets ?? 0)), write(spaces.headOrder as Space)],
        },
      };
      for (let index = 0; index < tower.layers; index += 1) {
        const layer = `mpnet.encoder.layer.${index}`;
        Object.assign(
          tensors,
          block(tower, spaces, index, {
            queries: `${layer}.attention.attn.q`,
            keys: `${layer}.attention.attn.k`,
            values: `${layer}.attention.attn.v`,
            output: `${layer}.attention.attn.o`,
            attentionNorm: `${layer}.attention.LayerNorm`,
            up: `${layer}.intermediate.dense`,
            down: `${layer}.output.dense`,
            feedForwardNorm: `${layer}.output.LayerNorm`,
          }),
        );
      }
      return { tensors, head: robertaHead(encoder, tower, stream, vocabulary) };
    }),
};
