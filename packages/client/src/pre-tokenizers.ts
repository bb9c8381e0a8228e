/**
 * How byte-level vocabularies cut a text into words before merging, by the name that GGUF files give it
 * (`tokenizer.ggml.pre`). Each entry is a sequence of patterns; the pieces between matches are words too.
 * @module
 */

/** Patterns, and what else the name stands for. */
export interface PreTokenizer {
  readonly patterns: readonly string[];
  /** A word that is in the vocabulary as a whole is taken whole. */
  readonly ignoreMerges?: boolean;
  /** A text begins with the beginning-of-text token unless the file says otherwise. */
  readonly addsBos?: boolean;
  /** Text is composed (Unicode NFC) first. */
  readonly composes?: boolean;
}

const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
const CONTRACTION = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)`;
const SPACES = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;
const CAPITALS = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const SMALLS = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;

/** Words of letters with one leading sign, `digits` as given, runs of other signs, line ends. */
function words(digits: string): string {
  return String.raw`${CONTRACTION}|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|${SPACES}`;
}

/** As {@link words}, but a capital begins a new word; contractions stay with theirs. */
function casedWords(digits: string, contraction: string): string {
  const lead = String.raw`[^\r\n\p{L}\p{N}]?`;
  return String.raw`${lead}${CAPITALS}*${SMALLS}+${contraction}|${lead}${CAPITALS}+${SMALLS}*${contraction}|${digits}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${SPACES}`;
}

const DIGIT = String.raw`\p{N}`;
const THREE_DIGITS = String.raw`\p{N}{1,3}`;

const gpt2: PreTokenizer = { patterns: [GPT2] };
const singleDigits: PreTokenizer = { patterns: [DIGIT, GPT2] };
const llama3: PreTokenizer = { patterns: [words(THREE_DIGITS)], ignoreMerges: true, addsBos: true };
const qwen2: PreTokenizer = { patterns: [words(DIGIT)] };
const gpt4o: PreTokenizer = { patterns: [casedWords(THREE_DIGITS, `${CONTRACTION}?`)] };
const deepseek3: PreTokenizer = {
  patterns: [
    THREE_DIGITS,
    String.raw`[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+`,
    String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_\u0060{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|${SPACES}`,
  ],
};

/** Every name that is known; others are refused, since a wrong guess would quietly ruin each prompt. */
export const preTokenizers: ReadonlyMap<string, PreTokenizer> = new Map<string, PreTokenizer>([
  ["default", { patterns: [String.raw`[\p{P}$+<=>^~|]+`, GPT2, String.raw`\p{N}+`, "[0-9][0-9][0-9]"] }],
  ["falcon", { patterns: [String.raw`[\p{P}$+<=>^~|\u0060]+`, GPT2, "[0-9][0-9][0-9]"] }],
  ...["gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "gigachat", "mellum", "a.x-4.0"].map(
    (name) => [name, gpt2] as const,
  ),
  ...["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"].map(
    (name) => [name, singleDigits] as const,
  ),
  ...["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "lfm2", "midm-2.0"].map((name) => [name, llama3] as const),
  ...["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"].map((name) => [name, { patterns: llama3.patterns }] as const),
  ["qwen2", { ...qwen2, composes: true }],
  [
    "qwen35",
    {
      patterns: [String.raw`${CONTRACTION}|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|${SPACES}`],
      composes: true,
    },
  ],
  ...["deepseek-r1-qwen", "stablelm2", "hunyuan", "solar-open", "megrez", "kormo", "grok-2"].map((name) => [name, qwen2] as const),
  ["tekken", { patterns: [casedWords(DIGIT, "")], ignoreMerges: true, addsBos: true }],
  ...["gpt-4o", "llama4", "kanana2", "minimax-m2"].map((name) => [name, gpt4o] as const),
  ...["deepseek-v3", "hunyuan-dense", "joyai-llm"].map((name) => [name, deepseek3] as const),
]);
