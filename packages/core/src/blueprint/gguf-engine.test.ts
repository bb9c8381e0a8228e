import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { openGguf, type GgufValue } from "../checkpoint/gguf.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import type { TensorLocation } from "../checkpoint/tensor.ts";
import { sealGgufMetadata } from "./gguf-metadata.ts";
import { readGgufModel } from "./gguf-model.ts";
import { askLlamaCpp } from "./llama-cpp.fixture.ts";
import { readValues, writeGguf, writePlainGguf, type Values } from "./plain-gguf.fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-gguf-engine-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const PROMPT = 24;
/** llama.cpp looks GELU up in a table of F16; SiLU is computed. */
const FAMILIES: Readonly<Record<string, number>> = {
  llama3: 1e-5,
  "llama2-bias-tied": 1e-5,
  mistral: 1e-5,
  mixtral: 1e-5,
  phi3: 1e-5,
  qwen2: 1e-5,
  qwen3: 1e-5,
  "qwen3-moe": 1e-5,
  gemma2: 5e-3,
  gemma3: 5e-3,
  gpt2: 5e-3,
};

function readIds({ file, offset, bytes }: TensorLocation): number[] {
  const copy = Uint8Array.from(readFileSync(file).subarray(offset, offset + bytes));
  return Array.from(new BigInt64Array(copy.buffer), Number);
}

test("llama.cpp computes from our GGUF what transformers computes, for every family", needs("data/models/families"), async (t) => {
  const cases = await Promise.all(
    Object.entries(FAMILIES).map(async ([family, tolerance]) => {
      const source = sharedPath(`data/models/families/${family}`) as string;
      const model = join(directory, `${family}.gguf`);
      const { architecture, metadata } = await writePlainGguf(source, model);
      const expected = (await openSafetensors(join(source, "case.safetensors"))).tensors;
      const context = [...metadata].find(([key]) => key.endsWith(".context_length"))?.[1].value as number;
      const greedy = readIds(expected.get("greedy") as TensorLocation);
      const logits = readValues(expected.get("logits") as TensorLocation).values;
      return {
        family,
        tolerance,
        model,
        architecture,
        greedy,
        logits,
        positions: Math.min(PROMPT, context),
        whole: context >= greedy.length,
      };
    }),
  );
  const answers = await askLlamaCpp(
    cases.map(({ model, greedy, positions, whole }) => ({
      model,
      prompt: greedy.slice(0, PROMPT),
      count: whole ? greedy.length - PROMPT : 0,
      positions,
    })),
  );
  for (const [index, { family, tolerance, architecture, greedy, logits, positions, whole }] of cases.entries()) {
    await t.test(family, () => {
      const answer = answers[index];
      assert.ok(answer);
      let worst = 0;
      for (let position = 0; position < positions; position += 1) {
        for (let id = 0; id < architecture.vocabulary; id += 1) {
          const difference = Math.abs(
            (answer.logits[position]?.[id] as number) - (logits[position * architecture.vocabulary + id] as number),
          );
          worst = Math.max(worst, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
        }
      }
      assert.ok(worst <= tolerance, `largest difference of a logit is ${worst}`);
      if (whole) assert.deepEqual(answer.ids, greedy.slice(PROMPT));
      else assert.equal(positions, 8, "a window that llama.cpp does not know must cut the context");
    });
  }
});

const STORIES = "data/models/stories260K-f32.gguf";
test("a sealed GGUF with its vocabulary permuted tells the same story and names no word", needs(STORIES), async () => {
  const path = sharedPath(STORIES) as string;
  const plain = await openGguf(path);
  const model = readGgufModel(path, plain);
  const embedding = readValues(plain.tensors.get("token_embd.weight") as TensorLocation);
  const [size, columns] = embedding.shape as [number, number];
  const encipher = (id: number): number => (id * 5 + 3) % size;
  const values = new Float32Array(embedding.values.length);
  for (let id = 0; id < size; id += 1) values.set(embedding.values.subarray(id * columns, (id + 1) * columns), encipher(id) * columns);
  const tensors = new Map<string, Values>();
  for (const tensor of plain.tensors.values())
    tensors.set(tensor.name, tensor.name === "token_embd.weight" ? { shape: embedding.shape, values } : readValues(tensor));
  assert.ok(!tensors.has("output.weight"), "the permutation below covers tied embeddings only");
  const sealed = join(directory, "sealed.gguf");
  const metadata = sealGgufMetadata(plain.metadata, encipher, size);
  writeGguf(sealed, metadata, tensors);

  const prompt = [1, 403, 407, 261, 378];
  const [before, behind] = await askLlamaCpp([
    { model: path, prompt, count: 48, positions: 0 },
    { model: sealed, prompt: prompt.map(encipher), count: 48, positions: 0 },
  ]);
  assert.equal(before?.ids.length, 48);
  assert.deepEqual(behind?.ids, before.ids.map(encipher));
  assert.equal(behind.eos, encipher(model.config["eos_token_id"] as number), "node-llama-cpp must see the enciphered end token");

  const header = readFileSync(sealed).subarray(0, 100_000);
  const words = (plain.metadata.get("tokenizer.ggml.tokens") as { value: readonly string[] } & GgufValue).value.filter(
    (word) => word.length > 1 && word.startsWith("▁"),
  );
  assert.ok(words.length > 50);
  for (const word of words) assert.ok(!header.includes(word), `the header holds ${word}`);
});
