import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { JsonObject } from "@unseen/core/blueprint/config.ts";
import { openModel, type Model } from "@unseen/core/blueprint/model.ts";
import { SIZES, writeVariant } from "@unseen/core/blueprint/variant.fixture.ts";
import { encode } from "@unseen/core/reference/encoder.ts";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { rowOf } from "../numeric/matrix.ts";
import { bertLikeTower, SentenceVectors } from "./sentence-vectors.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-vectors-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const { num_key_value_heads: _, bos_token_id: __, eos_token_id: ___, ...sizes } = SIZES;
const configs: Readonly<Record<string, JsonObject>> = {
  bert: { model_type: "bert", architectures: ["BertModel"], ...sizes },
  roberta: { model_type: "roberta", architectures: ["RobertaModel"], ...sizes, type_vocab_size: 1, pad_token_id: 1 },
  distilbert: {
    model_type: "distilbert",
    architectures: ["DistilBertModel"],
    vocab_size: 64,
    dim: 32,
    hidden_dim: 40,
    n_layers: 2,
    n_heads: 4,
    max_position_embeddings: 64,
  },
};
/** Of unequal lengths, one with RoBERTa's padding inside. */
const TEXTS = [Uint32Array.of(5, 9, 60), Uint32Array.of(7), Uint32Array.of(2, 1, 33, 41, 9, 9, 3)];

async function agrees(model: Model): Promise<void> {
  const vectors = await new SentenceVectors(model).of(TEXTS);
  for (const [text, ids] of TEXTS.entries()) {
    const { rows, columns, values } = encode(model, { ids: [...ids] }).get("last_hidden_state")!;
    const mean = Float64Array.from({ length: columns }, (_, k) => {
      let sum = 0;
      for (let row = 0; row < rows; row += 1) sum += (values[row * columns + k] as number) / rows;
      return sum;
    });
    const length = Math.hypot(...mean);
    for (const [k, value] of rowOf(vectors, text).entries()) assert.ok(Math.abs(value - (mean[k] as number) / length) < 1e-12);
  }
}

for (const [name, config] of Object.entries(configs))
  test(`computes what the reference does: ${name}`, async () => {
    const path = join(directory, name);
    writeVariant(path, { config, biases: true });
    await agrees(await openModel(path));
  });

test("computes what the reference does on a trained encoder", needs("assets/sentence-encoder"), async () => {
  await agrees(await openModel(sharedPath("assets/sentence-encoder") as string));
});

test("stops when told to, with the vectors that are done", async () => {
  const path = join(directory, "stopped");
  writeVariant(path, { config: configs["bert"]! });
  const vectors = new SentenceVectors(await openModel(path));
  const texts = Array.from({ length: 200 }, () => new Uint32Array(32).fill(4));
  const found = await vectors.of(texts, async (done) => done < 0.2);
  assert.ok(found.rows > 0 && found.rows < 200);
  assert.ok(rowOf(found, found.rows - 1).some((value) => value !== 0));
});

test("refuses what it cannot compute", async () => {
  const path = join(directory, "decoder");
  writeVariant(path, { config: { model_type: "llama", ...SIZES } });
  const decoder = await openModel(path);
  assert.equal(bertLikeTower(decoder), null);
  assert.throws(() => new SentenceVectors(decoder), { code: "FAMILY_UNSUPPORTED_VALUE" });
  const bert = join(directory, "bert-again");
  writeVariant(bert, { config: configs["bert"]! });
  const vectors = new SentenceVectors(await openModel(bert));
  await assert.rejects(vectors.of([Uint32Array.of()]), { code: "REQUEST_INVALID" });
  await assert.rejects(vectors.of([Uint32Array.of(64)]), { code: "TOKEN_OUT_OF_RANGE" });
  await assert.rejects(vectors.of([new Uint32Array(65)]), { code: "REQUEST_TOO_LARGE" });
});
