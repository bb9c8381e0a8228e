/**
 * Token ids in configuration files: which fields hold them, and how they change with the vocabulary.
 * Leaving one behind gives the server a known pair, or a model that never stops.
 * @module
 */
import { UnseenError } from "../errors.ts";
import { isObject, type Json, type JsonObject } from "./config.ts";

/** Fields of `config.json` and `generation_config.json` that hold ids, beside everything named `*_token_id(s)`. */
const ID_FIELDS = new Set([
  "suppress_tokens",
  "begin_suppress_tokens",
  "forced_decoder_ids",
  "bad_words_ids",
  "force_words_ids",
  "image_token_index",
]);

/** Fields whose entries pair an id with something else, and which half is the id: the other is a position in the answer. */
const PAIRED_IDS: ReadonlyMap<string, 0 | 1> = new Map([["forced_decoder_ids", 1]]);

/** Fields of `generation_config.json` that are safe to publish: sampling defaults, no text. */
const GENERATION_FIELDS = new Set([
  "do_sample",
  "max_length",
  "max_new_tokens",
  "min_length",
  "min_new_tokens",
  "temperature",
  "top_k",
  "top_p",
  "min_p",
  "typical_p",
  "repetition_penalty",
  "length_penalty",
  "num_beams",
  "num_return_sequences",
  "no_repeat_ngram_size",
  "use_cache",
  "transformers_version",
  "_from_model_config",
]);

/** Fields of `config.json` that could name the plain model, its language or its labels. */
const PRIVATE_FIELDS = new Set([
  "sequence_bias",
  "_name_or_path",
  "id2label",
  "label2id",
  "finetuning_task",
  "task_specific_params",
  "auto_map",
  "tokenizer_class",
  "unsloth_version",
  "unsloth_fixed",
  "transformers.js_config",
]);

/** Whether a field's numbers are token ids. */
function holdsIds(field: string): boolean {
  return ID_FIELDS.has(field) || /(^|_)token_ids?$/.test(field);
}

/**
 * A `config.json` that is safe to upload: ids enciphered, nothing that names the plain model.
 * Throws `TOKEN_OUT_OF_RANGE` for an id that is no row of the embedding.
 */
export function sealConfig(config: JsonObject, encipher: (id: number) => number, changes: JsonObject): JsonObject {
  const kept = Object.entries(config).filter(([field]) => !PRIVATE_FIELDS.has(field));
  return { ...Object.fromEntries(kept.map(([field, value]) => [field, sealField(field, value, encipher)])), ...changes };
}

function sealField(field: string, value: Json, encipher: (id: number) => number): Json {
  if (holdsIds(field)) return mapIds(value, encipher, field);
  // Each tower of a model with several has its own configuration.
  return field.endsWith("_config") && isObject(value) ? sealConfig(value, encipher, {}) : value;
}

/** Class names that say nothing, for a configuration to publish: loaders count them. */
export function neutralLabels(classes: number): JsonObject {
  const names = Array.from({ length: classes }, (_, index) => [String(index), `LABEL_${index}`] as const);
  return { id2label: Object.fromEntries(names), label2id: Object.fromEntries(names.map(([index, name]) => [name, Number(index)])) };
}

/** A `generation_config.json` that is safe to upload. Throws `TOKEN_OUT_OF_RANGE`. */
export function sealGenerationConfig(config: JsonObject, encipher: (id: number) => number): JsonObject {
  const kept = Object.entries(config).filter(([field]) => GENERATION_FIELDS.has(field) || holdsIds(field));
  return Object.fromEntries(kept.map(([field, value]) => [field, holdsIds(field) ? mapIds(value, encipher, field) : value]));
}

function mapIds(value: Json, encipher: (id: number) => number, field: string): Json {
  const half = PAIRED_IDS.get(field);
  if (half === undefined || !Array.isArray(value)) return mapNumbers(value, encipher, field);
  return (value as readonly Json[]).map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2) throw notIds(field, pair);
    return (pair as readonly Json[]).map((part, index) => (index === half ? mapNumbers(part, encipher, field) : part));
  });
}

function mapNumbers(value: Json, encipher: (id: number) => number, field: string): Json {
  if (Array.isArray(value)) return value.map((entry) => mapNumbers(entry, encipher, field));
  if (value === null || value === false || value === -1) return value; // transformers' "none"
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw notIds(field, value);
  return encipher(value);
}

/** Whatever cannot be enciphered must not be published either. */
function notIds(field: string, value: Json): UnseenError {
  const got = typeof value === "number" ? String(value) : Array.isArray(value) ? "a list of another form" : typeof value;
  return new UnseenError("TOKEN_OUT_OF_RANGE", `field ${field} must hold token ids, got ${got}.`, {
    hint: "Correct the configuration, or remove the field.",
  });
}

/** The plain ids that end an answer: `generation_config.json` first, `config.json` else. */
export function endOfSequenceIds(config: JsonObject, generationConfig: JsonObject | null): number[] {
  const value = generationConfig?.["eos_token_id"] ?? config["eos_token_id"];
  const list = Array.isArray(value) ? value : [value];
  return list.filter((id): id is number => typeof id === "number" && id >= 0);
}

/** A single plain id, or null. */
export function singleId(config: JsonObject, generationConfig: JsonObject | null, field: string): number | null {
  const value = generationConfig?.[field] ?? config[field];
  return typeof value === "number" && value >= 0 ? value : null;
}
