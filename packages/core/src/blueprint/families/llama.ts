/**
 * Llama 2 and 3.x, Mistral, SmolLM2 and 3, Qwen2 and 2.5, Qwen3: RMSNorm, rotary positions, grouped
 * queries, SwiGLU. They differ in fields, not in structure. Source: literature 4.2.
 * @module
 */
import type { Architecture, Layer, Rope } from "../architecture.ts";
import type { ConfigReader } from "../config.ts";
import { attention, decoderSpaces, ends, gated, norm } from "../decoder.ts";
import type { Blueprint, Family, Table } from "../family.ts";
import { readRope } from "../rope.ts";

/** Fields that all of these families spell alike. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function readCommon(config: ConfigReader): Architecture {
  const hidden = config.count("hidden_size");
  const heads = config.count("num_attention_heads");
  const headSize = config.count("head_dim", hidden / heads);
  const maximumPositions = config.count("max_position_embeddings");
  config.only("hidden_act", ["silu"]);
  config.value("attention_bias"); // the biases themselves tell
  config.value("mlp_bias");
  const rope = readRope(config, headSize, maximumPositions);
  const layer: Layer = { rope, window: null, experts: null };
  return {
    family: config.family,
    vocabulary: config.count("vocab_size"),
    hidden,
    heads,
    kvHeads: config.count("num_key_value_heads", heads),
    headSize,
    neurons: config.count("intermediate_size"),
    layers: Array.from({ length: config.members("num_hidden_layers") }, () => layer),
    norm: { kind: "rms", epsilon: config.positive("rms_norm_eps", 1e-6), gainOffset: 0 },
    postNorms: false,
    headNorms: false,
    activation: "silu",
    gated: true,
    attentionScale: 1 / Math.sqrt(headSize),
    scaleByLayer: false,
    attentionCap: null,
    finalCap: null,
    embeddingScale: 1,
    learnedPositions: null,
    tied: config.flag("tie_word_embeddings", false),
    maximumPositions,
  };
}

/** The names and axes of a Llama-shaped decoder; `block` gives the rows of one layer's feed-forward part. */
export function llamaTable(
  a: Architecture,
  block: (spaces: ReturnType<typeof decoderSpaces>, index: number, prefix: string, after: string) => Table = (
    spaces,
    index,
    prefix,
    after,
  ) => gated(spaces, index, `${prefix}.mlp`, after),
): Blueprint {
  const spaces = decoderSpaces(a, { foldable: true });
  const tensors: Record<string, Table[string]> = {
    ...ends(spaces, { embedding: "model.embed_tokens.weight", norm: "model.norm", head: "lm_head.weight" }, true),
  };
  for (let index = 0; index < a.layers.length; index += 1) {
    const prefix = `model.layers.${index}`;
    Object.assign(
      tensors,
      norm(`${prefix}.input_layernorm`, spaces.stream),
      attention(a, spaces, index, `${prefix}.self_attn`, `${prefix}.input_layernorm`),
      norm(`${prefix}.post_attention_layernorm`, spaces.stream),
      block(spaces, index, prefix, `${prefix}.post_attention_layernorm`),
    );
  }
  return { architecture: a, tensors, embedding: "model.embed_tokens.weight", head: "lm_head.weight" };
}

/** Layers with an attention window, in the spelling of `layer_types`, or `sliding_window` for all. */
export function readWindows(config: ConfigReader, layers: readonly Layer[], enabled: boolean): Layer[] {
  const window = config.optionalPositive("sliding_window");
  const types = config.value("layer_types");
  return layers.map((layer, index) => {
    const sliding = Array.isArray(types) ? types[index] === "sliding_attention" : window !== null;
    return { ...layer, window: enabled && sliding ? window : null };
  });
}

export const llama: Family = {
  types: ["llama"],
  architecture(config) {
    // Only 1 leaves the projections whole; other values split them and change summation, not results.
    config.value("pretraining_tp");
    return readCommon(config);
  },
  blueprint: (architecture) => llamaTable(architecture),
};

export const mistral: Family = {
  types: ["mistral"],
  architecture(config) {
    const common = readCommon(config);
    return { ...common, layers: readWindows(config, common.layers, true) };
  },
  blueprint: (architecture) => llamaTable(architecture),
};

export const qwen2: Family = {
  types: ["qwen2"],
  architecture(config) {
    const common = readCommon(config);
    return { ...common, layers: readQwenWindows(config, common.layers) };
  },
  blueprint: (architecture) => llamaTable(architecture),
};

export const qwen3: Family = {
  types: ["qwen3"],
  architecture(config) {
    const common = readCommon(config);
    return { ...common, headNorms: true, layers: readQwenWindows(config, common.layers) };
  },
  blueprint: (architecture) => llamaTable(architecture),
};

/** Qwen slides only behind `max_window_layers`, and only where `use_sliding_window` is set. */
export function readQwenWindows(config: ConfigReader, layers: readonly Layer[]): Layer[] {
  const enabled = config.flag("use_sliding_window", false);
  const firstWindow = config.value("max_window_layers");
  const listed = Array.isArray(config.value("layer_types"));
  return readWindows(config, layers, enabled).map((layer, index) =>
    !listed && typeof firstWindow === "number" && index < firstWindow ? { ...layer, window: null } : layer,
  );
}

export const smollm3: Family = {
  types: ["smollm3"],
  architecture(config) {
    const common = readCommon(config);
    const rotary = config.value("no_rope_layers"); // 1 = rotary, against its name
    const interval = config.count("no_rope_layer_interval", 4);
    const ropeOf = (index: number): Rope | null => {
      const uses = Array.isArray(rotary) ? rotary[index] === 1 || rotary[index] === true : (index + 1) % interval !== 0;
      return uses ? (common.layers[index] as Layer).rope : null;
    };
    const layers = common.layers.map((layer, index) => ({ ...layer, rope: ropeOf(index) }));
    return { ...common, layers: readWindows(config, layers, config.flag("use_sliding_window", false)) };
  },
  blueprint: (architecture) => llamaTable(architecture),
};
