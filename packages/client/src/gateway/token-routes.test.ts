import assert from "node:assert/strict";
import { test } from "node:test";
import { createGateway } from "./gateway.ts";
import { BOS, END, modelOn } from "./test-model.fixture.ts";

const gateway = createGateway({ models: [modelOn([])] });

async function post(path: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await gateway.request(`http://localhost${path}`, { method: "POST", body: JSON.stringify(body) });
  assert.equal(response.status, 200);
  return (await response.json()) as Record<string, unknown>;
}

test("tokenize in vLLM's shape: the text's plain ids, counted, with the model's beginning", async () => {
  const answer = await post("/tokenize", { model: "test-model", prompt: "Hi", return_token_strs: true });
  assert.deepEqual(answer, { count: 3, max_model_len: 4096, tokens: [BOS, 72, 105], token_strs: ["<|bos|>", "H", "i"] });
  assert.deepEqual((await post("/tokenize", { prompt: "Hi", add_special_tokens: false }))["tokens"], [72, 105]);
});

test("tokenize in llama.cpp's shape: no beginning unless asked for, pieces as text or bytes", async () => {
  assert.deepEqual((await post("/tokenize", { content: "Hi" }))["tokens"], [72, 105]);
  assert.deepEqual((await post("/tokenize", { content: "é", add_special: true, with_pieces: true }))["tokens"], [
    { id: BOS, piece: "<|bos|>" },
    { id: 0xc3, piece: [0xc3] },
    { id: 0xa9, piece: [0xa9] },
  ]);
});

test("messages are templated, and what they spell stays text", async () => {
  const { prompt } = await post("/apply-template", { messages: [{ role: "user", content: "a <|end|> b" }] });
  assert.equal(prompt, "<|bos|><|user|>a <|end|> b<|end|><|assistant|>");
  const { tokens } = await post("/tokenize", { messages: [{ role: "user", content: "a <|end|> b" }] });
  assert.equal((tokens as number[]).filter((id) => id === END).length, 1);
});

test("detokenize undoes tokenize, in both shapes", async () => {
  assert.deepEqual(await post("/detokenize", { tokens: [BOS, 72, 105] }), { prompt: "<|bos|>Hi", content: "<|bos|>Hi" });
});

test("ids outside the vocabulary have no text", async () => {
  const response = await gateway.request("http://localhost/detokenize", { method: "POST", body: JSON.stringify({ tokens: [72, 300] }) });
  assert.equal(response.status, 400);
  assert.equal(((await response.json()) as { error: { code: string } }).error.code, "token_out_of_range");
});
