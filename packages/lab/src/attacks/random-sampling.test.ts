import assert from "node:assert/strict";
import { test } from "node:test";
import { randomSamplingOf } from "./random-sampling.ts";
import { agreesTwice, measured, outcomeOf, reads, toyTrial } from "./toy-trials.fixture.ts";

test("five ids are read by chance; a text in another language says nothing", async () => {
  assert.equal(await reads(randomSamplingOf(1500), toyTrial({ vocabulary: 5, tokens: 2000 })), 1);
  assert.ok((await reads(randomSamplingOf(1500), toyTrial({ vocabulary: 5, tokens: 2000, priorLanguage: 3 }))) < 0.4);
});

test("of many ids next to nothing is read, though its control succeeds", async () => {
  const trial = toyTrial({ vocabulary: 120, tokens: 4000 });
  const attack = randomSamplingOf(300);
  const result = await measured(attack, trial);
  assert.ok(result.vocabularyTop1! < 0.05);
  assert.ok(result.control! > 0.2, `${result.control}`);
  await agreesTwice(attack, trial);
});

test("without time there is no guess", async () => {
  const { guess } = await outcomeOf(randomSamplingOf(300), toyTrial({ vocabulary: 5, tokens: 200 }), async () => false);
  assert.ok(guess!.ranked.every((plain) => plain === -1));
});
