import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { forward } from "@unseen/core/reference/forward.ts";
import { softmax } from "@unseen/core/reference/layers.ts";
import { seeded } from "../seed.ts";
import { writeHomophoneModel } from "./homophone-defence.ts";
import { chooseHomophones, homophoneBias, makeCodebook, mergeLogits } from "./homophones.ts";
import { temporaryFolder, temporaryLlama } from "./temporary.fixture.ts";

const frequencies = Float64Array.of(0.5, 0, 0.26, 0.125, 0.115);

test("a word has as many ids as it takes for none to be said more often than the limit", () => {
  const book = makeCodebook(frequencies, 4);
  const limit = 0.5 / 4;
  assert.deepEqual([...book.copies], [4, 1, 3, 1, 1]);
  assert.deepEqual([...book.words], [0, 1, 2, 3, 4, 0, 0, 0, 2, 2]);
  assert.equal(book.size, 10);
  assert.ok(book.copies.every((count, word) => (frequencies[word] as number) / count <= limit));
  assert.ok(book.size - book.vocabulary <= 1 / limit);
  assert.deepEqual([...makeCodebook(frequencies, 1).copies], [1, 1, 1, 1, 1]);
  assert.deepEqual([...makeCodebook(new Float64Array(3), 8).copies], [1, 1, 1]);
  for (const most of [0, 1.5, 1001, Number.NaN]) assert.throws(() => makeCodebook(frequencies, most), { code: "USAGE" });
});

test("each occurrence becomes one of its word's ids, all alike often", () => {
  const book = makeCodebook(frequencies, 4);
  const ids = chooseHomophones(
    book,
    Uint32Array.from({ length: 8000 }, (_, at) => (at % 2 === 0 ? 0 : 3)),
    seeded(1, "choice"),
  );
  assert.ok(ids.every((id, at) => book.words[id] === (at % 2 === 0 ? 0 : 3)));
  for (const id of [0, 5, 6, 7]) assert.ok(Math.abs(ids.filter((each) => each === id).length - 1000) < 120);
});

test("logits of a model with repeated rows merge into those of the plain one, whichever ids are said", async (t) => {
  const path = temporaryLlama(t);
  const model = await openModel(path);
  const book = makeCodebook(
    Float64Array.from({ length: 64 }, (_, word) => 1 / (word + 1)),
    5,
  );
  const directory = join(temporaryFolder(t), "repeated");
  await writeHomophoneModel(directory, model, book);
  const text = Uint32Array.from({ length: 24 }, (_, at) => (at * at) % 11);
  const ids = chooseHomophones(book, text, seeded(2, "choice"));
  assert.ok(ids.some((id) => id >= 64));
  const [plain] = forward(model, [[...text]]);
  const [repeated] = forward(await openModel(directory), [[...ids]]);
  assert.equal(repeated!.vocabulary, book.size);
  const bias = homophoneBias(book);
  for (let position = 0; position < text.length; position += 1) {
    const expected = plain!.values.subarray(position * 64, (position + 1) * 64);
    const logits = repeated!.values.subarray(position * book.size, (position + 1) * book.size);
    assert.ok(mergeLogits(logits, book).every((logit, word) => Math.abs(logit - (expected[word] as number)) < 1e-12));
    // The control: the mass of all ids of a word, summed as a host that samples them would, is another distribution.
    assert.ok(largestDifference(massOfWords(softmax(logits), book.words), softmax(expected)) > 1e-3);
    // With the bias it is the same.
    assert.ok(
      largestDifference(massOfWords(softmax(logits.map((logit, id) => logit + (bias[id] as number))), book.words), softmax(expected)) <
        1e-12,
    );
  }
});

test("a word that is ruled out stays so, and ids that differ by noise are averaged", () => {
  const book = makeCodebook(Float64Array.of(0.6, 0.4), 2);
  assert.deepEqual([...book.words], [0, 1, 0, 1]);
  assert.deepEqual([...mergeLogits(Float64Array.of(-Infinity, 1, -Infinity, 1), book)], [-Infinity, 1]);
  const [merged] = mergeLogits(Float64Array.of(Math.log(2), 0, Math.log(4), 0), book);
  assert.ok(Math.abs((merged as number) - Math.log(3)) < 1e-15);
});

function massOfWords(shares: Float64Array, words: Uint32Array): Float64Array {
  const mass = new Float64Array(64);
  for (const [id, share] of shares.entries()) mass[words[id] as number]! += share;
  return mass;
}

const largestDifference = (a: Float64Array, b: Float64Array): number =>
  a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] as number))), 0);
