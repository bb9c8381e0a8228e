/**
 * A GGUF file, seen as the Hugging Face model it was made from: `config.json` and tensor names.
 * What the metadata leaves out has llama.cpp's default, since llama.cpp is what will run the file.
 * Source: llama.cpp, `llama_model_base::load_hparams` and `src/models/*.cpp`.
 * @module
 */
import { basename } from "node:path";
import { quote } from "../checkpoint/checks.ts";
import type { Gguf, GgufValue } from "../checkpoint/gguf.ts";
import type { TensorLocation } from "../checkpoint/tensor.ts";
import { UnseenError } from "../errors.ts";
import type { Json, JsonObject } from "./config.ts";
import { endOfGenerationIds, specialId } from "./gguf-special-ids.ts";
import { yarnMagnitude } from "./gguf-limits.ts";
import { GgufReader } from "./gguf-reader.ts";
import { isExtraTensor, ggufRotaryLayout, huggingFaceName, stacksExperts } from "./gguf-names.ts";
import { parseManifest } from "./manifest.ts";
import type { Model } from "./model.ts";
import { readVector } from "./read-tensor.ts";

/** Most layers, and most experts of a layer: about llama.cpp's own limits (CWE-770). */
const MAXIMUM_LAYERS = 1024;
const MAXIMUM_EXPERTS = 1024;
/** Most rotary frequencies whose factors are read (CWE-789). */
const MAXIMUM_FREQUENCIES = 1 << 16;

/**
 * Reads a GGUF's header as a {@link Model}; of the data only rotary factors, a few hundred bytes.
 * Throws `FAMILY_UNKNOWN`, `FAMILY_UNKNOWN_FIELD`, `FAMILY_UNSUPPORTED_VALUE`, `FAMILY_UNKNOWN_TENSOR`, `CHECKPOINT_MALFORMED`.
 */
export function readGgufModel(path: string, gguf: Gguf): Model {
  const reader = new GgufReader(gguf.metadata);
  const { architecture } = reader;
  const rotaryLayout = ggufRotaryLayout(architecture); // throws for an unknown architecture
  const tensors = new Map<string, TensorLocation>();
  const extras = new Map<string, TensorLocation>();
  for (const tensor of gguf.tensors.values()) {
    if (isExtraTensor(architecture, tensor.name)) extras.set(tensor.name, tensor);
    else for (const location of locate(architecture, tensor)) tensors.set(location.name, location);
  }
  const config = readConfig(reader, tensors, extras);
  reader.finish();
  return {
    path,
    name: basename(path, ".gguf"),
    format: "gguf",
    config,
    generationConfig: null,
    files: [gguf.file],
    tensors,
    extras,
    rotaryLayout,
    storedGainOffset: 0,
    transposedConv1d: architecture === "gpt2",
    metadata: gguf.metadata,
    annotations: {},
    manifest: readManifest(gguf.metadata),
  };
}

/** The Hugging Face tensors that a GGUF tensor holds: itself, or one for each of its experts. */
function locate(architecture: string, tensor: TensorLocation): TensorLocation[] {
  const unknown = (hint: string): UnseenError =>
    new UnseenError("FAMILY_UNKNOWN_TENSOR", `GGUF tensor ${tensor.name} is not in the table of architecture ${architecture}.`, { hint });
  if (!stacksExperts(tensor.name)) {
    const name = huggingFaceName(architecture, tensor.name);
    if (name === null) throw unknown("Convert the model again with a current llama.cpp, without fused or adapter tensors.");
    return [{ ...tensor, name }];
  }
  const [count, ...shape] = tensor.shape;
  if (count === undefined || shape.length !== 2 || count > MAXIMUM_EXPERTS || tensor.bytes % count !== 0) {
    throw new UnseenError(
      "CHECKPOINT_WRONG_SHAPE",
      `GGUF tensor ${tensor.name} must be (experts, rows, columns), got (${tensor.shape.join(", ")}).`,
    );
  }
  const bytes = tensor.bytes / count;
  return Array.from({ length: count }, (_, expert) => {
    const name = huggingFaceName(architecture, tensor.name, expert);
    if (name === null) throw unknown("This architecture has no experts.");
    return { ...tensor, name, shape, offset: tensor.offset + expert * bytes, bytes };
  });
}

/** `config.json` as far as the forward pass and generation need it. */
function readConfig(
  reader: GgufReader,
  tensors: ReadonlyMap<string, TensorLocation>,
  extras: ReadonlyMap<string, TensorLocation>,
): JsonObject {
  const { architecture } = reader;
  const gpt2 = architecture === "gpt2";
  const embedding = tensors.get(gpt2 ? "transformer.wte.weight" : "model.embed_tokens.weight");
  if (!embedding || embedding.shape.length !== 2) {
    throw new UnseenError("CHECKPOINT_MISSING_TENSOR", "the GGUF has no token_embd.weight of two dimensions.", {
      hint: "Download or convert the file again.",
    });
  }
  const vocabulary = embedding.shape[0] as number;
  reader.only("vocab_size", [vocabulary]);
  const hidden = reader.count("embedding_length");
  const heads = reader.count("attention.head_count");
  const kvHeads = reader.count("attention.head_count_kv", heads);
  const layers = reader.count("block_count", undefined, MAXIMUM_LAYERS);
  const positions = reader.count("context_length");
  const headSize = reader.count("attention.key_length", Math.floor(hidden / heads));
  reader.only("attention.value_length", [headSize]);
  const special: Record<string, Json> = {
    eos_token_id: single(endOfGenerationIds(reader.metadata)),
    bos_token_id: specialId(reader.metadata, "bos"),
    pad_token_id: specialId(reader.metadata, "padding"),
  };
  if (gpt2) {
    reader.only("attention.head_count_kv", [heads]);
    reader.only("rope.dimension_count", [headSize]); // some converters write it; nothing reads it
    return {
      model_type: "gpt2",
      activation_function: "gelu_new",
      vocab_size: vocabulary,
      n_embd: hidden,
      n_head: heads,
      n_layer: layers,
      n_inner: reader.count("feed_forward_length"),
      n_positions: positions,
      layer_norm_epsilon: reader.number("attention.layer_norm_epsilon"),
      tie_word_embeddings: !tensors.has("lm_head.weight"),
      ...special,
    };
  }
  const rope = readRope(reader, headSize, positions, extras);
  return {
    model_type: architecture,
    vocab_size: vocabulary,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headSize,
    intermediate_size: reader.count("feed_forward_length", architecture === "qwen3moe" ? 1 : undefined),
    max_position_embeddings: positions,
    rms_norm_eps: reader.number("attention.layer_norm_rms_epsilon"),
    tie_word_embeddings: !tensors.has("lm_head.weight"),
    rope_parameters: rope,
    ...special,
    ...familyFields(reader, { hidden, heads, headSize, layers, rope }),
  };
}

interface Dimensions {
  readonly hidden: number;
  readonly heads: number;
  readonly headSize: number;
  readonly layers: number;
  readonly rope: JsonObject;
}

/** What one architecture has that the others have not. */
function familyFields(reader: GgufReader, dimensions: Dimensions): JsonObject {
  switch (reader.architecture) {
    case "llama": {
      const experts = reader.count("expert_count", 0, MAXIMUM_EXPERTS);
      reader.ignore("attention.sliding_window"); // llama.cpp gives this architecture full attention
      if (experts === 0) return { hidden_act: "silu" };
      reader.only("expert_weights_scale", [0, 1]);
      return {
        model_type: "mixtral",
        hidden_act: "silu",
        num_local_experts: experts,
        num_experts_per_tok: reader.count("expert_used_count"),
        sliding_window: null,
      };
    }
    case "smollm3":
      return { hidden_act: "silu", no_rope_layer_interval: 4 };
    case "qwen3moe": {
      reader.only("expert_weights_norm", [true]);
      reader.only("expert_weights_scale", [0, 1]);
      reader.only("expert_gating_func", [1]);
      return {
        model_type: "qwen3_moe",
        hidden_act: "silu",
        num_experts: reader.count("expert_count", undefined, MAXIMUM_EXPERTS),
        num_experts_per_tok: reader.count("expert_used_count"),
        moe_intermediate_size: reader.count("expert_feed_forward_length"),
        norm_topk_prob: true,
      };
    }
    case "phi3":
      reader.ignore("attention.sliding_window"); // llama.cpp switches it off
      return { hidden_act: "silu", sliding_window: null };
    case "gemma2":
      return {
        ...gemmaFields(reader, dimensions, 46),
        ...slidingLayers(reader, dimensions.layers, 2, reader.count("attention.sliding_window", 4096)),
        attn_logit_softcapping: reader.number("attn_logit_softcapping", 50),
        final_logit_softcapping: reader.number("final_logit_softcapping", 30),
      };
    case "gemma3": {
      const window = reader.count("attention.sliding_window", 0);
      const local = reader.number("rope.freq_base_swa", 10000);
      const cap = reader.number("final_logit_softcapping", 0);
      return {
        ...gemmaFields(reader, dimensions, 62),
        ...slidingLayers(reader, dimensions.layers, 6, window),
        model_type: "gemma3_text",
        rope_parameters: { full_attention: dimensions.rope, sliding_attention: { rope_type: "default", rope_theta: local } },
        final_logit_softcapping: cap === 0 ? null : cap,
      };
    }
    default:
      return { hidden_act: "silu" };
  }
}

function gemmaFields(reader: GgufReader, { hidden, heads, headSize, layers, rope }: Dimensions, special: number): JsonObject {
  if (reader.architecture === "gemma2") reader.only("rope.freq_base_swa", [rope["rope_theta"] as number]);
  // llama.cpp knows the attention scale of the 27B models by their number of layers alone.
  return { hidden_activation: "gelu_pytorch_tanh", query_pre_attn_scalar: layers === special ? Math.floor(hidden / heads) : headSize };
}

/** Which layers slide: a list, or all but every n-th. A window of 0 means that none does. */
function slidingLayers(reader: GgufReader, layers: number, standard: number, window: number): JsonObject {
  const key = "attention.sliding_window_pattern";
  const listed = reader.list(key);
  const pattern = listed ? 0 : reader.count(key, standard);
  const slides = (index: number): boolean => (listed ? Boolean(listed[index]) : pattern === 0 || (index + 1) % pattern !== 0);
  return {
    sliding_window: window === 0 ? null : window,
    layer_types: Array.from({ length: layers }, (_, index) => (window > 0 && slides(index) ? "sliding_attention" : "full_attention")),
  };
}

/** `rope_parameters` of the layers with full attention. */
function readRope(reader: GgufReader, headSize: number, positions: number, extras: ReadonlyMap<string, TensorLocation>): JsonObject {
  const dimensions = reader.count("rope.dimension_count", headSize);
  if (reader.architecture !== "phi3") reader.only("rope.dimension_count", [headSize]);
  const type = reader.text("rope.scaling.type", "linear");
  const factor = reader.number("rope.scaling.factor", reader.number("rope.scale_linear", 0)) || 1;
  const original = reader.count("rope.scaling.original_context_length", positions);
  const magnitude = reader.number("rope.scaling.attn_factor", 1);
  reader.ignore("rope.scaling.finetuned");
  // llama.cpp reads none of these for the architectures here, so another value is not what it computes.
  reader.only("rope.scaling.yarn_beta_fast", [32]);
  reader.only("rope.scaling.yarn_beta_slow", [1]);
  reader.only("rope.scaling.yarn_ext_factor", [1, -1]);
  reader.only("rope.scaling.yarn_log_multiplier", [0]);
  reader.only("rope.scaling.alpha", [0, 1]);
  const rope: Record<string, Json> = { rope_type: "default", rope_theta: reader.number("rope.freq_base", 10000) };
  // The share must bring the same whole number of dimensions back when it is multiplied out.
  if (dimensions !== headSize) rope["partial_rotary_factor"] = (dimensions + 0.25) / headSize;
  const [all, short, long] = ["rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"].map((name) => {
    const tensor = extras.get(name);
    return tensor ? readFactors(tensor, dimensions / 2) : undefined;
  });
  if (all || short || long) {
    if (!(all || (short && long)) || (factor !== 1 && type !== "none") || type === "yarn") {
      throw new UnseenError(
        "FAMILY_UNSUPPORTED_VALUE",
        `rotary factor tensors together with rope.scaling.type ${quote(type)} are not supported.`,
      );
    }
    return {
      ...rope,
      rope_type: "longrope",
      short_factor: all ?? short ?? [],
      long_factor: all ?? long ?? [],
      original_max_position_embeddings: original,
      attention_factor: magnitude,
    };
  }
  if (type === "yarn" && factor !== 1) {
    const attention = magnitude * yarnMagnitude(factor);
    reader.only("rope.scaling.yarn_attn_factor", [attention, 1]);
    return { ...rope, rope_type: "yarn", factor, original_max_position_embeddings: original, attention_factor: attention };
  }
  if (!["linear", "none", "yarn", "longrope"].includes(type)) {
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `rope.scaling.type ${quote(type)} is not supported.`);
  }
  if (magnitude !== 1)
    throw new UnseenError(
      "FAMILY_UNSUPPORTED_VALUE",
      `rope.scaling.attn_factor must be 1 with rope.scaling.type ${quote(type)}, got ${magnitude}.`,
    );
  return type === "linear" && factor !== 1 ? { ...rope, rope_type: "linear", factor } : rope;
}

/** The divisors of the rotary frequencies, (dimensions / 2). Throws `CHECKPOINT_WRONG_SHAPE`, `CHECKPOINT_TRUNCATED`, `CHECKPOINT_NON_FINITE`. */
function readFactors(tensor: TensorLocation, count: number): number[] {
  if (tensor.format !== "F32" || tensor.shape.length !== 1 || tensor.shape[0] !== count || count > MAXIMUM_FREQUENCIES) {
    throw new UnseenError(
      "CHECKPOINT_WRONG_SHAPE",
      `GGUF tensor ${tensor.name} must be ${count} numbers in F32, got (${tensor.shape.join(", ")}) in ${tensor.format}.`,
    );
  }
  const factors = [...readVector(tensor)];
  if (factors.some((factor) => !Number.isFinite(factor) || factor <= 0)) {
    throw new UnseenError("CHECKPOINT_NON_FINITE", `tensor ${tensor.name} must hold positive numbers.`, {
      hint: "Download the file again.",
    });
  }
  return factors;
}

function readManifest(metadata: ReadonlyMap<string, GgufValue>): Model["manifest"] {
  const value = (name: string): Json => {
    const entry = metadata.get(`unseen.${name}`)?.value;
    return typeof entry === "string" || typeof entry === "number" ? entry : null;
  };
  if (!metadata.has("unseen.scheme")) return null;
  return parseManifest({
    scheme: value("scheme"),
    version: value("version"),
    fingerprint: value("fingerprint"),
    strength: value("strength"),
    family: value("family"),
    vocabularySize: value("vocabulary_size"),
  });
}

/** One id as a number, several as a list, none as null: as `config.json` writes `eos_token_id`. */
function single(ids: readonly number[]): Json {
  return ids.length > 1 ? ids : (ids[0] ?? null);
}
