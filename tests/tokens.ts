/**
 * Words, and where to look for them: what the tests on blindness and on special tokens search with.
 * @module
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Every word of a vocabulary: tokens that are four or more letters, in lower case. */
export function vocabularyWords(tokens: Iterable<string>): Set<string> {
  const words = new Set<string>();
  for (const token of tokens) {
    // GPT-2's alphabet writes a leading space as Ġ, SentencePiece as ▁.
    const word = token.replace(/^[\u0120\u2581 ]/, "").toLowerCase();
    if (/^[a-z]{4,}$/.test(word)) words.add(word);
  }
  return words;
}

/** The tokens of a `tokenizer.json`, added ones included. */
export function tokensOf(directory: string): string[] {
  const { model, added_tokens } = JSON.parse(readFileSync(join(directory, "tokenizer.json"), "utf8")) as {
    model: { vocab: Record<string, number> };
    added_tokens: { content: string }[];
  };
  return [...Object.keys(model.vocab), ...added_tokens.map(({ content }) => content)];
}

/** The words of a text (longest runs of letters, in lower case) that are in `words`. */
export function wordsIn(text: string, words: ReadonlySet<string>): Set<string> {
  return new Set((text.toLowerCase().match(/[a-z]+/g) ?? []).filter((word) => words.has(word)));
}

/** All files below a directory, with their bytes. */
export function filesBelow(directory: string): { path: string; bytes: Buffer }[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => ({ path, bytes: readFileSync(path) }));
}

/** The spellings in which a secret could lie around. */
export function spellings(secret: Uint8Array): Map<string, Buffer> {
  const bytes = Buffer.from(secret);
  const base64 = bytes.toString("base64");
  return new Map([
    ["raw", bytes],
    ["hexadecimal", Buffer.from(bytes.toString("hex"))],
    ["upper-case hexadecimal", Buffer.from(bytes.toString("hex").toUpperCase())],
    ["base64", Buffer.from(base64.replace(/=+$/, ""))],
    ["base64url", Buffer.from(bytes.toString("base64url"))],
    ["a list of bytes", Buffer.from([...bytes].slice(0, 12).join(","))],
  ]);
}
