/**
 * What is said below an answer.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnswerUsage, Message } from "../../../../src/protocol/conversations.ts";
import type { OfferedRow } from "../../../../src/protocol/library.ts";
import { answerFacts, canContinue, forgottenNote } from "./answer-facts.ts";

const usage: AnswerUsage = { promptTokens: 20, completionTokens: 41, firstTokenSeconds: 1, seconds: 3, forgotten: 0 };
const answer: Message = {
  id: "b",
  parent: "a",
  siblings: ["b"],
  role: "assistant",
  content: "words",
  reasoning: "",
  created: "2026-01-01T00:00:00.000Z",
  state: "complete",
  model: "a-model",
  failure: null,
  usage,
  wire: true,
};
const model = { contextLength: 512 } as OfferedRow;

test("speed is that of the tokens after the first", () => {
  assert.deepEqual(answerFacts(answer), ["a-model", "20 tokens/s", "41 tokens", "3.0 s"]);
  assert.deepEqual(answerFacts({ ...answer, usage: { ...usage, completionTokens: 1 } }), ["a-model", "1 token", "3.0 s"]);
  assert.deepEqual(answerFacts({ ...answer, usage: null }), ["a-model"]);
});

test("what was left out of the context is said", () => {
  assert.equal(forgottenNote(answer), null);
  assert.equal(
    forgottenNote({ ...answer, usage: { ...usage, forgotten: 1 } }),
    "The oldest message did not fit the model's context and was left out.",
  );
  assert.match(forgottenNote({ ...answer, usage: { ...usage, forgotten: 4 } })!, /^The 4 oldest messages did .* were left out\.$/);
});

test("an answer goes on where something may be missing", () => {
  assert.equal(canContinue(answer, {}, model), false);
  assert.equal(canContinue(answer, { max_tokens: 41 }, model), true);
  assert.equal(canContinue(answer, {}, { ...model, contextLength: 61 }), true);
  for (const state of ["stopped", "interrupted", "failed"] as const) assert.equal(canContinue({ ...answer, state }, {}, null), true);
  assert.equal(canContinue({ ...answer, state: "stopped", content: "" }, {}, model), false);
  assert.equal(canContinue({ ...answer, state: "streaming" }, {}, model), false);
});
