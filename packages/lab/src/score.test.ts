import assert from "node:assert/strict";
import { test } from "node:test";
import { bleu } from "./bleu.ts";
import { Guess, RANKS } from "./guess.ts";
import { scoreGuess, scoreTexts } from "./score.ts";

const near = (actual: number | null, expected: number): void =>
  assert.ok(actual !== null && Math.abs(actual - expected) < 1e-12, `${actual}, ${expected}`);

test("BLEU is that of its paper", () => {
  assert.equal(bleu([[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5]]), 1);
  assert.equal(bleu([[-1, -1, -1, -1, -1]], [[1, 2, 3, 4, 5]]), 0);
  // 6 of 7 words, 5 of 6 pairs, 4 of 5 triples, 3 of 4 quadruples: computed by hand.
  near(bleu([[1, 2, 3, 4, 5, 6, 9]], [[1, 2, 3, 4, 5, 6, 7]]), ((6 / 7) * (5 / 6) * (4 / 5) * (3 / 4)) ** 0.25);
  // Counts are clipped (the paper's "the the the ..."), and without a common quadruple it is 0.
  assert.equal(bleu([[1, 1, 1, 1]], [[1, 2, 3, 4]]), 0);
  near(bleu([[1, 1]], [[1, 2]]), 0);
  // Of several texts, counts are added before they are divided.
  near(bleu([[1, 2, 3, 4], [5, 6, 7, 9]], [[1, 2, 3, 4], [5, 6, 7, 8]]), ((7 / 8) * (5 / 6) * (3 / 4) * (1 / 2)) ** 0.25); // prettier-ignore
  // Unknown tokens are no n-gram that counts twice.
  near(bleu([[-1, -1, 3]], [[1, 2, 3]]), 0);
});

test("a guess is scored on ordinary ids, special ones apart, texts by how often their tokens occur", () => {
  const permutation = Uint32Array.of(3, 4, 0, 1, 2); // cipher of plain
  const guess = new Guess(5);
  guess.set(3, [0]); // plain 0 is right
  guess.set(4, [9, 1]); // plain 1 is second
  guess.set(0, [4, 3]); // plain 2 is not there
  guess.set(1, [3]); // plain 3 is right, and special
  const truth = { permutation, special: new Set([3]), heldOut: [Uint32Array.of(3, 0, 0, 0, 1), Uint32Array.of(2, 4)] };
  const score = scoreGuess(guess, truth);
  near(score.vocabularyTop1, 1 / 4);
  near(score.vocabularyTop10, 2 / 4);
  near(score.special, 1);
  near(score.textTokens, 3 / 6);
  assert.equal(score.distinguishable, 1);
  const apart = scoreGuess(guess, truth, Uint32Array.of(0, 1, 7, 3, 7));
  near(apart.distinguishable, 2 / 4);
  near(apart.distinguishableTop1, 1 / 2);
  near(apart.vocabularyTop1, 1 / 4);
  assert.equal(scoreGuess(guess, { ...truth, special: new Set() }).special, null);
  assert.equal(scoreGuess(guess, { ...truth, heldOut: [] }).textTokens, null);
});

test("ranks beyond ten are cut, and a shorter list leaves none of a longer one", () => {
  const guess = new Guess(2);
  guess.set(0, Array(20).keys());
  assert.equal(guess.rankOf(0, RANKS - 1), 9);
  assert.equal(guess.rankOf(0, RANKS), -1);
  guess.set(0, [7]);
  assert.equal(guess.rankOf(0, 1), -1);
  assert.deepEqual([...Guess.ofMapping([1, -1]).mapping()], [1, -1]);
});

test("recovered texts are scored where they stand", () => {
  const score = scoreTexts([[1, 9, 3]], [Uint32Array.of(1, 2, 3)], new Set([3]));
  near(score.textTokens, 1 / 2);
});
