import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { openGguf } from "@unseen/core/checkpoint/gguf.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { needs, sharedPath } from "../../../tests/shared.ts";
import { byteAlphabet, metadata } from "./example-tokenizers.ts";
import { preTokenizers } from "./pre-tokenizers.ts";
import { TextTokenizer } from "./tokenizer.ts";
import { tokenizerFilesFromGguf } from "./tokenizer-from-gguf.ts";

function build(values: Readonly<Record<string, unknown>>): TextTokenizer {
  const files = tokenizerFilesFromGguf(metadata(values));
  return TextTokenizer.fromFiles({
    tokenizerJson: files["tokenizer.json"]!,
    tokenizerConfig: files["tokenizer_config.json"],
    chatTemplate: files["chat_template.jinja"],
  });
}

for (const [gguf, directory] of [
  ["data/models/stories260K-f32.gguf", "data/models/stories260K-hf"],
  ["assets/story-llama/story-llama-f16.gguf", "assets/story-llama"],
] as const) {
  test(`${gguf}: the same ids as the model's own tokenizer.json on long texts`, needs(gguf), async () => {
    const rebuilt = build(Object.fromEntries([...(await openGguf(sharedPath(gguf)!)).metadata].map(([key, { value }]) => [key, value])));
    const original = await TextTokenizer.load(sharedPath(directory)!);
    for (const name of ["tinystories", "tinyshakespeare", "wikitext2-test"]) {
      const path = sharedPath(`data/text/${name}.txt`);
      const text = path === null ? "The fox and the 7 herons." : (await readFile(path, "utf8")).slice(0, 150_000);
      assert.deepEqual(rebuilt.encode(text, { specialTokens: true }), original.encode(text, { specialTokens: true }), name);
    }
    assert.equal(rebuilt.hasChatTemplate, original.hasChatTemplate);
    for (let id = 0; id < original.size; id++) {
      assert.deepEqual(rebuilt.tokenBytes(id), original.tokenBytes(id));
      assert.equal(rebuilt.isSpecial(id), original.isSpecial(id));
    }
  });
}

/** Where a pre-tokenizer cuts: one token a word, by a vocabulary without merges that holds every word. */
function wordsOf(name: string, text: string): string[] {
  const { patterns } = preTokenizers.get(name)!;
  const cut = (pieces: string[], pattern: string): string[] =>
    pieces.flatMap((piece) => {
      // A plain reading of "isolate the matches", to compare with the tokenizer library's own.
      const expression = new RegExp(
        pattern.replace(
          /\(\?i:([^)]*)\)/g,
          (_, body: string) => `(?:${body.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`)})`,
        ),
        "gu",
      );
      const parts: string[] = [];
      let end = 0;
      for (const match of piece.matchAll(expression)) {
        parts.push(piece.slice(end, match.index), match[0]);
        end = match.index + match[0].length;
      }
      return [...parts, piece.slice(end)].filter((part) => part !== "");
    });
  return patterns.reduce(cut, [text]);
}

test("pre-tokenizers cut as their models were trained", () => {
  const text = "I'LL buy 12345 XMLParsers, ok?\n\n  Très 雪 x=1;";
  assert.deepEqual(wordsOf("gpt-2", text), [
    "I",
    "'",
    "LL",
    " buy",
    " 12345",
    " XMLParsers",
    ",",
    " ok",
    "?",
    "\n\n ",
    " Très",
    " 雪",
    " x",
    "=",
    "1",
    ";",
  ]);
  assert.deepEqual(wordsOf("smollm", "a 123"), ["a", " ", "1", "2", "3"]);
  assert.deepEqual(wordsOf("llama-bpe", text), [
    "I",
    "'LL",
    " buy",
    " ",
    "123",
    "45",
    " XMLParsers",
    ",",
    " ok",
    "?\n\n",
    " ",
    " Très",
    " 雪",
    " x",
    "=",
    "1",
    ";",
  ]);
  assert.deepEqual(wordsOf("qwen2", "a 123.\n"), ["a", " ", "1", "2", "3", ".\n"]);
  assert.deepEqual(wordsOf("gpt-4o", "XMLParsers don't"), ["XMLParsers", " don't"]);
  assert.deepEqual(wordsOf("tekken", "aB 12"), ["a", "B", " ", "1", "2"]);
  assert.deepEqual(wordsOf("deepseek-v3", "a1234雪b"), ["a", "123", "4", "雪", "b"]);
});

test("every known pre-tokenizer builds, and its words are those of a plain reading of its patterns", () => {
  const text = "Don't PANIC: 1234 foxes,\r\n\tnaïve 雪の夜... (ok) A-B_c a1 🦊!";
  for (const name of preTokenizers.keys()) {
    const words = wordsOf(name, text);
    const encode = (word: string): string => Array.from(Buffer.from(word), (byte) => byteAlphabet[byte]).join("");
    const tokens = [...new Set(words.map(encode))];
    // ignore_merges is not used by every kind, so each word is also reachable by merges of its prefixes.
    const pieces = new Set([...byteAlphabet, ...tokens]);
    const merges = new Set<string>();
    for (const token of tokens) {
      for (let length = 1; length < token.length; length++) {
        pieces.add(token.slice(0, length + 1));
        merges.add(`${token.slice(0, length)} ${token[length]}`);
      }
    }
    const tokenizer = build({ model: "gpt2", pre: name, tokens: [...pieces], merges: [...merges] });
    const ids = tokenizer.encode(text, { specialTokens: false });
    assert.equal(tokenizer.decode(ids), text, name);
    // No token reaches over the border between two words.
    const ends = new Set<number>();
    words.reduce((offset, word) => (ends.add(offset + Buffer.byteLength(word)), offset + Buffer.byteLength(word)), 0);
    const tokenEnds = new Set<number>();
    ids.reduce((offset, id) => (tokenEnds.add(offset + tokenizer.tokenBytes(id).length), offset + tokenizer.tokenBytes(id).length), 0);
    for (const end of ends) assert.ok(tokenEnds.has(end), `${name}: a token reaches over byte ${end}`);
  }
});

test("what the file says about the beginning, the end and the special tokens", () => {
  const base = {
    model: "gpt2",
    pre: "gpt-2",
    tokens: ["a", "<s>", "</s>", "<tool>"],
    token_type: [1, 3, 3, 4],
    merges: [],
    bos_token_id: 1,
    eos_token_id: 2,
  };
  assert.deepEqual(build(base).encode("a", { specialTokens: true }), [0]);
  assert.deepEqual(build({ ...base, add_bos_token: true, add_eos_token: true }).encode("a", { specialTokens: true }), [1, 0, 2]);
  assert.deepEqual(
    build({ ...base, pre: "llama-bpe" }).encode("a", { specialTokens: true }),
    [1, 0],
    "Llama 3 begins a text unless told not to",
  );
  const tokenizer = build(base);
  assert.deepEqual(
    [0, 1, 2, 3].map((id) => tokenizer.isSpecial(id)),
    [false, true, true, false],
  );
  assert.deepEqual(tokenizer.encode("a<tool>", { specialTokens: false, parseSpecial: true }), [0, 3]);
});

test("merges from scores: the best-scored union first, a score's owner whatever its parts", () => {
  const tokens = ["<unk>", "a", "b", "c", "ab", "bc", "abc", "\u2581"];
  const scored = (ab: number, bc: number): TextTokenizer =>
    build({
      model: "llama",
      tokens,
      scores: [0, 0, 0, 0, ab, bc, -9, 0],
      token_type: [2, 1, 1, 1, 1, 1, 1, 1],
      add_space_prefix: false,
      unknown_token_id: 0,
    });
  assert.deepEqual(scored(-1, -2).encode("abbc", { specialTokens: false }), [4, 5]);
  assert.deepEqual(scored(-1, -2).encode("abc", { specialTokens: false }), [6]);
  assert.deepEqual(scored(-1, -2).encode("bab", { specialTokens: false }), [2, 4]);
});

test("what cannot be rebuilt is refused, saying what to give instead", () => {
  const base = { model: "gpt2", pre: "gpt-2", tokens: ["a"], merges: [] };
  const refusals: [Record<string, unknown>, string, RegExp][] = [
    [{}, "TOKENIZER_MISSING", /got none/],
    [{ model: "t5" }, "TOKENIZER_MISSING", /"t5"/],
    [{ ...base, pre: "martian" }, "TOKENIZER_MISSING", /"martian"/],
    [{ ...base, "unseen.fingerprint": "00" }, "TOKENIZER_MISSING", /encrypted/],
    [{ ...base, tokens: undefined }, "BUNDLE_INVALID", /tokens/],
    [{ ...base, tokens: [] }, "BUNDLE_INVALID", /tokens/],
    [{ ...base, tokens: [1] }, "BUNDLE_INVALID", /tokens/],
    [{ ...base, merges: ["ab"] }, "BUNDLE_INVALID", /merges/],
    [{ ...base, merges: ["a b c"] }, "BUNDLE_INVALID", /merges/],
    [{ ...base, token_type: [1, 1] }, "BUNDLE_INVALID", /token_type/],
    [{ ...base, bos_token_id: 7, add_bos_token: true }, "BUNDLE_INVALID", /bos_token_id/],
    [{ ...base, "tokenizer.chat_template": 7 }, "BUNDLE_INVALID", /chat_template/],
    [{ model: "llama", tokens: ["a"] }, "BUNDLE_INVALID", /scores/],
    [{ model: "llama", tokens: ["a"], scores: [1, 2] }, "BUNDLE_INVALID", /scores/],
  ];
  for (const [values, code, message] of refusals) {
    assert.throws(
      () => build(values),
      (error) => UnseenError.isInstance(error) && error.code === code && message.test(error.message) && error.hint!.includes("--tokenizer"),
      JSON.stringify(values),
    );
  }
});
