/**
 * The ids that a GGUF's tokenizer singles out. llama.cpp also stops at tokens of certain texts; an
 * encrypted file names no texts, so those ids must be found while the texts are still there.
 * Source: llama.cpp, `llama_vocab::impl::load`.
 * @module
 */
import type { GgufValue } from "../checkpoint/gguf.ts";

/** Texts that end an answer wherever they occur in a vocabulary. */
const ENDS_GENERATION: ReadonlySet<string> = new Set([
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<|return|>",
  "<|call|>",
  "<|flush|>",
  "<|calls|>",
  "<end_of_turn>",
  "<|endoftext|>",
  "</s>",
  "<|eom_id|>",
  "<EOT>",
  "_<EOT>",
  "[EOT]",
  "[EOS]",
  "<|end_of_text|>",
  "<end_of_utterance>",
  "<eos>",
  "<turn|>",
  "<|tool_response>",
  "<｜end▁of▁sentence｜>",
]);

/** What llama.cpp assumes where a SentencePiece vocabulary names no id. */
const SENTENCEPIECE: Readonly<Record<string, number>> = { bos: 1, eos: 2 };

/** The id under `tokenizer.ggml.<role>_token_id`, or llama.cpp's assumption, or null; ids outside the vocabulary count as absent. */
export function specialId(metadata: ReadonlyMap<string, GgufValue>, role: string): number | null {
  const id = metadata.get(`tokenizer.ggml.${role}_token_id`)?.value;
  if (typeof id === "number" && id >= 0 && id < vocabularyLength(metadata)) return id;
  return metadata.get("tokenizer.ggml.model")?.value === "llama" ? (SENTENCEPIECE[role] ?? null) : null;
}

/** Every id at which llama.cpp ends an answer, the principal one first. */
export function endOfGenerationIds(metadata: ReadonlyMap<string, GgufValue>): number[] {
  const listed = metadata.get("unseen.eos_token_ids")?.value;
  if (Array.isArray(listed)) return (listed as unknown[]).filter((id): id is number => typeof id === "number");
  const ids = new Set<number>();
  for (const role of ["eos", "eot", "eom"]) {
    const id = specialId(metadata, role);
    if (id !== null) ids.add(id);
  }
  const tokens = metadata.get("tokenizer.ggml.tokens")?.value;
  if (Array.isArray(tokens)) {
    for (let id = 0; id < tokens.length; id += 1) if (ENDS_GENERATION.has(tokens[id] as string)) ids.add(id);
  }
  return [...ids];
}

/** Entries of the vocabulary; unbounded where the file lists none. */
function vocabularyLength(metadata: ReadonlyMap<string, GgufValue>): number {
  const tokens = metadata.get("tokenizer.ggml.tokens")?.value;
  return Array.isArray(tokens) ? tokens.length : Number.MAX_SAFE_INTEGER;
}
