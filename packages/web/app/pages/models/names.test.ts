import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Job } from "../../../src/protocol/jobs.ts";
import { fieldOf, freeName, keyNameMistake, modelNameMistake, modelNameOf, repositoryMistake, repositoryOf, serves } from "./names.ts";

test("a repository is taken as typed, or from the address of its page", () => {
  assert.equal(repositoryOf(" HuggingFaceTB/SmolLM2-135M "), "HuggingFaceTB/SmolLM2-135M");
  assert.equal(repositoryOf("https://huggingface.co/Qwen/Qwen3-0.6B"), "Qwen/Qwen3-0.6B");
  assert.equal(repositoryOf("https://huggingface.co/Qwen/Qwen3-0.6B/tree/main?x=1#top"), "Qwen/Qwen3-0.6B");
  for (const good of ["Qwen/Qwen3-0.6B", "a/b"]) assert.equal(repositoryMistake(good), null);
  for (const bad of ["", "Qwen", "../x", "a/b/c", "-a/b", "a/-b", "a b/c"]) assert.notEqual(repositoryMistake(bad), null, bad);
});

test("whatever is pasted, a repository without a mistake leads nowhere else", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const repository = repositoryOf(text);
      if (repositoryMistake(repository) === null) assert.doesNotMatch(repository, /\.\.\/|^\/|^-|\s/);
    }),
  );
});

test("names of models come from their paths as the program takes them", () => {
  assert.equal(modelNameOf("/home/ada/models/story-llama"), "story-llama");
  assert.equal(modelNameOf("/home/ada/models/story-llama/"), "story-llama");
  assert.equal(modelNameOf("/m/tiny.Q8_0.gguf"), "tiny.Q8_0");
  assert.equal(modelNameOf("/m/xray-cnn/model.onnx"), "xray-cnn");
  assert.equal(modelNameOf("/m/sentiment/onnx/model.onnx"), "sentiment");
  assert.equal(freeName("story", []), "story");
  assert.equal(freeName("story", ["story", "story-2"]), "story-3");
});

test("what a name may not be is said", () => {
  assert.equal(modelNameMistake("story-1.0_x"), null);
  for (const bad of ["", "-x", "a b", "a/b", "x".repeat(101)]) assert.notEqual(modelNameMistake(bad), null, bad);
  assert.equal(keyNameMistake("work", ["home"]), null);
  for (const bad of ["", "home", "a.age", "0123456789abcdef", "../x", "x".repeat(65)])
    assert.notEqual(keyNameMistake(bad, ["home"]), null, bad);
});

test("a host of this machine belongs to the model whose fingerprint it says, and before it says one to that of its path", () => {
  const model = { path: "/home/ada/.unseen/models/story-unseen", fingerprint: "ab" };
  const job = (change: Partial<Job>): Job => ({ kind: "serve", subject: "story-unseen", result: null, ...change }) as Job;
  assert.equal(serves(job({}), model), true);
  assert.equal(serves(job({ subject: "other" }), model), false);
  assert.equal(serves(job({ result: { fingerprint: "ab" }, subject: "other" }), model), true);
  assert.equal(serves(job({ result: { fingerprint: "cd" } }), model), false);
  assert.equal(serves(job({ kind: "encrypt" }), model), false);
});

test("a job's result is whatever a process printed", () => {
  assert.equal(fieldOf({ url: "http://127.0.0.1:1" }, "url"), "http://127.0.0.1:1");
  for (const other of [null, undefined, 3, "url", [], { url: 3 }]) assert.equal(fieldOf(other, "url"), null);
});
