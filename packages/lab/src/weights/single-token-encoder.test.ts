import assert from "node:assert/strict";
import { test } from "node:test";
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import { openModel, type Model } from "@unseen/core/blueprint/model.ts";
import { encode } from "@unseen/core/reference/encoder.ts";
import { normaliseRows } from "@unseen/core/reference/layers.ts";
import { BERT, CLIP_TEXT, LLAMA, randomModel, VOCABULARY } from "../attacks/encrypted-models.fixture.ts";
import { rowOf } from "../numeric/matrix.ts";
import { textWeights } from "./encoder-matrices.ts";
import { singleTokenStates } from "./single-token-encoder.ts";

/** Compares the states of some tokens with those of the reference. */
async function compare(model: Model, permutedOnly = true): Promise<void> {
  const found = await singleTokenStates(model, async () => true);
  assert.equal(found?.permutedOnly, permutedOnly);
  const blueprint = blueprintOf(model.config);
  assert.ok(blueprint.kind === "encoder");
  const { weights, tower } = textWeights(model, blueprint.architecture);
  const norm = permutedOnly ? null : weights.norm("final_layer_norm");
  for (const id of [0, 1, 101, found.states.rows - 1]) {
    const expected = encode(model, { ids: [id] }).get("last_hidden_state")!.values;
    const row = rowOf(found.states, id);
    const state = norm ? normaliseRows(row, norm, { kind: "layer", epsilon: tower.epsilon }, tower.hidden) : row;
    expected.forEach((value, k) => assert.ok(Math.abs(value - state[k]!) < 1e-9, `${id}, ${k}`));
  }
}

const FAMILIES = {
  bert: BERT,
  // Positions count from the padding id.
  roberta: { ...BERT, model_type: "roberta", architectures: ["RobertaModel"], pad_token_id: 1 },
  mpnet: { ...BERT, model_type: "mpnet", architectures: ["MPNetModel"], pad_token_id: 1 },
  distilbert: { model_type: "distilbert", architectures: ["DistilBertModel"], vocab_size: VOCABULARY, dim: 32, hidden_dim: 48, n_layers: 2, n_heads: 4, max_position_embeddings: 40, pad_token_id: 0, activation: "relu" }, // prettier-ignore
} as const;
for (const [name, config] of Object.entries(FAMILIES))
  test(`single tokens of ${name} are what the reference computes`, async () => compare(await openModel(randomModel(config))));

test("single tokens of a tower with its norms before the blocks, up to the last norm", async () =>
  compare(await openModel(randomModel(CLIP_TEXT)), false));

test("ends when it is told to, and takes no decoder", async () => {
  assert.equal(await singleTokenStates(await openModel(randomModel(BERT)), async () => false), null);
  await assert.rejects(
    singleTokenStates(await openModel(randomModel(LLAMA)), async () => true),
    { code: "INTERNAL" },
  );
});
