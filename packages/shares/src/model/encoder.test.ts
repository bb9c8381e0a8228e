/** The whole-number encoder against core's float one. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { Variant } from "@unseen/core/blueprint/variant.fixture.ts";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { PreparedModels } from "../prepare/prepared.fixture.ts";
import { ShareDecoder } from "./decoder.ts";
import { ShareEncoder, type TextInput } from "./encoder.ts";
import { measureEncoder } from "./fidelity.ts";
import { LocalMultiplier } from "./local-multiplier.ts";

const models = new PreparedModels();
after(() => models.remove());

const bert = (architecture: string): Variant["config"] => ({
  model_type: "bert",
  architectures: [architecture],
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 40,
});
const distilbert = (architecture: string): Variant["config"] => ({
  model_type: "distilbert",
  architectures: [architecture],
  vocab_size: 64,
  dim: 32,
  hidden_dim: 40,
  n_layers: 2,
  n_heads: 4,
  max_position_embeddings: 40,
});
const variants: Readonly<Record<string, Variant>> = {
  "bert with a pooler": { config: bert("BertModel"), biases: true },
  "bert without a pooler": { config: bert("BertModel") },
  "bert, classes": { config: bert("BertForSequenceClassification"), biases: true },
  distilbert: { config: distilbert("DistilBertModel") },
  "distilbert, classes": { config: distilbert("DistilBertForSequenceClassification") },
};
const TEXTS: readonly TextInput[] = [{ ids: [3, 5, 60, 7, 44, 21] }, { ids: [50, 4, 33, 0, 0], mask: [1, 1, 1, 0, 0] }, { ids: [9] }];

describe("random weights at 16 bits", () => {
  for (const [name, variant] of Object.entries(variants))
    test(name, async () => {
      const { model, client, serverA } = await models.prepareVariant(variant, 16);
      const [encoder, multiplier] = [await ShareEncoder.open(client), await LocalMultiplier.open(serverA)];
      const { maxLogitDifference, greedyAgreement } = await measureEncoder(model, encoder, multiplier, TEXTS);
      assert.ok(maxLogitDifference < 0.01 && greedyAgreement === 1, `${maxLogitDifference}, ${greedyAgreement}`);
    });

  test("token types count", async () => {
    const { model, client, serverA } = await models.prepareVariant(variants["bert, classes"]!, 16);
    const [encoder, multiplier] = [await ShareEncoder.open(client), await LocalMultiplier.open(serverA)];
    const { maxLogitDifference } = await measureEncoder(model, encoder, multiplier, [{ ids: [3, 5, 60, 7], types: [0, 0, 1, 1] }]);
    assert.ok(maxLogitDifference < 0.01);
  });
});

test("an encoder refuses what it does not take", async () => {
  const { client, serverA } = await models.prepareVariant(variants["bert, classes"]!, 8);
  const [encoder, multiplier] = [await ShareEncoder.open(client), await LocalMultiplier.open(serverA)];
  const refused = (input: TextInput, code: string): Promise<void> => assert.rejects(encoder.run(input, multiplier), { code });
  await refused({}, "REQUEST_INVALID");
  await refused({ ids: [] }, "REQUEST_INVALID");
  await refused({ ids: [64] }, "TOKEN_OUT_OF_RANGE");
  await refused({ ids: [1, 2], types: [0, 2] }, "REQUEST_INVALID");
  await refused({ ids: [1, 2], mask: [1] }, "REQUEST_INVALID");
  await refused({ ids: Array.from({ length: 41 }, () => 1) }, "REQUEST_TOO_LARGE");
  await assert.rejects(encoder.run({ ids: [1] }, multiplier, AbortSignal.abort(new Error("enough"))), /enough/);
  await assert.rejects(ShareDecoder.open(client), { code: "FAMILY_UNSUPPORTED_VALUE" });
});

test("sst2-distilbert at 8 bits says what the float model says", needs("assets/sst2-distilbert"), async () => {
  const { model, client, serverA } = await models.prepare(sharedPath("assets/sst2-distilbert") as string, 8);
  const [encoder, multiplier] = [await ShareEncoder.open(client), await LocalMultiplier.open(serverA)];
  const texts = Array.from({ length: 12 }, (_, text) => ({
    ids: [101, ...Array.from({ length: 8 }, (__, place) => 2000 + ((text * 977 + place * place * 131) % 9000)), 102],
  }));
  const { greedyAgreement, meanKl } = await measureEncoder(model, encoder, multiplier, texts);
  assert.ok(greedyAgreement === 1 && meanKl < 1e-3, `${greedyAgreement}, ${meanKl}`);
});
