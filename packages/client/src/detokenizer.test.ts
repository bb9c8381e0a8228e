import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sharedPath, needs } from "../../../tests/shared.ts";
import { Detokenizer } from "./detokenizer.ts";
import { byteAlphabet, byteLevelTokenizer, sentencePieceTokenizer } from "./example-tokenizers.ts";
import { TextTokenizer } from "./tokenizer.ts";

const kinds = [
  ["byte-level", byteLevelTokenizer()],
  ["SentencePiece", sentencePieceTokenizer()],
] as const;

for (const [kind, tokenizer] of kinds) {
  test(`${kind}: pushes and flush joined are the whole text, for any ids at all`, () => {
    const ids = fc.array(fc.nat(tokenizer.size + 5), { maxLength: 60 });
    fc.assert(
      fc.property(ids, fc.boolean(), (answer, skipSpecialTokens) => {
        const detokenizer = new Detokenizer(tokenizer, { skipSpecialTokens });
        const streamed = answer.map((id) => detokenizer.push(id)).join("") + detokenizer.flush();
        assert.equal(streamed, tokenizer.decode(answer, { skipSpecialTokens }));
        assert.ok(streamed.isWellFormed());
      }),
      { numRuns: 1000 },
    );
  });

  test(`${kind}: text survives, and no push ever shows part of a character`, () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        fc.pre(!text.includes("\u2581")); // SentencePiece writes a space so
        const detokenizer = new Detokenizer(tokenizer);
        const pushes = tokenizer.encode(text, { specialTokens: false }).map((id) => detokenizer.push(id));
        assert.equal(pushes.join(""), text);
        assert.equal(detokenizer.flush(), "", "nothing of a whole text is held back at its end");
      }),
      { numRuns: 500 },
    );
  });
}

test("a decoder written independently agrees on the bytes of any byte-level ids", () => {
  const tokenizer = byteLevelTokenizer();
  fc.assert(
    fc.property(fc.array(fc.nat(255)), (bytes) => {
      const ids = bytes.map((byte) => tokenizer.idOf(byteAlphabet[byte]!)!);
      assert.equal(tokenizer.decode(ids), Buffer.from(bytes).toString("utf8"));
    }),
    { numRuns: 1000 },
  );
});

test("half an emoji waits, and becomes U+FFFD when nothing follows", () => {
  const tokenizer = byteLevelTokenizer();
  const ids = tokenizer.encode("🦊", { specialTokens: false });
  assert.equal(ids.length, 3, "the first two of its four bytes are one token");
  const detokenizer = new Detokenizer(tokenizer);
  assert.deepEqual([...ids.map((id) => detokenizer.push(id)), detokenizer.flush()], ["", "", "🦊", ""]);
  detokenizer.push(ids[0]!);
  assert.equal(detokenizer.flush(), "\uFFFD");
});

test("a byte-order mark that the model writes is kept", () => {
  const tokenizer = byteLevelTokenizer();
  const ids = tokenizer.encode("\uFEFFa", { specialTokens: false });
  assert.equal(tokenizer.decode(ids), "\uFEFFa");
});

test("the word mark of a first SentencePiece token is dropped, and kept when the text continues another", () => {
  const tokenizer = sentencePieceTokenizer();
  const ids = tokenizer.encode("the on", { specialTokens: true });
  const read = (detokenizer: Detokenizer): string => ids.map((id) => detokenizer.push(id)).join("") + detokenizer.flush();
  assert.equal(read(new Detokenizer(tokenizer)), "the on");
  assert.equal(read(new Detokenizer(tokenizer, { continues: true })), " the on");
  const twice = new Detokenizer(tokenizer);
  assert.equal(read(twice) + read(twice), "the onthe on", "a flush begins a new text");
});

test("control tokens are left out or shown", () => {
  const tokenizer = byteLevelTokenizer();
  const end = tokenizer.idOf("<|end|>")!;
  assert.equal(new Detokenizer(tokenizer).push(end), "");
  assert.equal(new Detokenizer(tokenizer, { skipSpecialTokens: false }).push(end), "<|end|>");
});

for (const name of ["assets/story-llama", "data/models/stories260K-hf"]) {
  test(`${name}: streaming real ids`, needs(name), async () => {
    const tokenizer = await TextTokenizer.load(sharedPath(name)!);
    const text = "Once there was a fox 🦊 named Ωmega. It wasn't old (only 3½), naïve — and said: 「雪」!\n\n The end";
    const ids = tokenizer.encode(text, { specialTokens: true });
    const detokenizer = new Detokenizer(tokenizer);
    assert.equal(ids.map((id) => detokenizer.push(id)).join("") + detokenizer.flush(), text);
    fc.assert(
      fc.property(fc.array(fc.nat(tokenizer.size - 1)), (answer) => {
        const stream = new Detokenizer(tokenizer);
        assert.equal(answer.map((id) => stream.push(id)).join("") + stream.flush(), tokenizer.decode(answer));
      }),
    );
  });
}
