import assert from "node:assert/strict";
import { test } from "node:test";
import { BERT, encryptedTrial, LLAMA, measured, randomModel, testAttack } from "./encrypted-models.fixture.ts";
import { sortedRows } from "./sorted-rows.ts";

testAttack(sortedRows, { strengths: ["permute"] });

test("a rotated stream keeps no numbers, and the control still has its own", async () => {
  const { vocabularyTop1, control, remark } = await measured(sortedRows, await encryptedTrial(randomModel(LLAMA), "rotate"));
  assert.ok((vocabularyTop1 as number) < 0.05, `${vocabularyTop1}`);
  assert.equal(control, 1);
  assert.match(remark as string, /rotated/);
});

test("an encoder's stream is never rotated", async () => {
  const { vocabularyTop1, remark } = await measured(sortedRows, await encryptedTrial(randomModel(BERT), "rotate"));
  assert.deepEqual([vocabularyTop1, remark], [1, null]);
});
