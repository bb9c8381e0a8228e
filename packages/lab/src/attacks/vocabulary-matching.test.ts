import assert from "node:assert/strict";
import { test } from "node:test";
import { BERT, encryptedTrial, FAMILIES, LLAMA, measured, randomModel, testAttack, noisyTrial } from "./encrypted-models.fixture.ts";
import { vocabularyMatching } from "./vocabulary-matching.ts";

testAttack(vocabularyMatching);

test("one block is enough without noise; all are asked where there is some", async () => {
  const plain = randomModel(LLAMA);
  assert.equal((await measured(vocabularyMatching, await encryptedTrial(plain, "rotate"))).figures["views"], 3);
  const { vocabularyTop1, figures } = await measured(vocabularyMatching, await noisyTrial(plain, "rotate", 0.3));
  assert.equal(figures["views"], 7);
  assert.ok(vocabularyTop1! > 0.7 && vocabularyTop1! < 1, `${vocabularyTop1}`);
});

for (const [family, views] of [
  ["gpt2", 2],
  ["gemma2", 3],
  ["mixtral", 1],
] as const)
  test(`matches ${family} as well`, async () => {
    const { vocabularyTop1, figures } = await measured(vocabularyMatching, await encryptedTrial(randomModel(FAMILIES[family]), "rotate"));
    assert.deepEqual([vocabularyTop1, figures["views"]], [1, views]);
  });

test("matches encoders by what their neurons read and write", async () => {
  const { vocabularyTop1, figures } = await measured(vocabularyMatching, await encryptedTrial(randomModel(BERT), "rotate"));
  assert.deepEqual([vocabularyTop1, figures["views"]], [1, 2]);
});

test("a mixture of experts has no view but its tables, and those only while they are small", async () => {
  const { evidence } = await encryptedTrial(randomModel(FAMILIES.mixtral), "permute");
  assert.equal(vocabularyMatching.missing(evidence), null);
  const grown = { encrypted: { ...evidence.encrypted!, vocabulary: 32_000 }, base: { ...evidence.base!, vocabulary: 32_000 } };
  assert.match(vocabularyMatching.missing({ ...evidence, ...grown })!, /experts/);
  assert.match(vocabularyMatching.missing({ ...evidence, base: { ...evidence.base!, kind: "onnx" } })!, /ONNX/);
  assert.match(vocabularyMatching.missing({ ...evidence, base: { ...evidence.base!, layers: 3 } })!, /3/);
});

test("finds nothing, and says so, where the blocks have other shapes", async () => {
  const trial = await encryptedTrial(randomModel({ ...BERT, intermediate_size: 52 }), "rotate", randomModel(BERT));
  const { vocabularyTop1, figures, remark } = await measured(vocabularyMatching, trial);
  assert.deepEqual([vocabularyTop1, figures["views"]], [0, 0]);
  assert.match(remark!, /shapes/);
});
