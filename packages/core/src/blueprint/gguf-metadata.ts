/**
 * What a GGUF says beside its tensors: the mathematics, for files made from a Hugging Face directory,
 * and a vocabulary that names no word.
 * Source: llama.cpp, `llama_model_base::load_hparams`, `llama_vocab::impl::load`, `conversion/*.py`.
 * @module
 */
import type { GgufValue } from "../checkpoint/gguf.ts";
import type { FloatFormat } from "../checkpoint/tensor.ts";
import { UnseenError } from "../errors.ts";
import type { Architecture, Rope } from "./architecture.ts";
import type { JsonObject } from "./config.ts";
import { checkLlamaCpp, exactContextLength, globalRope, slidingPattern, yarnMagnitude } from "./gguf-limits.ts";
import { ggufArchitecture } from "./gguf-names.ts";
import { endOfGenerationIds } from "./gguf-special-ids.ts";

/** `general.file_type`: what most of the weights are. */
const FILE_TYPES: Readonly<Record<FloatFormat, number>> = { F32: 0, F16: 1, Q8_0: 7, BF16: 32 };
/** Kinds of tokens in `tokenizer.ggml.token_type`. */
const NORMAL = 1;
const CONTROL = 3;
/** Most tokens of a placeholder vocabulary (CWE-789). */
const MAXIMUM_VOCABULARY = 1 << 22;

const u32 = (value: number): GgufValue => ({ type: "u32", value });
const f32 = (value: number): GgufValue => ({ type: "f32", value });
const text = (value: string): GgufValue => ({ type: "string", value });
const flag = (value: boolean): GgufValue => ({ type: "bool", value });

/**
 * The metadata from which llama.cpp computes what `config.json` says; add a vocabulary before writing.
 * `context_length` is cut to where llama.cpp is exact.
 *
 * @param options.name goes into `general.name`, in public
 * @param options.format what most weights are stored as
 * @throws `FAMILY_UNKNOWN`, or `FAMILY_UNSUPPORTED_VALUE` naming what llama.cpp would compute otherwise
 */
export function ggufMetadata(
  config: JsonObject,
  architecture: Architecture,
  options: { name: string; format?: FloatFormat },
): Map<string, GgufValue> {
  const a = architecture;
  const name = ggufArchitecture(a.family);
  checkLlamaCpp(name, config, a);
  const experts = a.layers[0]?.experts ?? null;
  const general: [string, GgufValue][] = [
    ["general.architecture", text(name)],
    ["general.type", text("model")],
    ["general.name", text(options.name)],
  ];
  if (options.format) general.push(...statedFormat(options.format));
  const own: [string, GgufValue][] = [
    ["vocab_size", u32(a.vocabulary)],
    ["context_length", u32(exactContextLength(name, a))],
    ["embedding_length", u32(a.hidden)],
    ["block_count", u32(a.layers.length)],
    ["feed_forward_length", u32(a.neurons)],
    ["attention.head_count", u32(a.heads)],
    ["attention.head_count_kv", u32(a.kvHeads)],
    ["attention.key_length", u32(a.headSize)],
    ["attention.value_length", u32(a.headSize)],
    [a.norm.kind === "rms" ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon", f32(a.norm.epsilon)],
    ...ropeMetadata(name, a),
    ...windowMetadata(name, a),
  ];
  if (a.attentionCap !== null) own.push(["attn_logit_softcapping", f32(a.attentionCap)]);
  if (a.finalCap !== null) own.push(["final_logit_softcapping", f32(a.finalCap)]);
  if (experts) own.push(["expert_count", u32(experts.count)], ["expert_used_count", u32(experts.perToken)]);
  if (experts && name === "qwen3moe") own.push(["expert_feed_forward_length", u32(experts.neurons)]);
  return new Map([...general, ...own.map(([key, value]): [string, GgufValue] => [`${name}.${key}`, value])]);
}

/** The metadata that say what most weights are stored as. */
export function statedFormat(format: FloatFormat): [string, GgufValue][] {
  const type: [string, GgufValue] = ["general.file_type", u32(FILE_TYPES[format])];
  return format === "Q8_0" ? [type, ["general.quantization_version", u32(2)]] : [type];
}

function ropeMetadata(name: string, a: Architecture): [string, GgufValue][] {
  const rope = globalRope(a);
  if (!rope) return [];
  const { scaling } = rope;
  const rows: [string, GgufValue][] = [
    ["rope.dimension_count", u32(rope.dimensions)],
    ["rope.freq_base", f32(rope.theta)],
  ];
  if (name === "gemma3") {
    const local = a.layers.find((layer) => layer.window !== null)?.rope;
    if (local) rows.push(["rope.freq_base_swa", f32(local.theta)]);
  }
  switch (scaling?.type) {
    case "linear":
      rows.push(["rope.scaling.type", text("linear")], ["rope.scaling.factor", f32(scaling.factor)]);
      break;
    case "yarn":
      rows.push(
        ["rope.scaling.type", text("yarn")],
        ["rope.scaling.factor", f32(scaling.factor)],
        ["rope.scaling.original_context_length", u32(scaling.originalPositions)],
        // llama.cpp multiplies this with YaRN's usual magnitude.
        ["rope.scaling.attn_factor", f32(scaling.attentionFactor / yarnMagnitude(scaling.factor))],
      );
      break;
    case "longrope":
      rows.push(
        ["rope.scaling.type", text("longrope")],
        ["rope.scaling.original_context_length", u32(scaling.originalPositions)],
        ["rope.scaling.attn_factor", f32(scaling.attentionFactor)],
      );
      break;
    default: // llama3 is written as factors, a tensor
  }
  return rows;
}

function windowMetadata(name: string, a: Architecture): [string, GgufValue][] {
  if (name !== "gemma2" && name !== "gemma3") return [];
  const window = a.layers.find((layer) => layer.window !== null)?.window ?? null;
  // gemma2 has a default window, so no window is a window as long as the context.
  if (window === null) return name === "gemma2" ? [["attention.sliding_window", u32(a.maximumPositions)]] : [];
  const pattern = slidingPattern(name, a);
  const rows: [string, GgufValue][] = [["attention.sliding_window", u32(window)]];
  if (pattern) rows.push(["attention.sliding_window_pattern", { type: "array", of: "bool", value: pattern }]);
  return rows;
}

/** A tensor that the metadata cannot express, in F32. */
export interface ExtraTensor {
  readonly name: string;
  readonly shape: readonly [number];
  readonly values: Float64Array;
}

/** The divisors of the rotary frequencies under `llama3` and `longrope` scaling, (rotary dimensions / 2); otherwise nothing. */
export function extraTensors(architecture: Architecture): ExtraTensor[] {
  const rope = globalRope(architecture);
  const tensor = (name: string, values: readonly number[]): ExtraTensor => ({
    name,
    shape: [values.length],
    values: Float64Array.from(values),
  });
  switch (rope?.scaling?.type) {
    case "llama3":
      return [tensor("rope_freqs.weight", llama3Factors(rope, rope.scaling))];
    case "longrope":
      return [tensor("rope_factors_long.weight", rope.scaling.longFactors), tensor("rope_factors_short.weight", rope.scaling.shortFactors)];
    default:
      return [];
  }
}

/** Llama 3.1's scaling: long waves are stretched, short ones left, those between blended. */
function llama3Factors(rope: Rope, scaling: Extract<Rope["scaling"], { type: "llama3" }>): number[] {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalPositions } = scaling;
  return Array.from({ length: rope.dimensions / 2 }, (_, pair) => {
    const wavelength = 2 * Math.PI * rope.theta ** ((2 * pair) / rope.dimensions);
    if (wavelength < originalPositions / highFrequencyFactor) return 1;
    if (wavelength > originalPositions / lowFrequencyFactor) return factor;
    const share = (originalPositions / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return 1 / ((1 - share) / factor + share);
  });
}

/**
 * A vocabulary without words, `<t0>` to `<tN-1>`, that llama.cpp and node-llama-cpp load. The file tells the host the
 * numbers at which an answer ends, and nothing else.
 *
 * @param size rows of the embedding
 * @param ids as the host sees them, already enciphered. Without any `eos`, llama.cpp still takes some id for one (bos, pad or 0).
 * @throws `TOKEN_OUT_OF_RANGE`, `CHECKPOINT_TOO_LARGE`
 */
export function placeholderVocabulary(
  size: number,
  ids: { eos: readonly number[]; bos: number | null; pad: number | null },
): Map<string, GgufValue> {
  if (size > MAXIMUM_VOCABULARY)
    throw new UnseenError("CHECKPOINT_TOO_LARGE", `a vocabulary of ${size} tokens exceeds ${MAXIMUM_VOCABULARY}.`);
  for (const id of [...ids.eos, ids.bos ?? 0, ids.pad ?? 0]) {
    if (!Number.isSafeInteger(id) || id < 0 || id >= size)
      throw new UnseenError("TOKEN_OUT_OF_RANGE", `a special id lies outside the vocabulary of ${size}.`);
  }
  const [eos = ids.bos ?? ids.pad ?? 0, turn, message] = ids.eos;
  const types = Array.from({ length: size }, () => NORMAL);
  for (const id of ids.eos) types[id] = CONTROL; // node-llama-cpp reports an end token only where it is a control token
  const vocabulary = new Map<string, GgufValue>([
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.pre", text("default")],
    ["tokenizer.ggml.tokens", { type: "array", of: "string", value: Array.from({ length: size }, (_, id) => `<t${id}>`) }],
    ["tokenizer.ggml.token_type", { type: "array", of: "i32", value: types }],
    // Readers want merges, and some of them more than none; this one can never apply, since no token is a single letter.
    ["tokenizer.ggml.merges", { type: "array", of: "string", value: ["< t"] }],
    ["tokenizer.ggml.eos_token_id", u32(eos)],
    ["tokenizer.ggml.add_bos_token", flag(false)],
    ["tokenizer.ggml.add_eos_token", flag(false)],
    ["unseen.eos_token_ids", { type: "array", of: "u32", value: [...ids.eos] }],
  ]);
  // llama.cpp stops at these three by itself; a host stops at the whole list.
  if (turn !== undefined) vocabulary.set("tokenizer.ggml.eot_token_id", u32(turn));
  if (message !== undefined) vocabulary.set("tokenizer.ggml.eom_token_id", u32(message));
  if (ids.bos !== null) vocabulary.set("tokenizer.ggml.bos_token_id", u32(ids.bos));
  if (ids.pad !== null) vocabulary.set("tokenizer.ggml.padding_token_id", u32(ids.pad));
  return vocabulary;
}

/** What of `general.*` stays in an encrypted file; names, sources, authors, tags and sampling advice go. */
const KEPT_GENERAL: ReadonlySet<string> = new Set([
  "general.architecture",
  "general.type",
  "general.file_type",
  "general.quantization_version",
  "general.alignment",
  "general.license",
]);
const ID = /^tokenizer\.ggml\.[a-z_]+_token_id$/;
const ID_LIST = /^tokenizer\.ggml\.(suppress_tokens|[a-z_]+_token_ids)$/;

/**
 * The metadata of a GGUF for its encrypted twin: the mathematics as it was, a placeholder vocabulary, every special id
 * enciphered, and nothing that names a word, a template or an origin. `general.license` stays: it binds whoever has the file.
 *
 * @param encipher from the ids of this file to the ids of the new one
 */
export function sealGgufMetadata(
  metadata: ReadonlyMap<string, GgufValue>,
  encipher: (id: number) => number,
  vocabularySize: number,
): Map<string, GgufValue> {
  const inside = (id: unknown): id is number => typeof id === "number" && Number.isSafeInteger(id) && id >= 0 && id < vocabularySize;
  const prefix = `${String(metadata.get("general.architecture")?.value)}.`;
  const sealed = new Map<string, GgufValue>();
  // The layout of the data says which training code the weights came from, and nothing that an engine reads.
  const isKept = (key: string): boolean => KEPT_GENERAL.has(key) || (key.startsWith(prefix) && key !== `${prefix}tensor_data_layout`);
  for (const [key, value] of metadata) if (isKept(key)) sealed.set(key, value);
  const eos = endOfGenerationIds(metadata).filter(inside).map(encipher);
  for (const [key, value] of placeholderVocabulary(vocabularySize, { eos, bos: null, pad: null })) sealed.set(key, value);
  for (const [key, entry] of metadata) {
    if (ID.test(key) && inside(entry.value)) sealed.set(key, u32(encipher(entry.value)));
    if (ID_LIST.test(key) && Array.isArray(entry.value)) {
      sealed.set(key, { type: "array", of: "i32", value: (entry.value as unknown[]).filter(inside).map(encipher) });
    }
  }
  return sealed;
}
