import assert from "node:assert/strict";
import { test } from "node:test";
import { LLAMA, measured, randomModel, testAttack, noisyTrial } from "./encrypted-models.fixture.ts";
import { matchingRefined } from "./matching-refined.ts";
import { vocabularyMatching } from "./vocabulary-matching.ts";

testAttack(matchingRefined);

test("finds everything under noise from which matching alone finds half", async () => {
  const trial = await noisyTrial(randomModel(LLAMA), "rotate", 0.5);
  assert.ok((await measured(vocabularyMatching, trial)).vocabularyTop1! < 0.6);
  assert.equal((await measured(matchingRefined, trial)).vocabularyTop1, 1);
});
