import assert from "node:assert/strict";
import { test } from "node:test";
import { RANKS } from "../guess.ts";
import { agreesTwice, measured, outcomeOf, reads, toyTrial } from "./toy-trials.fixture.ts";
import { tokenFrequency } from "./token-frequency.ts";

test("the more is recorded, the more is read", async () => {
  const trials = [1, 2, 3].map((key) => toyTrial({ vocabulary: 200, tokens: 10_000 }, key));
  const { curve, textTokens, vocabularyTop1, vocabularyTop10, control } = await measured(tokenFrequency, ...trials);
  assert.deepEqual(
    curve!.points.map(({ x }) => x),
    [100, 1000, 10_000],
  );
  const read = curve!.points.map((point) => point.textTokens!);
  assert.ok(
    read.every((share, index) => index === 0 || share > read[index - 1]!),
    read.join(),
  );
  assert.equal(read.at(-1), textTokens);
  assert.ok(textTokens! > 0.4 && vocabularyTop10! > 2 * vocabularyTop1!);
  assert.ok(control! > 0.7);
});

test("a text in another language says nothing, nor does noise", async () => {
  assert.ok((await reads(tokenFrequency, toyTrial({ vocabulary: 200, tokens: 10_000, priorLanguage: 2 }))) < 0.15);
  assert.ok((await reads(tokenFrequency, toyTrial({ vocabulary: 200, tokens: 10_000, noise: true }))) < 0.15);
});

test("further guesses are the neighbouring ranks, and only ids that were seen are guessed", async () => {
  const trial = toyTrial({ vocabulary: 40, tokens: 100 });
  const evidence = { ...trial.evidence, traffic: [Uint32Array.from([9, 9, 9, 4, 4, 7])], prior: [Uint32Array.from([1, 1, 1, 2, 2])] };
  const { guess } = await outcomeOf(tokenFrequency, { ...trial, evidence });
  const ranked = (cipher: number): number[] =>
    [...guess!.ranked.subarray(cipher * RANKS, (cipher + 1) * RANKS)].filter((plain) => plain >= 0);
  assert.deepEqual([ranked(9), ranked(4), ranked(7), ranked(0)], [[1, 2], [2, 1], [2, 1], []]);
  await agreesTwice(tokenFrequency, trial);
});
