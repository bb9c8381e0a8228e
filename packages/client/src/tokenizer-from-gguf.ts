/**
 * Rebuilds a Hugging Face tokenizer from the vocabulary inside a GGUF file, so that a model that comes as one file
 * needs nothing else.
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { preTokenizers } from "./pre-tokenizers.ts";

/** GGUF metadata by key; values carry their type. */
export type GgufMetadata = ReadonlyMap<string, { readonly value: unknown }>;

/** Tokens of one vocabulary (CWE-789). */
const MAXIMUM_TOKENS = 2 ** 24;
/** Characters of a piece whose ways of being merged are listed (CWE-407); real pieces stay below 100. */
const MAXIMUM_PIECE_LENGTH = 512;

/** `tokenizer.ggml.token_type` */
const UNKNOWN = 2,
  CONTROL = 3,
  USER_DEFINED = 4;
const NORMAL = 1;

interface Vocabulary {
  readonly tokens: readonly string[];
  readonly types: readonly number[]; // (tokens)
}

/**
 * The tokenizer files of a GGUF model, by name, as a bundle holds them.
 *
 * Covers `gpt2` (byte-level BPE, by `tokenizer.ggml.pre`) and `llama` (SentencePiece BPE, merges from scores).
 *
 * @throws UnseenError TOKENIZER_MISSING for other kinds, BUNDLE_INVALID when the metadata contradicts itself
 */
export function tokenizerFilesFromGguf(metadata: GgufMetadata): Record<string, string> {
  const kind = metadata.get("tokenizer.ggml.model")?.value;
  if (metadata.has("unseen.fingerprint")) throw missing("an encrypted model, whose tokenizer stays with the key holder");
  if (kind !== "gpt2" && kind !== "llama") throw missing(typeof kind === "string" ? `kind ${JSON.stringify(kind.slice(0, 40))}` : "none");
  const vocabulary = readVocabulary(metadata);
  const tokenizer = kind === "gpt2" ? byteLevel(metadata, vocabulary) : sentencePiece(metadata, vocabulary);
  const files: Record<string, string> = {
    "tokenizer.json": JSON.stringify(tokenizer),
    "tokenizer_config.json": JSON.stringify(configuration(metadata, vocabulary), null, 2),
  };
  const template = text(metadata, "tokenizer.chat_template");
  if (template !== undefined) files["chat_template.jinja"] = template;
  return files;
}

function byteLevel(metadata: GgufMetadata, vocabulary: Vocabulary): object {
  const name = text(metadata, "tokenizer.ggml.pre") ?? "default";
  const preTokenizer = preTokenizers.get(name);
  if (!preTokenizer) throw missing(`byte-level with the unknown pre-tokenizer ${JSON.stringify(name.slice(0, 40))}`);
  const merges = list(metadata, "tokenizer.ggml.merges", "string").map((merge) => {
    const pair = (merge as string).split(" ");
    if (pair.length !== 2) throw invalid("tokenizer.ggml.merges", "two pieces with one space between", "another form");
    return pair;
  });
  const splits = preTokenizer.patterns.map((Regex) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false }));
  const byteLevelStep = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens(vocabulary),
    normalizer: preTokenizer.composes ? { type: "NFC" } : null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [...splits, byteLevelStep] },
    post_processor: surround(metadata, vocabulary, preTokenizer.addsBos ?? false),
    decoder: { ...byteLevelStep, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: preTokenizer.ignoreMerges ?? false,
      vocab: identifiers(vocabulary),
      merges,
    },
  };
}

function sentencePiece(metadata: GgufMetadata, vocabulary: Vocabulary): object {
  const prefix = metadata.get("tokenizer.ggml.add_space_prefix")?.value !== false;
  const space = { pattern: { String: " " }, content: "\u2581" };
  const unknown = tokenOf(metadata, "unknown", vocabulary) ?? vocabulary.tokens[vocabulary.types.indexOf(UNKNOWN)] ?? null;
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens(vocabulary),
    normalizer: {
      type: "Sequence",
      normalizers: [...(prefix ? [{ type: "Prepend", prepend: "\u2581" }] : []), { type: "Replace", ...space }],
    },
    pre_tokenizer: null,
    post_processor: surround(metadata, vocabulary, true),
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "\u2581" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: unknown,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: identifiers(vocabulary),
      merges: mergesFromScores(vocabulary, list(metadata, "tokenizer.ggml.scores", "number") as number[]),
    },
  };
}

/**
 * The merge table that a scored vocabulary implies: every way to put a piece together from two others, the
 * best-scored piece first. SentencePiece merges the neighbours whose union scores best, so the orders agree.
 */
function mergesFromScores({ tokens, types }: Vocabulary, scores: readonly number[]): string[][] {
  if (scores.length !== tokens.length) throw invalid("tokenizer.ggml.scores", `${tokens.length} numbers`, `${scores.length}`);
  const pieces = new Map<string, number>(); // piece -> id
  for (const [id, token] of tokens.entries()) if (types[id] === NORMAL) pieces.set(token, id);
  const merges: { pair: [string, string]; score: number; left: number; right: number }[] = [];
  for (const [piece, id] of pieces) {
    const characters = Array.from(piece);
    if (characters.length > MAXIMUM_PIECE_LENGTH) continue;
    for (let cut = 1; cut < characters.length; cut++) {
      const pair: [string, string] = [characters.slice(0, cut).join(""), characters.slice(cut).join("")];
      const [left, right] = [pieces.get(pair[0]), pieces.get(pair[1])];
      if (left !== undefined && right !== undefined) merges.push({ pair, score: scores[id]!, left, right });
    }
  }
  return merges.toSorted((a, b) => b.score - a.score || a.left - b.left || a.right - b.right).map(({ pair }) => pair);
}

function readVocabulary(metadata: GgufMetadata): Vocabulary {
  const tokens = list(metadata, "tokenizer.ggml.tokens", "string") as string[];
  if (tokens.length === 0 || tokens.length > MAXIMUM_TOKENS)
    throw invalid("tokenizer.ggml.tokens", `1 to ${MAXIMUM_TOKENS} tokens`, `${tokens.length}`);
  const types = metadata.has("tokenizer.ggml.token_type")
    ? (list(metadata, "tokenizer.ggml.token_type", "number") as number[])
    : tokens.map(() => NORMAL);
  if (types.length !== tokens.length) throw invalid("tokenizer.ggml.token_type", `${tokens.length} types`, `${types.length}`);
  return { tokens, types };
}

function identifiers({ tokens }: Vocabulary): Record<string, number> {
  return Object.fromEntries(tokens.map((token, id) => [token, id]));
}

function addedTokens({ tokens, types }: Vocabulary): object[] {
  return tokens.flatMap((content, id) => {
    const type = types[id];
    if (content === "" || (type !== CONTROL && type !== UNKNOWN && type !== USER_DEFINED)) return [];
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: type !== USER_DEFINED }];
  });
}

/** The tokens that the model was trained to see around a text. */
function surround(metadata: GgufMetadata, vocabulary: Vocabulary, addsBos: boolean): object | null {
  const flag = (name: string, otherwise: boolean): boolean => {
    const value = metadata.get(`tokenizer.ggml.add_${name}_token`)?.value;
    return typeof value === "boolean" ? value : otherwise;
  };
  const bos = flag("bos", addsBos) ? tokenOf(metadata, "bos", vocabulary) : undefined;
  const eos = flag("eos", false) ? tokenOf(metadata, "eos", vocabulary) : undefined;
  const special = (token: string | undefined): object[] => (token === undefined ? [] : [{ SpecialToken: { id: token, type_id: 0 } }]);
  const template = (...names: string[]): object[] =>
    names.flatMap((id) => [...special(bos), { Sequence: { id, type_id: 0 } }, ...special(eos)]);
  if (bos === undefined && eos === undefined) return null;
  const named = [bos, eos].filter((token) => token !== undefined);
  const entries = named.map((token) => [token, { id: token, ids: [vocabulary.tokens.indexOf(token)], tokens: [token] }]);
  return { type: "TemplateProcessing", single: template("A"), pair: template("A", "B"), special_tokens: Object.fromEntries(entries) };
}

function configuration(metadata: GgufMetadata, vocabulary: Vocabulary): object {
  const named = Object.entries({ bos: "bos_token", eos: "eos_token", unknown: "unk_token", padding: "pad_token" });
  const tokens = named.flatMap(([name, field]) => {
    const token = tokenOf(metadata, name, vocabulary);
    return token === undefined ? [] : [[field, token] as const];
  });
  return { tokenizer_class: "PreTrainedTokenizerFast", ...Object.fromEntries(tokens), clean_up_tokenization_spaces: false };
}

function tokenOf(metadata: GgufMetadata, name: string, { tokens }: Vocabulary): string | undefined {
  const id = metadata.get(`tokenizer.ggml.${name}_token_id`)?.value;
  if (id === undefined) return undefined;
  const token = Number.isInteger(id) ? tokens[id as number] : undefined;
  if (token === undefined) throw invalid(`tokenizer.ggml.${name}_token_id`, `an id below ${tokens.length}`, "another value");
  return token;
}

function text(metadata: GgufMetadata, key: string): string | undefined {
  const value = metadata.get(key)?.value;
  if (value === undefined || typeof value === "string") return value;
  throw invalid(key, "a string", "something else");
}

function list(metadata: GgufMetadata, key: string, type: "string" | "number"): unknown[] {
  const value = metadata.get(key)?.value;
  const items = ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>) : value;
  // oxlint-disable-next-line valid-typeof -- the type is a parameter
  if (Array.isArray(items) && items.every((item) => typeof item === type)) return items;
  throw invalid(key, `a list of ${type}s`, items === undefined ? "none" : "something else");
}

function missing(got: string): UnseenError {
  return new UnseenError("TOKENIZER_MISSING", `GGUF tokenizer: expected a gpt2 or llama vocabulary, got ${got}.`, {
    hint: "Give the directory of the model's tokenizer.json with --tokenizer DIR.",
  });
}

function invalid(key: string, expected: string, got: string): UnseenError {
  return new UnseenError("BUNDLE_INVALID", `GGUF ${key}: expected ${expected}, got ${got}.`, {
    hint: "Give the directory of the model's tokenizer.json with --tokenizer DIR.",
  });
}
