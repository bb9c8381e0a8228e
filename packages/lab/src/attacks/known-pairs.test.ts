import assert from "node:assert/strict";
import { test } from "node:test";
import { knownPairs } from "./known-pairs.ts";
import { agreesTwice, measured, outcomeOf, toyTrial } from "./toy-trials.fixture.ts";

// So little text that it cannot be read without known pairs.
const little = { vocabulary: 400, tokens: 700, priorTokens: 20_000 };

test("the more is known, the more is read, and most of it was not given", async () => {
  const { curve, figures, textTokens } = await measured(knownPairs, ...[1, 2, 3].map((key) => toyTrial(little, key)));
  const read = curve!.points.map((point) => point.textTokens!);
  assert.deepEqual(
    curve!.points.map(({ x }) => x),
    [0, 20, 50, 100],
  );
  assert.ok(
    read.every((share, index) => index === 0 || share >= read[index - 1]!),
    read.join(),
  );
  assert.ok(read[1]! > read[0]! + 0.1, read.join());
  assert.equal(read.at(-1), textTokens);
  assert.ok(figures["restRead"]! > 0.5 && figures["beyondKnown"]! > 0.2, JSON.stringify(figures));
});

test("known pairs are believed", async () => {
  const trial = toyTrial(little);
  const { curve } = await outcomeOf(knownPairs, trial);
  for (const { x, guess } of curve!.points)
    for (const { plain, cipher } of trial.evidence.known.slice(0, x)) assert.equal(guess.top(cipher), plain);
});

test("with a text in another language only what was given is read", async () => {
  for (const changed of [{ priorLanguage: 2 }, { noise: true }]) {
    const { figures } = await outcomeOf(knownPairs, toyTrial({ ...little, ...changed }));
    assert.ok(figures!["restRead"]! < 0.05, JSON.stringify(figures));
  }
});

test("its control succeeds, a seed gives one result, and nothing known is not run", async () => {
  const trial = toyTrial({ vocabulary: 60, tokens: 2000 });
  assert.ok((await measured(knownPairs, trial)).control! > 0.95);
  await agreesTwice(knownPairs, trial);
  assert.match(knownPairs.missing({ ...trial.evidence, known: [] })!, /no token is known/);
  const { curve } = await outcomeOf(knownPairs, trial, async () => false);
  assert.equal(curve!.points.length, 1);
});
