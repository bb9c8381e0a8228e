import assert from "node:assert/strict";
import { test } from "node:test";
import { LLAMA, measured, randomModel, testAttack, noisyTrial } from "./encrypted-models.fixture.ts";
import { rowNormsAttack } from "./row-norms.ts";

testAttack(rowNormsAttack);

test("noise that changes lengths by more than tokens differ hides them, and the control, which has none, still succeeds", async () => {
  const { vocabularyTop1, control } = await measured(rowNormsAttack, await noisyTrial(randomModel(LLAMA), "rotate", 0.5));
  assert.ok((vocabularyTop1 as number) < 0.15, `${vocabularyTop1}`);
  assert.equal(control, 1);
});
