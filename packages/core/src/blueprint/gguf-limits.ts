/**
 * What llama.cpp computes otherwise than the Hugging Face model. Where a shorter context makes both
 * the same, the context is cut; everything else is refused by name.
 * Source: llama.cpp, `src/models/*.cpp`, `src/llama-context.cpp`.
 * @module
 */
import { UnseenError } from "../errors.ts";
import type { Architecture, Layer, Rope } from "./architecture.ts";
import type { JsonObject } from "./config.ts";
import { isExtraTensor } from "./gguf-names.ts";

/** Architectures with a bias on the output projection or in the feed-forward block. */
const FULLY_BIASED: readonly string[] = ["llama", "gpt2"];
/** Architectures whose layers differ in their windows. */
const SLIDING: readonly string[] = ["gemma2", "gemma3"];

/** The number of layers at which llama.cpp takes a Gemma for a 27B model with another attention scale. */
const GEMMA_27B: Readonly<Record<string, number>> = { gemma2: 46, gemma3: 62 };

/** Refuses what llama.cpp would silently compute otherwise. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function checkLlamaCpp(name: string, config: JsonObject, a: Architecture): void {
  const refuse = (field: string, expected: string): never => {
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `llama.cpp runs family ${a.family} only with ${expected}; ${field} says otherwise.`, {
      hint: "Write safetensors instead (leave out --format gguf) and serve them with another engine.",
    });
  };
  const gemma = SLIDING.includes(name);
  if (a.scaleByLayer) refuse("scale_attn_by_inverse_layer_idx", "one attention scale for all layers");
  const scaled = GEMMA_27B[name] === a.layers.length ? Math.floor(a.hidden / a.heads) : a.headSize;
  if (Math.abs(a.attentionScale * Math.sqrt(scaled) - 1) > 1e-6)
    refuse(gemma ? "query_pre_attn_scalar" : "scale_attn_weights", `an attention scale of 1/sqrt(${scaled})`);
  if (!a.gated && a.activation !== "gelu-tanh") refuse("activation_function", "the tanh form of GELU");
  if (["qwen2", "phi3", "gpt2"].includes(name) && a.heads * a.headSize !== a.hidden) refuse("head_dim", "heads that fill the hidden size");
  if (name === "gemma2" && !a.tied) refuse("tie_word_embeddings", "tied embeddings");
  if (name === "gemma2" && (a.attentionCap === null || a.finalCap === null)) refuse("attn_logit_softcapping", "both soft caps");
  if (name !== "gemma2" && a.attentionCap !== null) refuse("attn_logit_softcapping", "uncapped attention");
  if (!gemma && a.finalCap !== null) refuse("final_logit_softcapping", "uncapped logits");
  if (config["attention_bias"] === true && !FULLY_BIASED.includes(name)) refuse("attention_bias", "no bias on the output projection");
  if (config["mlp_bias"] === true && !FULLY_BIASED.includes(name)) refuse("mlp_bias", "no bias in the feed-forward block");
  checkExperts(name, a, refuse);
  checkRotary(name, a, refuse);
}

type Refuse = (field: string, expected: string) => never;

function checkExperts(name: string, a: Architecture, refuse: Refuse): void {
  const routed = a.layers.filter((layer) => layer.experts);
  if (routed.length > 0 && routed.length < a.layers.length) refuse("mlp_only_layers", "experts in every layer or in none");
  if (name === "qwen3moe" && routed.length === 0) refuse("decoder_sparse_step", "experts in every layer");
  if (routed.some((layer) => !layer.experts?.normalise)) refuse("norm_topk_prob", "normalised expert weights");
}

function checkRotary(name: string, a: Architecture, refuse: Refuse): void {
  a.layers.forEach((layer, index) => {
    const rotary = name === "smollm3" ? (index + 1) % 4 !== 0 : name !== "gpt2";
    if ((layer.rope !== null) !== rotary) refuse("no_rope_layers", "rotary positions in all but every fourth layer");
  });
  const full = globalRope(a);
  const local = a.layers.filter((layer) => layer.window !== null);
  if (SLIDING.includes(name)) {
    if (new Set(local.map((layer) => layer.window)).size > 1) refuse("sliding_window", "one window");
    if (name === "gemma3" && local.some((layer) => layer.rope?.scaling))
      refuse("rope_parameters.sliding_attention", "unscaled rotary positions in sliding layers");
    if (name === "gemma3" && new Set(local.map((layer) => layer.rope?.theta)).size > 1)
      refuse("rope_local_base_freq", "one base for all sliding layers");
  }
  const alike = a.layers.filter((layer) => layer.rope && (name !== "gemma3" || layer.window === null));
  if (alike.some((layer) => JSON.stringify(layer.rope) !== JSON.stringify(full)))
    refuse("rope_parameters", "the same rotary positions in all layers");
  if (!full) return;
  if (full.dimensions !== a.headSize && name !== "phi3") refuse("partial_rotary_factor", "fully rotated heads");
  const { scaling } = full;
  if ((scaling?.type === "llama3" || scaling?.type === "longrope") && !isExtraTensor(name, "rope_factors_long.weight"))
    refuse("rope_parameters.rope_type", "rope_type default, linear or yarn");
  if (scaling?.type === "llama3" && !isExtraTensor(name, "rope_freqs.weight"))
    refuse("rope_parameters.rope_type", "rope_type default, linear, yarn or longrope");
  if (scaling?.type === "yarn") {
    if (SLIDING.includes(name)) refuse("rope_parameters.rope_type", "rope_type default or linear");
    if (scaling.betaFast !== 32 || scaling.betaSlow !== 1 || !scaling.truncate)
      refuse("rope_parameters.beta_fast", "beta_fast 32, beta_slow 1 and truncate");
  }
}

/** The rotary positions of layers with full attention; of any layer where all slide. */
export function globalRope(a: Architecture): Rope | null {
  const rotary = a.layers.filter((layer) => layer.rope);
  return (rotary.find((layer) => layer.window === null) ?? rotary[0])?.rope ?? null;
}

/**
 * Positions within which llama.cpp computes what the model says: it gives most architectures full attention, which
 * is the same up to the window, and picks long or short rotary factors by the size of the context, not of the text.
 */
export function exactContextLength(name: string, a: Architecture): number {
  const windows = SLIDING.includes(name) ? [] : a.layers.map((layer: Layer) => layer.window ?? Number.POSITIVE_INFINITY);
  const scaling = globalRope(a)?.scaling;
  const switches = scaling?.type === "longrope" && scaling.shortFactors.some((factor, index) => factor !== scaling.longFactors[index]);
  return Math.min(a.maximumPositions, ...windows, switches ? scaling.originalPositions : Number.POSITIVE_INFINITY);
}

/** Which layers slide, where that differs from what llama.cpp assumes; null where it does not. */
export function slidingPattern(name: string, a: Architecture): boolean[] | null {
  const standard = name === "gemma2" ? 2 : 6;
  const slides = a.layers.map((layer) => layer.window !== null);
  return slides.every((sliding, index) => sliding === ((index + 1) % standard !== 0)) ? null : slides;
}

/** What llama.cpp multiplies queries and keys with under YaRN by itself (Peng et al., arXiv 2309.00071). */
export function yarnMagnitude(factor: number): number {
  return factor <= 1 ? 1 : 1 + 0.1 * Math.log(factor);
}
