import assert from "node:assert/strict";
import { test } from "node:test";
import { BERT, encryptedTrial, LLAMA, measured, randomModel, testAttack, noisyTrial } from "./encrypted-models.fixture.ts";
import { gramAlignment } from "./gram-alignment.ts";

testAttack(gramAlignment);

test("where noise blurs the principal axes, rounds of turning find the rest", async () => {
  const { vocabularyTop1, figures } = await measured(gramAlignment, await noisyTrial(randomModel(LLAMA), "rotate", 0.2));
  assert.equal(vocabularyTop1, 1);
  assert.ok(figures["rounds"]! > 0);
});

test("encoders have one table, less its mean", async () => {
  assert.equal((await measured(gramAlignment, await encryptedTrial(randomModel(BERT), "rotate"))).vocabularyTop1, 1);
});
