import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BERT,
  changedCopy,
  CLIP_TEXT,
  encryptedTrial,
  FAMILIES,
  LLAMA,
  measured,
  noisyTrial,
  randomModel,
  testAttack,
} from "./encrypted-models.fixture.ts";
import { seeded } from "../seed.ts";
import { functionalFingerprint } from "./functional-fingerprint.ts";

testAttack(functionalFingerprint);

for (const [name, config] of Object.entries({ ...FAMILIES, BERT, CLIP_TEXT }))
  test(`no key of ${name} hides a token`, async () => {
    for (const strength of ["permute", "rotate"] as const) {
      const { vocabularyTop1, control } = await measured(functionalFingerprint, await encryptedTrial(randomModel(config), strength));
      assert.deepEqual([vocabularyTop1, control], [1, 1], strength);
    }
  });

for (const [name, config] of Object.entries({ LLAMA, BERT }))
  test(`under noise the surest tokens of ${name} give away the others`, async () => {
    const { vocabularyTop1, control } = await measured(functionalFingerprint, await noisyTrial(randomModel(config), "rotate", 0.1));
    assert.ok(vocabularyTop1! > 0.95, `${vocabularyTop1}`);
    assert.equal(control, 1);
  });

test("tokens that were never trained are counted as one class", async () => {
  const untrained = await changedCopy(randomModel(LLAMA), (values, { shape: [rows, columns] }) => {
    if (rows === 240) for (let row = 236; row < 240; row += 1) values.copyWithin(row * columns!, 235 * columns!, 236 * columns!);
  });
  const trial = await encryptedTrial(untrained, "rotate");
  const { vocabularyTop1, distinguishable, distinguishableTop1 } = await measured(functionalFingerprint, trial);
  assert.ok(vocabularyTop1! < 1 && vocabularyTop1! >= 235 / 240, `${vocabularyTop1}`);
  assert.deepEqual([distinguishable, distinguishableTop1], [235 / 240, 1]);
});

test("says when the time is up, and what it cannot run", async () => {
  const { evidence } = await encryptedTrial(randomModel(LLAMA), "permute");
  const random = seeded(1, "late");
  const { guess, remark } = await functionalFingerprint.run(evidence, { random, proceed: async () => false });
  assert.ok(guess!.ranked.every((plain) => plain === -1));
  assert.match(remark!, /time/);
  assert.match(functionalFingerprint.missing({ ...evidence, base: { ...evidence.base!, model: null } })!, /ONNX/);
  assert.match(functionalFingerprint.missing({ ...evidence, base: { ...evidence.base!, kind: "encoder" } })!, /a decoder.*an encoder/);
  assert.match(functionalFingerprint.missing({ ...evidence, base: { ...evidence.base!, hidden: 2 ** 24 } })!, /too large/);
});
