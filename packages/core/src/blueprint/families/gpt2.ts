/**
 * GPT-2: LayerNorm before each block, learned positions, weights stored as (in, out), no rotary
 * positions, so that queries and keys take GL(head size) and the key bias is pure gauge.
 * Source: docs/reference/groups.md.
 * @module
 */
import type { Layer } from "../architecture.ts";
import { decoderBlueprint, decoderSpaces, norm } from "../decoder.ts";
import type { Family, Row, Table } from "../family.ts";
import { concat, free, read, write, type Axis } from "../space.ts";

/** A `Conv1D`: weight (in, out) and its bias. */
function conv1d(name: string, input: Axis, output: Axis, bias: Axis = output): Table {
  return { [`${name}.weight`]: { axes: [input, output], conv1d: true }, [`${name}.bias`]: { axes: [bias] } };
}

export const gpt2: Family = {
  types: ["gpt2"],
  architecture(config) {
    const hidden = config.count(["n_embd", "hidden_size"]);
    const heads = config.count(["n_head", "num_attention_heads"]);
    const headSize = config.headSize(hidden / heads);
    const activation = config.text("activation_function", "gelu_new");
    config.only("activation_function", ["gelu_new", "gelu_pytorch_tanh", "gelu"]);
    config.only("add_cross_attention", [false]);
    const maximumPositions = config.count(["n_positions", "max_position_embeddings"]);
    const layer: Layer = { rope: null, window: null, experts: null };
    return {
      family: "gpt2",
      vocabulary: config.count("vocab_size"),
      hidden,
      heads,
      kvHeads: heads,
      headSize,
      neurons: config.count("n_inner", 4 * hidden),
      layers: Array.from({ length: config.members(["n_layer", "num_hidden_layers"]) }, () => layer),
      norm: { kind: "layer", epsilon: config.positive("layer_norm_epsilon", 1e-5), gainOffset: 0 },
      postNorms: false,
      headNorms: false,
      activation: activation === "gelu" ? "gelu" : "gelu-tanh",
      gated: false,
      attentionScale: config.flag("scale_attn_weights", true) ? 1 / Math.sqrt(headSize) : 1,
      scaleByLayer: config.flag("scale_attn_by_inverse_layer_idx", false),
      attentionCap: null,
      finalCap: null,
      embeddingScale: 1,
      learnedPositions: maximumPositions,
      tied: config.flag("tie_word_embeddings", true),
      maximumPositions,
    };
  },
  blueprint(architecture) {
    const spaces = decoderSpaces(architecture, { foldable: true });
    const { stream, vocabulary } = spaces;
    const tensors: Record<string, Row> = {
      "transformer.wte.weight": { axes: [write(vocabulary), write(stream)] },
      "transformer.wpe.weight": { axes: [write(spaces.fixed(architecture.maximumPositions)), write(stream)] },
      ...norm("transformer.ln_f", stream, "layer"),
      "lm_head.weight": { axes: [write(vocabulary), read(stream, "transformer.ln_f")] },
    };
    for (let index = 0; index < architecture.layers.length; index += 1) {
      const prefix = `transformer.h.${index}`;
      const { queries, keys, values, attended, neurons } = spaces.layer(index);
      Object.assign(
        tensors,
        norm(`${prefix}.ln_1`, stream, "layer"),
        conv1d(
          `${prefix}.attn.c_attn`,
          read(stream, `${prefix}.ln_1`),
          concat(write(queries), write(keys), write(values)),
          concat(write(queries), free(keys), write(values)),
        ),
        conv1d(`${prefix}.attn.c_proj`, read(attended), write(stream)),
        norm(`${prefix}.ln_2`, stream, "layer"),
        conv1d(`${prefix}.mlp.c_fc`, read(stream, `${prefix}.ln_2`), write(neurons)),
        conv1d(`${prefix}.mlp.c_proj`, read(neurons), write(stream)),
      );
    }
    return decoderBlueprint(spaces, {
      architecture,
      tensors,
      embedding: "transformer.wte.weight",
      head: "lm_head.weight",
      aliases: (name) => (/^(wte|wpe|h\.|ln_f)/.test(name) ? `transformer.${name}` : name),
    });
  },
};
