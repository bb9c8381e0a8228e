import assert from "node:assert/strict";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import type { Context, Evidence } from "../attack.ts";
import { Guess } from "../guess.ts";
import { scoreGuess } from "../score.ts";
import { seeded } from "../seed.ts";
import type { Subject } from "../trial.ts";
import { afterMerging } from "./equal-rows.ts";
import { homophoneTrial, knowingCopies } from "./homophone-defence.ts";
import { makeCodebook } from "./homophones.ts";
import { toyFrequency } from "./toy-attacks.fixture.ts";

const subject: Subject = {
  vocabulary: 4,
  special: new Set([3]),
  texts: { recorded: [Uint32Array.of(3, 0, 0, 1, 0, 2)], heldOut: [Uint32Array.of(3, 0, 0, 0, 0, 1)], prior: [Uint32Array.of(0, 0, 1, 2)] },
  spelling: ["a", "b", "c", "<s>"],
  base: null,
  knownText: null,
};
const book = makeCodebook(Float64Array.of(0.5, 0.25, 0.25, 0), 3);
const cipher = permutation(seeded(1, "cipher"), book.size);
const trial = homophoneTrial(subject, book, { permutation: cipher, encrypted: null }, 1, seeded(1, "choice"));
const context: Context = { random: seeded(1, "attack"), proceed: () => Promise.resolve(true) };

/** The guess that reads every cipher id as the word that `read` gives for its plain id. */
function guessOf(read: (id: number) => number): Guess {
  const mapping = new Int32Array(book.size);
  for (const [id, at] of cipher.entries()) mapping[at] = read(id);
  return Guess.ofMapping(mapping);
}

test("the truth about homophones is in words: a word counts once, by the share of its ids that are read", () => {
  assert.deepEqual([...book.copies], [3, 2, 2, 1]);
  const all = scoreGuess(
    guessOf((id) => book.words[id] as number),
    trial.truth,
  );
  assert.deepEqual([all.vocabularyTop1, all.special, all.textTokens], [1, 1, 1]);
  // One of three ids, one of two, one of two.
  const first = scoreGuess(
    guessOf((id) => (id < 4 ? id : -1)),
    trial.truth,
  );
  assert.ok(Math.abs(first.vocabularyTop1 - (1 / 3 + 1 / 2 + 1 / 2) / 3) < 1e-12);
  const ids = trial.truth.heldOut[0]!.subarray(1);
  assert.equal(first.textTokens, ids.filter((id) => id < 4).length / ids.length);
  // An id is nobody's guess: words are.
  assert.ok(
    scoreGuess(
      guessOf((id) => id),
      trial.truth,
    ).vocabularyTop1 < 0.5,
  );
});

test("an attacker sees ids beyond the vocabulary and believes in words", () => {
  const { evidence, owner } = trial;
  assert.equal(evidence.vocabulary, 8);
  assert.equal(evidence.spelling?.length, 8);
  assert.deepEqual(owner.plainTraffic, subject.texts.recorded);
  const sent = evidence.traffic[0]!;
  assert.deepEqual(
    [...sent].map((id) => book.words[cipher.indexOf(id)]),
    [3, 0, 0, 1, 0, 2],
  );
  assert.ok(evidence.known.every((pair) => book.words[cipher.indexOf(pair.cipher)] === pair.plain && pair.plain < 3));
});

test("attackers who know of homophones guess words, for every id", async () => {
  const { guess } = await knowingCopies(toyFrequency, book).run(trial.evidence, context);
  assert.equal(guess?.vocabulary, 8);
  assert.ok(guess?.mapping().every((word) => word < 4));
  const merging = afterMerging(toyFrequency, 4);
  assert.match(merging.missing(trial.evidence) as string, /weights/);
  const table = { rows: 8, columns: 1, values: new Float64Array(8) };
  for (const [id, at] of cipher.entries()) table.values[at] = book.words[id] as number;
  const evidence = { ...trial.evidence, encrypted: { embedding: () => table } as unknown as Evidence["encrypted"] };
  assert.equal(merging.missing(evidence), null);
  const merged = (await merging.run(evidence, context)).guess as Guess;
  const [most, ...others] = [0, 4, 5].map((id) => merged.top(cipher[id] as number));
  assert.ok(most === 0 && others.every((word) => word === 0), "the most frequent word, by all of its ids");
});
