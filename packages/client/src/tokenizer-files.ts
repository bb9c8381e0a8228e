/**
 * Reading a tokenizer's files, which come from strangers: sizes and shapes are checked before use.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";

/** Bytes of one tokenizer file (CWE-770); the largest published ones have about 35 million. */
const MAXIMUM_FILE_BYTES = 256 * 1024 * 1024;
/** Largest token id: vocabularies of today end near 262,144 (CWE-789). */
const MAXIMUM_TOKEN_ID = 2 ** 24;
/** GPT-2's pattern as the reference spells it; its `\s` is Unicode White_Space, JavaScript's is not quite. */
const GPT2_PATTERN = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

type Json = Record<string, unknown>;

/** The contents of a tokenizer's files, as bytes, as text or already parsed. */
export interface TokenizerFiles {
  readonly tokenizerJson: Uint8Array | string | object;
  readonly tokenizerConfig?: Uint8Array | string | object | null | undefined;
  /** `chat_template.jinja`; takes precedence over the configuration's `chat_template`. */
  readonly chatTemplate?: Uint8Array | string | null | undefined;
}

/** Files whose shape is known. */
export interface ParsedTokenizerFiles {
  readonly tokenizerJson: Json;
  readonly tokenizerConfig: Json;
  readonly chatTemplate: unknown;
  /** `bos_token`, `eos_token`, ... as a template sees them. */
  readonly namedTokens: Readonly<Record<string, unknown>>;
  /** Spellings that the configuration calls special, whatever tokenizer.json says. */
  readonly specialSpellings: ReadonlySet<string>;
}

/** Checks and parses. @throws UnseenError BUNDLE_INVALID naming the file and the field */
export function parseTokenizerFiles(files: TokenizerFiles): ParsedTokenizerFiles {
  const tokenizerJson = {
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...parseObject("tokenizer.json", files.tokenizerJson),
  } as Json;
  tokenizerJson["added_tokens"] = checkAddedTokens(tokenizerJson["added_tokens"] ?? []);
  checkVocabulary(tokenizerJson["model"]);
  tokenizerJson["pre_tokenizer"] = exactByteLevel(tokenizerJson["pre_tokenizer"]);
  const tokenizerConfig = files.tokenizerConfig ? parseObject("tokenizer_config.json", files.tokenizerConfig) : {};
  const { namedTokens, specialSpellings } = readNamedTokens(tokenizerConfig);
  const file = files.chatTemplate ? text("chat_template.jinja", files.chatTemplate) : null;
  const chatTemplate = file || tokenizerConfig["chat_template"] || null;
  // remove_space and do_lowercase_and_remove_accent belong to slow tokenizers; tokenizer.json says it all.
  return { tokenizerJson, tokenizerConfig: { eos_token: namedTokens["eos_token"] }, chatTemplate, namedTokens, specialSpellings };
}

function text(name: string, content: Uint8Array | string): string {
  if (content.length > MAXIMUM_FILE_BYTES) throw invalid(name, `at most ${MAXIMUM_FILE_BYTES} bytes`);
  if (typeof content === "string") return content;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    throw invalid(name, "UTF-8");
  }
}

function parseObject(name: string, content: Uint8Array | string | object): Json {
  let value: unknown = content;
  if (typeof content === "string" || content instanceof Uint8Array) {
    try {
      value = JSON.parse(text(name, content));
    } catch (error) {
      if (UnseenError.isInstance(error)) throw error;
      throw invalid(name, "JSON");
    }
  }
  if (!isObject(value)) throw invalid(name, "a JSON object");
  return value;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTokenId(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAXIMUM_TOKEN_ID;
}

function checkAddedTokens(tokens: unknown): unknown[] {
  const valid =
    Array.isArray(tokens) && tokens.every((token) => isObject(token) && isTokenId(token["id"]) && typeof token["content"] === "string");
  if (!valid) throw invalid("tokenizer.json: added_tokens", `a list of {id, content} with ids up to ${MAXIMUM_TOKEN_ID}`);
  return tokens;
}

function checkVocabulary(model: unknown): void {
  if (!isObject(model)) throw invalid("tokenizer.json: model", "an object");
  const vocabulary = model["vocab"];
  if (Array.isArray(vocabulary)) {
    if (vocabulary.length > MAXIMUM_TOKEN_ID) throw invalid("tokenizer.json: model.vocab", `at most ${MAXIMUM_TOKEN_ID} entries`);
    return;
  }
  if (!isObject(vocabulary) || !Object.values(vocabulary).every(isTokenId)) {
    throw invalid("tokenizer.json: model.vocab", `a list, or an object of ids up to ${MAXIMUM_TOKEN_ID}`);
  }
}

/** Byte-level splitting through the general `Split`, whose classes are Unicode's as in the reference. */
function exactByteLevel(preTokenizer: unknown): unknown {
  if (!isObject(preTokenizer)) return preTokenizer ?? null;
  if (preTokenizer["type"] === "Sequence" && Array.isArray(preTokenizer["pretokenizers"])) {
    return { ...preTokenizer, pretokenizers: preTokenizer["pretokenizers"].map(exactByteLevel) };
  }
  if (preTokenizer["type"] !== "ByteLevel" || preTokenizer["use_regex"] === false || preTokenizer["add_prefix_space"] === true)
    return preTokenizer;
  const split = { type: "Split", pattern: { Regex: GPT2_PATTERN }, behavior: "Isolated", invert: false };
  return { type: "Sequence", pretokenizers: [split, { ...preTokenizer, use_regex: false }] };
}

const TOKEN_NAMES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

function readNamedTokens(config: Json): { namedTokens: Record<string, unknown>; specialSpellings: Set<string> } {
  const spelling = (value: unknown): string | undefined =>
    typeof value === "string" ? value : isObject(value) && typeof value["content"] === "string" ? value["content"] : undefined;
  const namedTokens: Record<string, unknown> = {};
  const specialSpellings = new Set<string>();
  for (const name of TOKEN_NAMES) {
    const token = spelling(config[name]);
    if (token === undefined) continue;
    namedTokens[name] = token;
    specialSpellings.add(token);
  }
  const extra = config["extra_special_tokens"];
  const lists = [config["additional_special_tokens"], isObject(extra) ? Object.values(extra) : extra];
  for (const token of lists.flatMap((list) => (Array.isArray(list) ? list : [])).map(spelling))
    if (token !== undefined) specialSpellings.add(token);
  const byId = config["added_tokens_decoder"];
  for (const entry of isObject(byId) ? Object.values(byId) : []) {
    if (isObject(entry) && entry["special"] === true && typeof entry["content"] === "string") specialSpellings.add(entry["content"]);
  }
  if (specialSpellings.size > 0) namedTokens["additional_special_tokens"] = (config["additional_special_tokens"] as unknown) ?? [];
  return { namedTokens, specialSpellings };
}

function invalid(what: string, expected: string): UnseenError {
  return new UnseenError("BUNDLE_INVALID", `${what}: expected ${expected}, got something else.`, {
    hint: "Take the file from the model's own directory.",
  });
}
