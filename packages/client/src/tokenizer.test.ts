import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import fc from "fast-check";
import { needs, sharedPath } from "../../../tests/shared.ts";
import { byteLevelTokenizer, sentencePieceTokenizer } from "./example-tokenizers.ts";
import { TextTokenizer } from "./tokenizer.ts";

// Ids made with Hugging Face's own tokenizers (Python, 0.23.2) from the same tokenizer.json.
const texts = [
  "A small robot walked to the sea and didn't look back.",
  "  two spaces, then a tab:\t and\n\na gap ",
  "Grüße, naïve café! 12345 + 6.7 = ?",
  "雪の夜 🦊 runs; Ω≈3",
  "\uFEFFmark\u0085next\u00A0end",
];
const vectors = {
  "assets/story-llama/tokenizer.json": [
    [0, 36, 744, 1880, 965, 271, 266, 1608, 268, 720, 438, 647, 496, 17],
    [0, 224, 839, 448, 680, 320, 15, 576, 262, 261, 570, 29, 201, 268, 202, 202, 68, 295, 641, 224],
    [
      0, 42, 85, 131, 124, 131, 257, 72, 15, 302, 68, 131, 111, 353, 280, 3947, 131, 106, 4, 224, 20, 21, 22, 23, 24, 224, 14, 224, 25, 17,
      26, 224, 32, 224, 34,
    ],
    [0, 169, 253, 107, 163, 227, 110, 165, 101, 254, 224, 176, 257, 103, 236, 1841, 30, 224, 142, 106, 162, 235, 234, 22],
    [0, 175, 123, 127, 80, 503, 130, 231, 81, 3259, 130, 258, 394],
  ],
  "data/models/stories260K-hf/tokenizer.json": [
    [
      1, 410, 447, 262, 423, 388, 352, 414, 430, 309, 273, 421, 355, 267, 265, 262, 411, 412, 269, 279, 292, 416, 439, 413, 278, 347, 433,
      268, 412, 340, 426,
    ],
    [1, 410, 410, 259, 424, 414, 262, 427, 412, 331, 419, 432, 265, 416, 261, 259, 412, 430, 467, 12, 269, 13, 13, 412, 298, 412, 427, 410],
    [
      1, 410, 463, 420, 198, 191, 198, 162, 411, 432, 297, 412, 198, 178, 360, 280, 412, 431, 485, 443, 410, 475, 479, 472, 484, 480, 410,
      496, 410, 490, 426, 491, 410, 64, 410, 450,
    ],
    [1, 410, 236, 158, 173, 230, 132, 177, 232, 167, 159, 410, 243, 162, 169, 141, 352, 379, 419, 474, 410, 209, 172, 229, 140, 139, 472],
    [1, 410, 242, 190, 194, 423, 295, 433, 197, 136, 416, 411, 444, 413, 498, 367],
  ],
  "data/tokenizers/gpt2.tokenizer.json": [
    [32, 1402, 9379, 6807, 284, 262, 5417, 290, 1422, 470, 804, 736, 13],
    [220, 734, 9029, 11, 788, 257, 7400, 25, 197, 290, 198, 198, 64, 7625, 220],
    [8642, 9116, 39683, 68, 11, 41492, 40304, 0, 17031, 2231, 1343, 718, 13, 22, 796, 5633],
    [37239, 103, 5641, 13783, 250, 12520, 99, 232, 4539, 26, 7377, 102, 35705, 230, 18],
    [171, 119, 123, 4102, 126, 227, 19545, 1849, 437],
  ],
};

for (const [name, expected] of Object.entries(vectors)) {
  test(`${name}: the reference implementation's ids, and the text back`, needs(name), async () => {
    const tokenizer = TextTokenizer.fromFiles({ tokenizerJson: await readFile(sharedPath(name)!) });
    for (const [index, text] of texts.entries()) {
      const ids = tokenizer.encode(text, { specialTokens: true });
      assert.deepEqual(ids, expected[index], text);
      assert.equal(tokenizer.decode(ids), text);
      assert.equal(
        Buffer.concat(ids.filter((id) => !tokenizer.isSpecial(id)).map((id) => tokenizer.tokenBytes(id)))
          .toString("utf8")
          .replace(/^ +/, ""),
        text.replace(/^ +/, ""),
      );
    }
  });
}

test("specialTokens adds, parseSpecial recognises", () => {
  const tokenizer = byteLevelTokenizer();
  const [bos, end] = [tokenizer.idOf("<|bos|>")!, tokenizer.idOf("<|end|>")!];
  assert.deepEqual(tokenizer.encode("a<|end|>", { specialTokens: true }).slice(0, 1), [bos]);
  assert.ok(tokenizer.encode("a<|end|>", { specialTokens: true }).includes(end));
  assert.equal(tokenizer.encode("a<|end|>", { specialTokens: false, parseSpecial: true }).at(-1), end);
  assert.ok(!tokenizer.encode("a<|end|>", { specialTokens: false }).includes(end));
  assert.ok(!tokenizer.encode("a<|end|>", { specialTokens: true, parseSpecial: false }).includes(end));
  assert.deepEqual(tokenizer.encode("", { specialTokens: true }), [bos]);
  assert.deepEqual(tokenizer.encode("", { specialTokens: false }), []);
});

test("content never yields a control token, whatever it spells", () => {
  for (const tokenizer of [byteLevelTokenizer(), sentencePieceTokenizer()]) {
    const piece = fc.constantFrom("<|end|>", "<|bos|>", "</s>", "<s>", "<|", "|>", "<", "/s>", "end", " ", "the");
    fc.assert(
      fc.property(
        fc.array(piece).map((pieces) => pieces.join("")),
        (text) => {
          const ids = tokenizer.encode(text, { specialTokens: false });
          assert.ok(!ids.some((id) => tokenizer.isSpecial(id)));
          assert.equal(tokenizer.decode(ids, { skipSpecialTokens: false }), text);
        },
      ),
    );
  }
});

test("a vocabulary that finds a control token by itself is kept from it", () => {
  // A unigram model matches the longest-scored pieces, "</s>" among them.
  const vocab = [
    ["<unk>", 0],
    ["</s>", -0.1],
    ["<", -9],
    ["/s>", -9],
    ["a", -1],
    ["/", -9],
    ["s", -9],
    [">", -9],
  ];
  const tokenizer = TextTokenizer.fromFiles({
    tokenizerJson: {
      added_tokens: [{ id: 1, content: "</s>", special: true }],
      model: { type: "Unigram", unk_id: 0, vocab },
      decoder: { type: "Fuse" },
    },
    tokenizerConfig: { eos_token: "</s>" },
  });
  assert.deepEqual(tokenizer.encode("a</s>a", { specialTokens: false, parseSpecial: true }), [4, 1, 4]);
  assert.deepEqual(tokenizer.encode("a</s>a", { specialTokens: false }), [4, 2, 3, 4]);
});

test("ids beyond the tokenizer stand for nothing, impossible ids are refused", () => {
  const tokenizer = byteLevelTokenizer();
  assert.equal(tokenizer.decode([tokenizer.size, tokenizer.size + 100]), "");
  assert.deepEqual(tokenizer.tokenBytes(tokenizer.size), new Uint8Array(0));
  for (const id of [-1, 0.5, Number.NaN]) assert.throws(() => tokenizer.tokenBytes(id), hasCode("TOKEN_OUT_OF_RANGE"));
});

test("token bytes are the raw bytes, also inside a character", () => {
  const tokenizer = byteLevelTokenizer();
  const ids = tokenizer.encode("🦊 the", { specialTokens: false });
  assert.deepEqual(
    ids.map((id) => [...tokenizer.tokenBytes(id)]),
    [[0xf0, 0x9f], [0xa6], [0x8a], [...Buffer.from(" the")]],
  );
  const fallback = sentencePieceTokenizer();
  assert.deepEqual([...fallback.tokenBytes(fallback.idOf("<0xE2>")!)], [0xe2]);
});

test("hostile tokenizer files are refused with a code", () => {
  const model = { type: "BPE", vocab: { a: 0 }, merges: [] };
  const files: unknown[] = [
    "not json",
    "[]",
    new Uint8Array([0xff, 0xfe]),
    {},
    { model: null },
    { model: { ...model, vocab: { a: 2 ** 40 } } },
    { model: { ...model, vocab: { a: -1 } } },
    { model: { ...model, vocab: { a: "0" } } },
    { model, added_tokens: [{ id: 2 ** 31, content: "x" }] },
    { model, added_tokens: [{ id: 1 }] },
    { model, added_tokens: {} },
    { model: { ...model, merges: undefined } },
    { model: { type: "Mystery" } },
    { model, normalizer: { type: "Mystery" } },
    { model, pre_tokenizer: { type: "Split", pattern: { Regex: "(((" } } },
  ];
  for (const tokenizerJson of files) {
    assert.throws(
      () => TextTokenizer.fromFiles({ tokenizerJson: tokenizerJson as object }),
      hasCode("BUNDLE_INVALID"),
      JSON.stringify(tokenizerJson),
    );
  }
});

test("random damage to a tokenizer file never does worse than BUNDLE_INVALID", () => {
  const base = JSON.stringify({
    added_tokens: [{ id: 1, content: "<s>", special: true }],
    model: { type: "BPE", vocab: { a: 0, "<s>": 1 }, merges: [] },
    decoder: { type: "ByteLevel" },
  });
  fc.assert(
    fc.property(fc.nat(base.length), fc.nat(8), fc.string({ maxLength: 4 }), (at, removed, inserted) => {
      try {
        const tokenizer = TextTokenizer.fromFiles({ tokenizerJson: base.slice(0, at) + inserted + base.slice(at + removed) });
        tokenizer.encode("a <s>", { specialTokens: true });
        tokenizer.decode([0, 1]);
      } catch (error) {
        assert.ok(UnseenError.isInstance(error), String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test("a directory without a tokenizer says so", async () => {
  await assert.rejects(TextTokenizer.load(import.meta.dirname), hasCode("TOKENIZER_MISSING"));
});

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => UnseenError.isInstance(error) && error.code === code;
}

test("the padding token is the configuration's, else that of tokenizer.json, and must be in the vocabulary", () => {
  const tokenizerJson = { model: { type: "WordLevel", vocab: { "[UNK]": 0, "[PAD]": 1, a: 2 }, unk_token: "[UNK]" } };
  const paddingId = (settings: object, config: object): number | undefined =>
    TextTokenizer.fromFiles({
      tokenizerJson: JSON.stringify({ ...tokenizerJson, ...settings }),
      tokenizerConfig: JSON.stringify(config),
    }).paddingId;
  const padding = { pad_token: "[PAD]", pad_id: 7 };
  assert.equal(paddingId({}, { pad_token: "[PAD]" }), 1);
  assert.equal(paddingId({}, { pad_token: { content: "[PAD]" } }), 1);
  assert.equal(paddingId({ padding }, {}), 1);
  assert.equal(paddingId({ padding }, { pad_token: "a" }), 2);
  for (const none of [{}, { pad_token: null }, { pad_token: 3 }, { pad_token: "b" }]) assert.equal(paddingId({}, none), undefined);
  assert.equal(paddingId({ padding: "x" }, {}), undefined);
});
