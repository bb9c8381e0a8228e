import assert from "node:assert/strict";
import { test } from "node:test";
import { encryptedTrial, LLAMA, randomModel } from "./encrypted-models.fixture.ts";
import { roundingBetween } from "./storage-rounding.ts";
import { twoModels } from "./two-models.ts";

test("weights that were only moved are not rounded, others to their format", async () => {
  const plain = randomModel(LLAMA);
  const [permuted, rotated] = [await encryptedTrial(plain, "permute"), await encryptedTrial(plain, "rotate")];
  assert.ok(roundingBetween(twoModels(permuted.evidence)) < 1e-11);
  const models = twoModels(rotated.evidence);
  assert.equal(roundingBetween(models), 2 ** -24);
  const stored = new Map([["table", { format: "BF16", bytes: 1e9 }]]);
  const halved = { ...models.encrypted, model: { ...models.encrypted.model!, tensors: stored as never } };
  assert.equal(roundingBetween({ ...models, encrypted: halved }), 2 ** -8);
});
