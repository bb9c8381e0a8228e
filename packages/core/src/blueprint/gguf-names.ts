/**
 * What llama.cpp calls the tensors of a Hugging Face checkpoint: one table, read in both directions.
 * A bias is listed only where llama.cpp reads it. Source: llama.cpp, `src/models/*.cpp`.
 * @module
 */
import { UnseenError } from "../errors.ts";
import type { RotaryLayout } from "./spaces.ts";

interface Names {
  /** `model_type`s of Hugging Face that this architecture runs. */
  readonly types: readonly string[];
  /** Which dimensions of a head llama.cpp rotates together. */
  readonly rotary: RotaryLayout;
  /** What precedes the number of a layer. */
  readonly layers: string;
  /** Outside of layers: Hugging Face name to GGUF name, without `.weight`. */
  readonly ends: Readonly<Record<string, string>>;
  /** Inside a layer; `#` stands for the number of an expert, stacked along the first axis in GGUF. */
  readonly parts: Readonly<Record<string, string>>;
  /** GGUF names whose `.bias` is read. */
  readonly biased: readonly string[];
}

const ENDS = { "model.embed_tokens": "token_embd", "model.norm": "output_norm", lm_head: "output" };
const ATTENTION = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
};
const NORMED = { "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm" };
const AFTER = { post_attention_layernorm: "ffn_norm" };
const DENSE = { "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down" };
const MIXTRAL = {
  "block_sparse_moe.gate": "ffn_gate_inp",
  "block_sparse_moe.experts.#.w1": "ffn_gate_exps",
  "block_sparse_moe.experts.#.w3": "ffn_up_exps",
  "block_sparse_moe.experts.#.w2": "ffn_down_exps",
};
const QWEN_EXPERTS = {
  "mlp.gate": "ffn_gate_inp",
  "mlp.experts.#.gate_proj": "ffn_gate_exps",
  "mlp.experts.#.up_proj": "ffn_up_exps",
  "mlp.experts.#.down_proj": "ffn_down_exps",
};
const GEMMA = {
  ...ATTENTION,
  ...DENSE,
  post_attention_layernorm: "post_attention_norm",
  pre_feedforward_layernorm: "ffn_norm",
  post_feedforward_layernorm: "post_ffw_norm",
};
const QKV = ["attn_q", "attn_k", "attn_v"];
const HALF = { rotary: "half", layers: "model.layers", ends: ENDS } as const;

const ARCHITECTURES: Readonly<Record<string, Names>> = {
  llama: {
    types: ["llama", "mistral", "mixtral"],
    rotary: "interleaved",
    layers: "model.layers",
    ends: ENDS,
    parts: { ...ATTENTION, ...AFTER, ...DENSE, ...MIXTRAL },
    biased: [...QKV, "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
  },
  smollm3: { types: ["smollm3"], ...HALF, rotary: "interleaved", parts: { ...ATTENTION, ...AFTER, ...DENSE }, biased: QKV },
  qwen2: { types: ["qwen2"], ...HALF, parts: { ...ATTENTION, ...AFTER, ...DENSE }, biased: QKV },
  qwen3: { types: ["qwen3"], ...HALF, parts: { ...ATTENTION, ...NORMED, ...AFTER, ...DENSE }, biased: QKV },
  qwen3moe: { types: ["qwen3_moe"], ...HALF, parts: { ...ATTENTION, ...NORMED, ...AFTER, ...QWEN_EXPERTS }, biased: QKV },
  phi3: {
    types: ["phi3"],
    ...HALF,
    parts: {
      input_layernorm: "attn_norm",
      "self_attn.qkv_proj": "attn_qkv",
      "self_attn.o_proj": "attn_output",
      ...AFTER,
      "mlp.gate_up_proj": "ffn_up",
      "mlp.down_proj": "ffn_down",
    },
    biased: ["attn_qkv"],
  },
  gemma2: {
    types: ["gemma2"],
    ...HALF,
    // llama.cpp always takes the embedding as head here.
    ends: { "model.embed_tokens": "token_embd", "model.norm": "output_norm" },
    parts: GEMMA,
    biased: QKV,
  },
  gemma3: { types: ["gemma3_text"], ...HALF, parts: { ...GEMMA, ...NORMED }, biased: QKV },
  gpt2: {
    types: ["gpt2"],
    rotary: "half",
    layers: "transformer.h",
    ends: { "transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm", lm_head: "output" },
    parts: {
      ln_1: "attn_norm",
      "attn.c_attn": "attn_qkv",
      "attn.c_proj": "attn_output",
      ln_2: "ffn_norm",
      "mlp.c_fc": "ffn_up",
      "mlp.c_proj": "ffn_down",
    },
    biased: ["attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down", "output_norm"],
  },
};

/** Rotary frequency factors that llama.cpp reads, by architecture. */
const FACTORS: Readonly<Record<string, readonly string[]>> = {
  llama: ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"],
  phi3: ["rope_factors_long.weight", "rope_factors_short.weight"],
};

/** Whether a GGUF tensor has no axis that a key touches, and is copied as it is. */
export function isExtraTensor(architecture: string, ggufName: string): boolean {
  return own(FACTORS, architecture)?.includes(ggufName) ?? false;
}

/** The architecture name in GGUF of a Hugging Face `model_type`. Throws `FAMILY_UNKNOWN`. */
export function ggufArchitecture(modelType: string): string {
  for (const [architecture, names] of Object.entries(ARCHITECTURES)) if (names.types.includes(modelType)) return architecture;
  throw new UnseenError("FAMILY_UNKNOWN", `model_type ${JSON.stringify(modelType)} has no GGUF architecture.`, {
    hint: "Write safetensors instead (leave out --format gguf).",
  });
}

/** How a GGUF architecture pairs the dimensions of a head under rotary positions. Throws `FAMILY_UNKNOWN`. */
export function ggufRotaryLayout(architecture: string): RotaryLayout {
  return namesOf(architecture).rotary;
}

/** The GGUF tensor that holds a Hugging Face tensor, and the expert's place in it; null where llama.cpp has none. */
export function ggufPlace(architecture: string, hfName: string): { name: string; expert?: number } | null {
  const names = namesOf(architecture);
  const [stem, kind] = splitKind(hfName);
  if (stem === null) return null;
  const end = own(names.ends, stem);
  if (end !== undefined) return allowed(names, end, kind) ? { name: `${end}.${kind}` } : null;
  if (!stem.startsWith(`${names.layers}.`)) return null;
  const inLayer = NUMBERED.exec(stem.slice(names.layers.length + 1));
  if (!inLayer) return null;
  let expert: number | undefined;
  const pattern = (inLayer[2] as string).replace(EXPERT, (_, digits: string) => {
    expert = Number(digits);
    return "experts.#.";
  });
  const part = own(names.parts, pattern);
  if (part === undefined || !allowed(names, part, kind) || pattern.includes("#") !== (expert !== undefined)) return null;
  const name = `blk.${inLayer[1]}.${part}.${kind}`;
  return expert === undefined ? { name } : { name, expert };
}

/** The inverse of {@link ggufPlace}; null where the architecture has no such tensor, or where `expert` is missing or too much. */
export function huggingFaceName(architecture: string, ggufName: string, expert?: number): string | null {
  const names = namesOf(architecture);
  const [stem, kind] = splitKind(ggufName);
  if (stem === null) return null;
  const inLayer = stem.startsWith("blk.") ? NUMBERED.exec(stem.slice(4)) : null;
  const part = inLayer ? (inLayer[2] as string) : stem;
  const found = Object.entries(inLayer ? names.parts : names.ends).find(([, name]) => name === part);
  if (!found || !allowed(names, part, kind) || found[0].includes("#") !== (expert !== undefined)) return null;
  const name = found[0].replace("#", String(expert));
  return inLayer ? `${names.layers}.${inLayer[1]}.${name}.${kind}` : `${name}.${kind}`;
}

/** Whether a GGUF tensor stacks the experts of a layer along its first axis. */
export function stacksExperts(ggufName: string): boolean {
  return ggufName.endsWith("_exps.weight");
}

const NUMBERED = /^(0|[1-9]\d{0,5})\.(.+)$/;
const EXPERT = /\bexperts\.(0|[1-9]\d{0,5})\./;

function namesOf(architecture: string): Names {
  const names = own(ARCHITECTURES, architecture);
  if (names) return names;
  throw new UnseenError("FAMILY_UNKNOWN", `GGUF architecture ${JSON.stringify(architecture)} is not a known family.`, {
    hint: `Known: ${Object.keys(ARCHITECTURES).join(", ")}. A model of another family is never transformed by guess.`,
  });
}

function splitKind(name: string): [string, "weight" | "bias"] | [null, null] {
  if (name.endsWith(".weight")) return [name.slice(0, -".weight".length), "weight"];
  if (name.endsWith(".bias")) return [name.slice(0, -".bias".length), "bias"];
  return [null, null];
}

function allowed(names: Names, part: string, kind: "weight" | "bias"): boolean {
  return kind === "weight" || names.biased.includes(part);
}

/** A table's own entry: names come from files, so `constructor` must find nothing (CWE-1321). */
function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
