import assert from "node:assert/strict";
import { test } from "node:test";
import { encryptedTrial, LLAMA, measured, randomModel, testAttack, noisyTrial } from "./encrypted-models.fixture.ts";
import { knownRidge } from "./known-ridge.ts";

testAttack(knownRidge);

test("the more is known, the more is found under noise, and what is known is never guessed", async () => {
  const trial = await noisyTrial(randomModel(LLAMA), "rotate", 2);
  const { curve, vocabularyTop1 } = await measured(knownRidge, trial);
  const found = curve!.points.map((point) => point.vocabularyTop1);
  assert.deepEqual(
    curve!.points.map(({ x }) => x),
    [20, 50, 100, 200],
  );
  assert.ok(found[0]! < 0.6 && found[3]! > 0.9, found.join());
  assert.ok(
    found.every((share, index) => index === 0 || share >= found[index - 1]!),
    found.join(),
  );
  assert.equal(vocabularyTop1, found[3]);
});

test("needs twenty pairs", async () => {
  const { evidence } = await encryptedTrial(randomModel(LLAMA), "permute");
  assert.match(knownRidge.missing({ ...evidence, known: evidence.known.slice(0, 19) })!, /20 known pairs, and there are 19/);
});
