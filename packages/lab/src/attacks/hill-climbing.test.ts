import assert from "node:assert/strict";
import { test } from "node:test";
import { hillClimbingOf } from "./hill-climbing.ts";
import { agreesTwice, measured, outcomeOf, reads, toyTrial } from "./toy-trials.fixture.ts";
import { tokenFrequency } from "./token-frequency.ts";

const attack = hillClimbingOf({ times: 2, moves: 40_000 });

test("it reads what frequency leaves open, under every key, and its control succeeds", async () => {
  const trials = [1, 2].map((key) => toyTrial({ vocabulary: 60, tokens: 6000 }, key));
  const [climbed, matched] = [await measured(attack, ...trials), await measured(tokenFrequency, ...trials)];
  assert.ok(climbed.spread.textTokens!.least > 0.9, `${climbed.spread.textTokens!.least}`);
  assert.ok(matched.spread.textTokens!.greatest < 0.8, `${matched.spread.textTokens!.greatest}`);
  assert.ok(climbed.control! > 0.9);
  assert.ok(climbed.figures["moves"] === 80_000 && climbed.figures["movesPerSecond"]! > 0);
});

test("a text in another language says nothing, nor does noise", async () => {
  assert.ok((await reads(attack, toyTrial({ vocabulary: 120, tokens: 4000, priorLanguage: 2 }))) < 0.25);
  assert.ok((await reads(attack, toyTrial({ vocabulary: 120, tokens: 4000, noise: true }))) < 0.25);
});

test("a seed gives one result; without time it is the match by frequency", async () => {
  const trial = toyTrial({ vocabulary: 60, tokens: 2000 });
  await agreesTwice(hillClimbingOf({ times: 2, moves: 5000 }), trial);
  const { guess } = await outcomeOf(attack, trial, async () => false);
  assert.deepEqual(guess!.mapping(), (await outcomeOf(tokenFrequency, trial)).guess!.mapping());
});
