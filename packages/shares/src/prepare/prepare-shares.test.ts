/** What each party gets: both servers the same whole numbers and nothing else, the client the rest. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { SIZES, writeVariant } from "@unseen/core/blueprint/variant.fixture.ts";
import { writeAt } from "@unseen/core/checkpoint/writer.ts";
import { openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { ProjectionFile } from "../client/projection-file.ts";
import { ShareDecoder } from "../model/decoder.ts";
import { measureDecoder } from "../model/fidelity.ts";
import { LocalMultiplier } from "../model/local-multiplier.ts";
import { prepareShares } from "./prepare-shares.ts";
import { PreparedModels } from "./prepared.fixture.ts";

const models = new PreparedModels();
after(() => models.remove());

const llama = { model_type: "llama", ...SIZES, rms_norm_eps: 1e-5, rope_theta: 10000, tie_word_embeddings: true } as const;

describe("a prepared model", async () => {
  const { serverA, serverB, client, layout, limits, serverBytes } = await models.prepareVariant({ config: llama, biases: true }, 16);

  test("is the same at both servers: sizes and int8 weights", async () => {
    assert.deepEqual(readdirSync(serverA).toSorted(), ["README.md", "shares.json", "weights.safetensors"]);
    for (const name of readdirSync(serverA)) assert.deepEqual(readFileSync(join(serverA, name)), readFileSync(join(serverB, name)), name);
    const { tensors } = await openSafetensors(join(serverA, "weights.safetensors"));
    assert.ok([...tensors.values()].every(({ format }) => format === "I8"));
    assert.equal(tensors.size, 2 * layout.groups.flatMap(({ layers }) => layers).length);
    assert.equal(serverBytes, statSync(join(serverA, "weights.safetensors")).size);
    assert.deepEqual(JSON.parse(readFileSync(join(serverA, "shares.json"), "utf8")), layout);
  });

  test("keeps everything else at the client, the checks for its owner's eyes only", async () => {
    assert.deepEqual(readdirSync(client).toSorted(), ["checks.safetensors", "client.json", "client.safetensors"]);
    assert.equal(statSync(join(client, "checks.safetensors")).mode & 0o777, 0o600);
    assert.equal((await ProjectionFile.read(join(client, "checks.safetensors"), layout)).size, 2 * 15);
    const { tensors } = await openSafetensors(join(client, "client.safetensors"));
    for (const name of [
      "embedding",
      "norm.gain",
      "layers.1.attention-norm.gain",
      "layers.0.queries.scale",
      "layers.0.queries.bias",
      "head.scale",
    ])
      assert.ok(tensors.has(name), name);
    assert.equal(limits.length, layout.groups.length);
  });
});

test("an encrypted model is prepared like a plain one", async () => {
  const plain = models.next();
  const encrypted = models.next();
  writeVariant(plain, { config: llama });
  const key = { secret: new Uint8Array(32).fill(5), strength: "rotate" } as const;
  await encryptModel({ source: plain, output: encrypted, key, precision: "f32" });
  const prepared = await models.prepare(encrypted, 16);
  const fidelity = await measureDecoder(
    prepared.model,
    await ShareDecoder.open(prepared.client),
    await LocalMultiplier.open(prepared.serverB),
    [[5, 9, 1, 63, 30]],
  );
  assert.ok(fidelity.greedyAgreement === 1 && fidelity.meanKl < 1e-5, JSON.stringify(fidelity));
});

describe("preparation refuses", () => {
  test("a mixture of experts", async () => {
    const config = {
      ...llama,
      model_type: "qwen3_moe",
      num_experts: 4,
      num_experts_per_tok: 2,
      moe_intermediate_size: 24,
      head_dim: 8,
      rms_norm_eps: 1e-6,
    };
    await assert.rejects(models.prepareVariant({ config }, 8), { code: "FAMILY_UNSUPPORTED_VALUE", message: /experts/ });
  });

  test("an encoder of another family", async () => {
    const config = { model_type: "mpnet", architectures: ["MPNetModel"], ...SIZES };
    const { num_key_value_heads: _, bos_token_id: _bos, eos_token_id: _eos, ...rest } = config;
    await assert.rejects(models.prepareVariant({ config: rest }, 8), { code: "FAMILY_UNSUPPORTED_VALUE", message: /mpnet/ });
  });

  test("a place that is taken, and leaves nothing", async () => {
    const { model } = await models.prepareVariant({ config: llama }, 8);
    const [outA, outB, client] = [models.next(), models.next(), models.next()];
    mkdirSync(client);
    assert.throws(() => prepareShares({ model, bits: 8, outA, outB, client, fingerprint: "" }), { code: "OUTPUT_EXISTS" });
    for (const path of [outA, outB, `${outA}.partial`, `${outB}.partial`, `${client}.partial`]) assert.ok(!existsSync(path), path);
  });

  test("two servers in one place", async () => {
    const { model } = await models.prepareVariant({ config: llama }, 8);
    const out = models.next();
    assert.throws(() => prepareShares({ model, bits: 8, outA: out, outB: out, client: models.next(), fingerprint: "" }), {
      code: "OUTPUT_EXISTS",
    });
    assert.ok(!existsSync(out) && !existsSync(`${out}.partial`));
  });

  test("a weight that is not a number, and leaves nothing", async () => {
    const path = models.next();
    writeVariant(path, { config: llama });
    const model = await openModel(path);
    const { file, offset } = model.tensors.get("model.layers.1.mlp.down_proj.weight")!;
    writeAt(file, offset, new Uint8Array(Float32Array.of(Number.NaN).buffer));
    const [outA, outB, client] = [models.next(), models.next(), models.next()];
    assert.throws(() => prepareShares({ model, bits: 8, outA, outB, client, fingerprint: "" }), { code: "CHECKPOINT_NON_FINITE" });
    for (const out of [outA, outB, client]) assert.ok(!existsSync(out) && !existsSync(`${out}.partial`));
  });
});
