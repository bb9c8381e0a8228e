import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { forward } from "@unseen/core/reference/forward.ts";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { FAMILIES, LLAMA, randomModel } from "../attacks/encrypted-models.fixture.ts";
import { rowOf } from "../numeric/matrix.ts";
import { singleTokenAnswers } from "./single-token.ts";

/** Compares the logits of some tokens with those of the reference, all words and a choice of them. */
async function compare(path: string): Promise<void> {
  const model = await openModel(path);
  const shares: number[] = [];
  const answers = await singleTokenAnswers(model, async (done) => shares.push(done) > 0);
  assert.ok(answers && shares.every((share) => share >= 0 && share < 1));
  const tokens = [0, 3, 100, answers.vocabulary - 1];
  const all = answers.logits(tokens);
  const chosen = answers.logits(tokens, [7, 2]);
  const reference = forward(
    model,
    tokens.map((token) => [token]),
  );
  for (const [index, { values }] of reference.entries()) {
    const row = rowOf(all, index);
    values.forEach((value, word) =>
      assert.ok(Math.abs(value - row[word]!) < 1e-9 * Math.max(1, Math.abs(value)), `${tokens[index]}, ${word}`),
    );
    assert.deepEqual([...rowOf(chosen, index)], [row[7], row[2]]);
  }
}

const SETTINGS = { ...FAMILIES, llama: LLAMA, "llama with biases": { ...LLAMA, attention_bias: true, mlp_bias: true } };
for (const [name, config] of Object.entries(SETTINGS))
  test(`single tokens of ${name} are what the reference computes`, () => compare(randomModel(config)));

test("single tokens of the bundled model are what the reference computes", () =>
  compare(fileURLToPath(new URL("../../../unseen/models/story-llama", import.meta.url))));

for (const family of ["gemma2", "gemma3", "gpt2", "mixtral", "phi3", "qwen2", "qwen3", "qwen3-moe", "smollm3"])
  test(`single tokens of ${family} as transformers saves it`, needs(`data/models/families/${family}`), () =>
    compare(sharedPath(`data/models/families/${family}`) as string),
  );

test("ends when it is told to", async () => {
  assert.equal(await singleTokenAnswers(await openModel(randomModel(LLAMA)), async () => false), null);
});
