/**
 * Reads a Hugging Face `config.json` so that nothing that changes the mathematics goes unnoticed:
 * every field is either used, known to be without effect, or refused by name.
 * @module
 */
import { quote } from "../checkpoint/checks.ts";
import { UnseenError } from "../errors.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** Fields that describe training, storage or generation and never enter the forward pass. */
const WITHOUT_EFFECT = new Set([
  "_attn_implementation",
  "_attn_implementation_autoset",
  "_name_or_path",
  "architectures",
  "attention_dropout",
  "attn_pdrop",
  "auto_map",
  "begin_suppress_tokens",
  "bad_words_ids",
  "bos_token_id",
  "cls_token_id",
  "dtype",
  "embd_pdrop",
  "eos_token_id",
  "finetuning_task",
  "forced_bos_token_id",
  "forced_eos_token_id",
  "gradient_checkpointing",
  "id2label",
  "initializer_range",
  "label2id",
  "mask_token_id",
  "mlp_dropout",
  "model_type",
  "n_ctx",
  "output_attentions",
  "output_hidden_states",
  "output_router_logits",
  "pad_token_id",
  "pretraining_tp",
  "problem_type",
  "reorder_and_upcast_attn",
  "resid_pdrop",
  "resid_pdropout",
  "residual_dropout",
  "return_dict",
  "router_aux_loss_coef",
  "router_jitter_noise",
  "sep_token_id",
  "summary_activation",
  "summary_first_dropout",
  "summary_proj_to_labels",
  "summary_type",
  "summary_use_proj",
  "suppress_tokens",
  "task_specific_params",
  "tokenizer_class",
  "torch_dtype",
  "torchscript",
  "transformers_version",
  "use_cache",
  "vocab_size",
  "unsloth_version",
  "unsloth_fixed",
  "transformers.js_config",
  "decoder_start_token_id",
  "cache_implementation",
  "chunk_size_feed_forward",
  "is_decoder",
  "hidden_dropout",
  "attention_probs_dropout_prob",
  "hidden_dropout_prob",
  "use_flash_attn",
]);

/** Largest dimension that a configuration may name. Guards against absurd allocations (CWE-789). */
export const MAXIMUM_DIMENSION = 1 << 24;

/** Most layers, and most experts of one; the tables have an entry for each (CWE-770). */
const MAXIMUM_LAYERS = 1024;

/** Widest head. Its map is a dense matrix, made in cubic time (CWE-400); the widest known is 512. */
const MAXIMUM_HEAD_SIZE = 1024;

/** A configuration whose fields are ticked off as they are read. */
export class ConfigReader {
  readonly family: string;
  readonly #config: JsonObject;
  readonly #seen = new Set<string>();

  constructor(config: JsonObject) {
    const family = config["model_type"];
    if (typeof family !== "string") {
      throw new UnseenError("FAMILY_UNKNOWN", "config.json has no model_type.", {
        hint: "Add the model_type that the weights were made for.",
      });
    }
    this.family = family;
    this.#config = config;
  }

  /** The raw value, ticked off. */
  value(name: string): Json | undefined {
    this.#seen.add(name);
    return Object.hasOwn(this.#config, name) ? this.#config[name] : undefined;
  }

  /** The first of several spellings that is present. */
  #first(names: string | readonly string[]): [string, Json | undefined] {
    const list = typeof names === "string" ? [names] : names;
    let found: [string, Json | undefined] = [list[0] as string, undefined];
    for (const name of list) {
      const value = this.value(name);
      if (value !== undefined && value !== null && found[1] === undefined) found = [name, value];
    }
    return found;
  }

  /** A positive whole number; `fallback` where the field is absent or null. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  count(names: string | readonly string[], fallback?: number, maximum = MAXIMUM_DIMENSION): number {
    const [name, value] = this.#first(names);
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value <= 0 || value > maximum) {
      throw this.#refusal(name, value, `a whole number from 1 to ${maximum}`);
    }
    return value;
  }

  /** The number of layers or of experts. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  members(names: string | readonly string[]): number {
    return this.count(names, undefined, MAXIMUM_LAYERS);
  }

  /** A whole number, possibly zero; `fallback` where the field is absent or null. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  whole(name: string, fallback: number): number {
    return this.value(name) === 0 ? 0 : this.count(name, fallback);
  }

  /** `head_dim`, or the hidden size divided among the heads. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  headSize(fallback: number): number {
    const size = this.count("head_dim", fallback);
    if (Number.isSafeInteger(size) && size <= MAXIMUM_HEAD_SIZE) return size;
    throw this.#refusal(
      "head_dim",
      size,
      `a whole number up to ${MAXIMUM_HEAD_SIZE} (hidden_size / num_attention_heads where it is absent)`,
    );
  }

  /** A positive finite number. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  positive(names: string | readonly string[], fallback?: number): number {
    const [name, value] = this.#first(names);
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) throw this.#refusal(name, value, "a positive number");
    return value;
  }

  /** A positive finite number; null where it is null, `fallback` where it is absent. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  optionalPositive(name: string, fallback: number | null = null): number | null {
    const value = this.value(name);
    if (value === undefined) return fallback;
    return value === null ? null : this.positive(name);
  }

  /** A positive whole number; null where it is null, `fallback` where it is absent. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  optionalCount(name: string, fallback: number | null = null): number | null {
    const value = this.value(name);
    if (value === undefined) return fallback;
    return value === null ? null : this.count(name);
  }

  /** A list of `length` entries, each one of `allowed`; null where absent or null. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  list<T extends Json>(name: string, length: number, allowed: readonly T[]): readonly T[] | null {
    const value = this.value(name);
    if (value === undefined || value === null) return null;
    const valid = Array.isArray(value) && value.length === length && value.every((entry) => allowed.includes(entry as T));
    if (!valid) throw this.#refusal(name, value, `a list of ${length}, each ${allowed.map((entry) => JSON.stringify(entry)).join(" or ")}`);
    return value as unknown as readonly T[];
  }

  /** An object; null where absent or null. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  object(name: string): JsonObject | null {
    const value = this.value(name);
    if (value === undefined || value === null) return null;
    if (!isObject(value)) throw this.#refusal(name, value, "an object");
    return value;
  }

  /** A boolean. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  flag(name: string, fallback: boolean): boolean {
    const value = this.value(name);
    if (value === undefined || value === null) return fallback;
    if (typeof value !== "boolean") throw this.#refusal(name, value, "true or false");
    return value;
  }

  /** A string. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  text(names: string | readonly string[], fallback?: string): string {
    const [name, value] = this.#first(names);
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value !== "string") throw this.#refusal(name, value, "a string");
    return value;
  }

  /** Refuses every value but the given ones. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  only(name: string, allowed: readonly Json[]): void {
    const value = this.value(name);
    if (value === undefined || value === null || allowed.some((entry) => JSON.stringify(entry) === JSON.stringify(value))) return;
    throw this.#refusal(name, value, allowed.map((entry) => JSON.stringify(entry)).join(" or "));
  }

  /** Refuses fields that nobody ticked off, unless null, false or empty. Call last. Throws `FAMILY_UNKNOWN_FIELD`. */
  finish(): void {
    const unknown = Object.entries(this.#config).filter(
      ([name, value]) => !this.#seen.has(name) && !WITHOUT_EFFECT.has(name) && !isInert(value),
    );
    if (unknown.length === 0) return;
    const more = unknown.length > 8 ? ` and ${unknown.length - 8} more` : "";
    const names =
      unknown
        .slice(0, 8)
        .map(([name]) => quote(name))
        .join(", ") + more;
    throw new UnseenError("FAMILY_UNKNOWN_FIELD", `config.json of family ${this.family} has fields of unknown effect: ${names}.`, {
      hint: "If they do not change the forward pass, remove them from config.json and try again.",
    });
  }

  #refusal(name: string, value: Json | undefined, expected: string): UnseenError {
    const got = value === undefined ? "nothing" : typeof value === "string" ? quote(value) : JSON.stringify(value).slice(0, 80);
    return new UnseenError(
      "FAMILY_UNSUPPORTED_VALUE",
      `config.json field ${name} of family ${this.family} must be ${expected}, got ${got}.`,
      {
        hint: "This variant of the family has no proven transformation.",
      },
    );
  }
}

function isInert(value: Json): boolean {
  return value === null || value === false || value === "" || (Array.isArray(value) && value.length === 0);
}

/** Narrows JSON to an object. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
