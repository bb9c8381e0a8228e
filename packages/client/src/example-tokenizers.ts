/**
 * Three small tokenizers, one of each kind, for tests that must run without any model.
 * @module
 */
import { TextTokenizer } from "./tokenizer.ts";
import { tokenizerFilesFromGguf } from "./tokenizer-from-gguf.ts";

const NORMAL = 1,
  UNKNOWN = 2,
  CONTROL = 3,
  BYTE = 6;

/** The 256 symbols of GPT-2's byte alphabet, in byte order. */
export const byteAlphabet = Array.from({ length: 256 }, (_, byte) => {
  const printable = (value: number): boolean =>
    (value >= 0x21 && value <= 0x7e) || (value >= 0xa1 && value <= 0xac) || (value >= 0xae && value <= 0xff);
  if (printable(byte)) return String.fromCharCode(byte);
  return String.fromCharCode(0x100 + Array.from({ length: byte }, (_unused, value) => value).filter((value) => !printable(value)).length);
});

/** Byte-level: control tokens, 256 bytes, and a few merges, one of which ends inside a UTF-8 sequence. */
export function byteLevelTokenizer(
  chatTemplate?: string,
  controls: readonly string[] = ["<|bos|>", "<|user|>", "<|assistant|>", "<|end|>"],
): TextTokenizer {
  const [first, second] = Array.from(Buffer.from("🦊").subarray(0, 2), (byte) => byteAlphabet[byte]!);
  const merges = [
    ["t", "h"],
    ["th", "e"],
    ["Ġ", "the"],
    ["Ġ", "a"],
    [first!, second!],
  ];
  const tokens = [...controls, ...byteAlphabet, ...merges.map((pair) => pair.join(""))];
  const files = tokenizerFilesFromGguf(
    metadata({
      model: "gpt2",
      pre: "gpt-2",
      tokens,
      token_type: tokens.map((_, id) => (id < controls.length ? CONTROL : NORMAL)),
      merges: merges.map((pair) => pair.join(" ")),
      bos_token_id: 0,
      eos_token_id: controls.length - 1,
      add_bos_token: true,
    }),
  );
  return TextTokenizer.fromFiles({
    tokenizerJson: files["tokenizer.json"]!,
    tokenizerConfig: files["tokenizer_config.json"],
    chatTemplate,
  });
}

/** SentencePiece BPE with byte fallback: `<unk> <s> </s>`, 256 bytes, a few scored pieces. */
export function sentencePieceTokenizer(chatTemplate?: string): TextTokenizer {
  const pieces = ["\u2581", "t", "h", "e", "a", "o", "n", "c", "\u2581t", "he", "\u2581the", "on", "\u2581on", "é", "."];
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...pieces];
  const files = tokenizerFilesFromGguf(
    metadata({
      model: "llama",
      tokens,
      scores: tokens.map((_, id) => (id < 259 ? 0 : 259 - id)),
      token_type: tokens.map((_, id) => (id === 0 ? UNKNOWN : id < 3 ? CONTROL : id < 259 ? BYTE : NORMAL)),
      bos_token_id: 1,
      eos_token_id: 2,
      unknown_token_id: 0,
    }),
  );
  return TextTokenizer.fromFiles({
    tokenizerJson: files["tokenizer.json"]!,
    tokenizerConfig: files["tokenizer_config.json"],
    chatTemplate,
  });
}

/** GGUF metadata with the keys' common prefix left out. */
export function metadata(values: Readonly<Record<string, unknown>>): Map<string, { value: unknown }> {
  return new Map(Object.entries(values).map(([key, value]) => [key.includes(".") ? key : `tokenizer.ggml.${key}`, { value }]));
}
