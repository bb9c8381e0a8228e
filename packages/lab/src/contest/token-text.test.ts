/** One text means one token, however a vocabulary marks its spaces. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { byteAlphabet, byteLevelTokenizer, sentencePieceTokenizer } from "@unseen/client/example-tokenizers.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { tokenTexts, withSpaces } from "./token-text.ts";

const wordPiece = TextTokenizer.fromFiles({
  tokenizerJson: {
    model: { type: "WordPiece", unk_token: "[UNK]", vocab: { "[UNK]": 0, the: 1, ing: 2, "##ing": 3, "##er": 4, ".": 5 } },
    normalizer: null,
    pre_tokenizer: { type: "BertPreTokenizer" },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    added_tokens: [],
  },
});
const tokenizers = {
  "byte-level": byteLevelTokenizer(),
  SentencePiece: sentencePieceTokenizer(),
  WordPiece: wordPiece,
  "the bundled model": await TextTokenizer.load(fileURLToPath(new URL("../../../unseen/models/story-llama", import.meta.url))),
};

test("marks at the beginning are spaces, marks elsewhere are not", () => {
  for (const [text, expected] of [
    ["Ġan", " an"],
    ["▁an", " an"],
    [" an", " an"],
    ["an", "an"],
    ["ĠĠĠ", "   "],
    ["▁ Ġx", "   x"],
    ["a▁b", "a▁b"],
    ["", ""],
  ] as const)
    assert.equal(withSpaces(text), expected);
});

test("a token may be written as it is spelled or as it reads", () => {
  const texts = (name: keyof typeof tokenizers, token: string): string[] =>
    tokenTexts(tokenizers[name])(tokenizers[name].idOf(token) ?? assert.fail(token));
  assert.deepEqual(texts("byte-level", "Ġthe"), [" the"]);
  assert.deepEqual(texts("byte-level", "Ċ"), ["Ċ", "\n"]);
  assert.deepEqual(texts("byte-level", "<|user|>"), ["<|user|>"]);
  // A lone byte of a sequence reads as nothing.
  assert.deepEqual(texts("byte-level", byteAlphabet[0xf0]!), [byteAlphabet[0xf0]]);
  assert.deepEqual(texts("SentencePiece", "▁on"), [" on"]);
  assert.deepEqual(texts("SentencePiece", "<0x0A>"), ["<0x0A>", "\n"]);
  // "t" is another token, so the byte of that letter is called by its number alone.
  assert.deepEqual(texts("SentencePiece", "<0x74>"), ["<0x74>"]);
  assert.deepEqual(texts("WordPiece", "the"), ["the", " the"]);
  assert.deepEqual(texts("WordPiece", "##ing"), ["##ing"]);
  assert.deepEqual(texts("WordPiece", "##er"), ["##er", "er"]);
});

for (const [name, tokenizer] of Object.entries(tokenizers)) {
  test(`no text means two tokens of ${name}`, () => {
    const textsOf = tokenTexts(tokenizer);
    const owners = new Map<string, number>();
    for (let id = 0; id < tokenizer.size; id += 1) {
      const texts = textsOf(id);
      assert.ok(texts.length >= 1 && texts.every((text) => text !== "" && withSpaces(text) === text), `token ${id}`);
      for (const text of texts) {
        assert.equal(owners.get(text), undefined, `tokens ${owners.get(text)} and ${id}`);
        owners.set(text, id);
      }
    }
    assert.ok(owners.size >= tokenizer.size);
  });
}
