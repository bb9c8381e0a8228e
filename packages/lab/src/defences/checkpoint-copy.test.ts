import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { readVector } from "@unseen/core/blueprint/read-tensor.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { writeVariant } from "@unseen/core/blueprint/variant.fixture.ts";
import { openChangeable, tensorsOf, writeCheckpoint } from "./checkpoint-copy.ts";
import { temporaryFolder, temporaryLlama } from "./temporary.fixture.ts";

test("a copy has the numbers of bf16 weights exactly, in f32, and leaves out the tied head that a file repeats", async (t) => {
  const model = await openChangeable(temporaryLlama(t, { format: "BF16", config: { tie_word_embeddings: true, rope_theta: 10_000 } }));
  const directory = join(temporaryFolder(t), "copy");
  await writeCheckpoint(directory, model, tensorsOf(model), { max_position_embeddings: 99 });
  const copy = await openModel(directory);
  assert.ok(model.tensors.has("lm_head.weight") && !copy.tensors.has("lm_head.weight"));
  assert.equal(copy.tensors.size, model.tensors.size - 1);
  for (const [name, tensor] of copy.tensors) {
    assert.equal(tensor.format, "F32");
    assert.deepEqual(readVector(tensor), readVector(model.tensors.get(name)!), name);
  }
  assert.equal(copy.config["max_position_embeddings"], 99);
  assert.equal(copy.config["hidden_size"], model.config["hidden_size"]);
});

test("what is changed is changed, and whole numbers are copied as they are", async (t) => {
  const path = join(temporaryFolder(t), "plain");
  const buffer = { "transformer.h.0.attn.bias": [1, 0, 1] };
  writeVariant(path, {
    config: { model_type: "gpt2", vocab_size: 64, n_embd: 32, n_layer: 1, n_head: 4, n_positions: 64 },
    biases: true,
    buffers: buffer,
  });
  const model = await openChangeable(path);
  const directory = join(temporaryFolder(t), "copy");
  const tensors = tensorsOf(model).map((tensor) =>
    tensor.role.endsWith("ln_f.weight") ? { ...tensor, change: () => new Float64Array(32).fill(7) } : tensor,
  );
  await writeCheckpoint(directory, model, tensors, {});
  const copy = await openModel(directory);
  assert.deepEqual(readVector(copy.tensors.get("transformer.ln_f.weight")!), new Float64Array(32).fill(7));
  const { file, offset, bytes, format } = copy.tensors.get("transformer.h.0.attn.bias")!;
  assert.equal(format, "I64");
  assert.deepEqual([...new BigInt64Array(readFileSync(file).buffer.slice(offset, offset + bytes))], [1n, 0n, 1n]);
});

test("what is no plain decoder in a directory is refused by name", async (t) => {
  const plain = temporaryLlama(t);
  const encrypted = join(temporaryFolder(t), "encrypted");
  await encryptModel({ source: plain, output: encrypted, key: { secret: new Uint8Array(32), strength: "permute" } });
  const gguf = join(temporaryFolder(t), "plain.gguf");
  const story = fileURLToPath(new URL("../../../unseen/models/story-llama", import.meta.url));
  await encryptModel({ source: story, output: gguf, key: { secret: new Uint8Array(32), strength: "permute" } });
  const encoder = join(temporaryFolder(t), "encoder");
  writeVariant(encoder, {
    config: {
      model_type: "bert",
      vocab_size: 64,
      hidden_size: 32,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      intermediate_size: 40,
      max_position_embeddings: 64,
      architectures: ["BertModel"],
    },
    biases: true,
  });
  const cases: [string, RegExp][] = [
    [encrypted, /encrypted is encrypted/],
    [gguf, /plain\.gguf is a GGUF file/],
    [encoder, /encoder is an encoder/],
    ["/nowhere/model.onnx", /model\.onnx is an ONNX file/],
  ];
  for (const [path, message] of cases) await assert.rejects(openChangeable(path), { code: "USAGE", message });
  await assert.rejects(openChangeable("/nowhere/model"), { code: "CHECKPOINT_NOT_FOUND" });
});
