import assert from "node:assert/strict";
import { test } from "node:test";
import { attentionInvariants } from "./attention-invariants.ts";
import { BERT, encryptedTrial, FAMILIES, LLAMA, measured, randomModel, testAttack } from "./encrypted-models.fixture.ts";

testAttack(attentionInvariants);

test("spectra recognise the original and pair every head", async () => {
  const plain = randomModel(LLAMA);
  const { figures } = await measured(attentionInvariants, await encryptedTrial(plain, "rotate"));
  assert.equal(figures["headsPaired"], 1);
  assert.ok(figures["spectrumError"]! < 1e-5, `${figures["spectrumError"]}`);
  const other = await measured(attentionInvariants, await encryptedTrial(randomModel("unrelated"), "rotate", plain));
  assert.ok(other.figures["spectrumError"]! > 0.1, `${other.figures["spectrumError"]}`);
});

for (const [name, config] of Object.entries({ BERT, ...FAMILIES }))
  test(`heads of ${name} give tokens away too`, async () => {
    const { distinguishableTop1, distinguishable } = await measured(
      attentionInvariants,
      await encryptedTrial(randomModel(config), "rotate"),
    );
    assert.deepEqual([distinguishableTop1, distinguishable], [1, 1]);
  });
