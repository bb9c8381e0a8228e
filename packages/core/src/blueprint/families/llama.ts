/**
 * Llama 2 and 3.x, Mistral, SmolLM2 and 3, Qwen2 and 2.5, Qwen3: RMSNorm, rotary positions, grouped
 * queries, SwiGLU. They differ in fields, not in structure. Source: docs/reference/groups.md.
 * @module
 */
import type { Architecture, Layer } from "../architecture.ts";
import type { ConfigReader } from "../config.ts";
import { attention, decoderBlueprint, decoderSpaces, ends, gated, norm } from "../decoder.ts";
import type { DecoderBlueprint, Family, Table } from "../family.ts";
import { readRope } from "../rope.ts";

/** What a family takes for a field that its configuration leaves out, where that is not Llama's. */
export interface Defaults {
  readonly kvHeads?: number;
  readonly headSize?: number;
  readonly epsilon?: number;
  readonly theta?: number;
  readonly tied?: boolean;
}

/** Fields that all of these families spell alike. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function readCommon(config: ConfigReader, defaults: Defaults = {}): Architecture {
  const hidden = config.count("hidden_size");
  const heads = config.count("num_attention_heads");
  const headSize = config.headSize(defaults.headSize ?? hidden / heads);
  const maximumPositions = config.count("max_position_embeddings");
  config.only("hidden_act", ["silu"]);
  config.value("attention_bias"); // the biases themselves tell
  config.value("mlp_bias");
  const rope = readRope(config, headSize, maximumPositions, defaults.theta);
  const layer: Layer = { rope, window: null, experts: null };
  return {
    family: config.family,
    vocabulary: config.count("vocab_size"),
    hidden,
    heads,
    // null says "as many as heads" in every family, absence not in every one.
    kvHeads: config.optionalCount("num_key_value_heads", defaults.kvHeads ?? heads) ?? heads,
    headSize,
    neurons: config.count("intermediate_size"),
    layers: Array.from({ length: config.members("num_hidden_layers") }, () => layer),
    norm: { kind: "rms", epsilon: config.positive("rms_norm_eps", defaults.epsilon ?? 1e-6), gainOffset: 0 },
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
    tied: config.flag("tie_word_embeddings", defaults.tied ?? false),
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
): DecoderBlueprint {
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
  return decoderBlueprint(spaces, { architecture: a, tensors, embedding: "model.embed_tokens.weight", head: "lm_head.weight" });
}

const FULL = "full_attention";
const SLIDING = "sliding_attention";

/** Which layers `layer_types` lets slide; null where the field is absent. Throws `FAMILY_UNSUPPORTED_VALUE` for other kinds of attention. */
export function readSliding(config: ConfigReader, layers: number): boolean[] | null {
  return config.list("layer_types", layers, [FULL, SLIDING])?.map((type) => type === SLIDING) ?? null;
}

/** `sliding_window` for all layers or none; `layer_types` may say the same, but nothing else. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function readUniformWindow(
  config: ConfigReader,
  layers: readonly Layer[],
  { fallback = null, enabled = true }: { fallback?: number | null; enabled?: boolean } = {},
): Layer[] {
  const stated = config.optionalCount("sliding_window", fallback);
  const window = enabled ? stated : null;
  config.list("layer_types", layers.length, [window === null ? FULL : SLIDING]);
  return layers.map((layer) => ({ ...layer, window }));
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
    const common = readCommon(config, { kvHeads: 8 });
    return { ...common, layers: readUniformWindow(config, common.layers, { fallback: 4096 }) };
  },
  blueprint: (architecture) => llamaTable(architecture),
};

export const qwen2: Family = {
  types: ["qwen2"],
  architecture(config) {
    const common = readCommon(config, { kvHeads: 32 });
    return { ...common, layers: readQwenWindows(config, common.layers) };
  },
  blueprint: (architecture) => llamaTable(architecture),
};

export const qwen3: Family = {
  types: ["qwen3"],
  architecture(config) {
    const common = readCommon(config, { kvHeads: 32, headSize: 128 });
    return { ...common, headNorms: true, layers: readQwenWindows(config, common.layers) };
  },
  blueprint: (architecture) => llamaTable(architecture),
};

/** Qwen slides only where `use_sliding_window` is set, and from layer `max_window_layers` on unless `layer_types` says which. */
function readQwenWindows(config: ConfigReader, layers: readonly Layer[]): Layer[] {
  const enabled = config.flag("use_sliding_window", false);
  const first = config.whole("max_window_layers", 28);
  const window = config.optionalCount("sliding_window", 4096);
  const listed = readSliding(config, layers.length);
  return layers.map((layer, index) => ({ ...layer, window: enabled && (listed ? listed[index] : index >= first) ? window : null }));
}

export const smollm3: Family = {
  types: ["smollm3"],
  architecture(config) {
    const common = readCommon(config, { kvHeads: 4, theta: 2_000_000, tied: true });
    const count = common.layers.length;
    const listed = config.list<number | boolean>("no_rope_layers", count, [0, 1, false, true]); // 1 = rotary, against its name
    const interval = config.count("no_rope_layer_interval", 4);
    const rotary = common.layers.map((_, index) => (listed ? Boolean(listed[index]) : (index + 1) % interval !== 0));
    const enabled = config.flag("use_sliding_window", false);
    const window = config.optionalCount("sliding_window");
    const sliding = readSliding(config, count) ?? rotary.map((rotates) => !rotates);
    const layers = common.layers.map((layer, index) => ({
      ...layer,
      rope: rotary[index] ? layer.rope : null,
      window: enabled && sliding[index] ? window : null,
    }));
    return { ...common, layers };
  },
  blueprint: (architecture) => llamaTable(architecture),
};
