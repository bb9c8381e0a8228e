/**
 * Gemma 2 and 3 (text): norms behind attention and feed-forward write into the stream with a gain, so
 * the stream keeps signed permutations only. Source: docs/reference/groups.md.
 * @module
 */
import { UnseenError } from "../../errors.ts";
import type { Architecture, Layer } from "../architecture.ts";
import { isObject, type ConfigReader } from "../config.ts";
import { attention, decoderBlueprint, decoderSpaces, ends, gated, norm } from "../decoder.ts";
import type { DecoderBlueprint, Family, Table } from "../family.ts";
import { readRope, ropeFrom } from "../rope.ts";
import { readSliding } from "./llama.ts";

function readGemma(config: ConfigReader, caps: { attention: number | null; final: number | null }): Architecture {
  const hidden = config.count("hidden_size");
  const heads = config.count("num_attention_heads");
  const headSize = config.headSize(256);
  const maximumPositions = config.count("max_position_embeddings");
  config.only("hidden_activation", ["gelu_pytorch_tanh"]);
  config.only("hidden_act", ["gelu_pytorch_tanh"]);
  config.value("attention_bias");
  config.only("use_bidirectional_attention", [false]);
  return {
    family: config.family,
    vocabulary: config.count("vocab_size"),
    hidden,
    heads,
    kvHeads: config.count("num_key_value_heads", 4),
    headSize,
    neurons: config.count("intermediate_size"),
    layers: [],
    norm: { kind: "rms", epsilon: config.positive("rms_norm_eps", 1e-6), gainOffset: 1 },
    postNorms: true,
    headNorms: false,
    activation: "gelu-tanh",
    gated: true,
    attentionScale: 1 / Math.sqrt(config.positive("query_pre_attn_scalar", 256)),
    scaleByLayer: false,
    attentionCap: config.optionalPositive("attn_logit_softcapping", caps.attention),
    finalCap: config.optionalPositive("final_logit_softcapping", caps.final),
    embeddingScale: Math.sqrt(hidden),
    learnedPositions: null,
    tied: config.flag("tie_word_embeddings", true),
    maximumPositions,
  };
}

/** Which layers slide: `layer_types`, or every layer that is not a multiple of the pattern. */
function slidingLayers(config: ConfigReader, count: number, pattern: number): boolean[] {
  return readSliding(config, count) ?? Array.from({ length: count }, (_, index) => (index + 1) % pattern !== 0);
}

function gemmaTable(architecture: Architecture): DecoderBlueprint {
  const spaces = decoderSpaces(architecture, { foldable: false });
  const tensors: Record<string, Table[string]> = {
    ...ends(spaces, { embedding: "model.embed_tokens.weight", norm: "model.norm", head: "lm_head.weight" }, false),
  };
  for (let index = 0; index < architecture.layers.length; index += 1) {
    const prefix = `model.layers.${index}`;
    for (const name of ["input", "post_attention", "pre_feedforward", "post_feedforward"]) {
      Object.assign(tensors, norm(`${prefix}.${name}_layernorm`, spaces.stream));
    }
    Object.assign(
      tensors,
      attention(architecture, spaces, index, `${prefix}.self_attn`, undefined),
      gated(spaces, index, `${prefix}.mlp`, undefined),
    );
  }
  return decoderBlueprint(spaces, { architecture, tensors, embedding: "model.embed_tokens.weight", head: "lm_head.weight" });
}

export const gemma2: Family = {
  types: ["gemma2"],
  architecture(config) {
    const common = readGemma(config, { attention: 50, final: 30 });
    const count = config.members("num_hidden_layers");
    const rope = readRope(config, common.headSize, common.maximumPositions);
    const window = config.optionalCount("sliding_window", 4096);
    const layers = slidingLayers(config, count, 2).map((sliding): Layer => ({ rope, window: sliding ? window : null, experts: null }));
    return { ...common, layers };
  },
  blueprint: gemmaTable,
};

export const gemma3: Family = {
  types: ["gemma3_text"],
  architecture(config) {
    const common = readGemma(config, { attention: null, final: null });
    const count = config.members("num_hidden_layers");
    const window = config.optionalCount("sliding_window", 4096);
    const pattern = config.count(["sliding_window_pattern", "_sliding_window_pattern"], 6);
    const parameters = config.object("rope_parameters");
    const localTheta = config.positive("rope_local_base_freq", 10000);
    const settings = (kind: "full_attention" | "sliding_attention") => {
      const own = parameters?.[kind];
      if (isObject(own)) return ropeFrom(own, common.headSize, common.maximumPositions);
      if (parameters) throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `config.json field rope_parameters has no object ${kind}.`);
      // Before transformers 5: rope_scaling applies to full attention only.
      if (kind === "sliding_attention") return ropeFrom({ rope_theta: localTheta }, common.headSize, common.maximumPositions);
      return readRope(config, common.headSize, common.maximumPositions, 1_000_000);
    };
    const full = settings("full_attention");
    const local = settings("sliding_attention");
    const layers = slidingLayers(config, count, pattern).map((sliding): Layer => ({
      rope: sliding ? local : full,
      window: sliding ? window : null,
      experts: null,
    }));
    return { ...common, headNorms: true, layers };
  },
  blueprint: gemmaTable,
};
