/**
 * Settings as they are typed.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { samplingFrom } from "./sampling.ts";

test("numbers are taken, empty fields are left to the model", () => {
  assert.deepEqual(samplingFrom({ temperature: "0", top_p: " 0,5 ", max_tokens: "40", seed: "", presence_penalty: "-1.5" }), {
    sampling: { temperature: 0, top_p: 0.5, max_tokens: 40, presence_penalty: -1.5 },
    mistakes: {},
  });
});

test("what is no number, too large or no whole number is a mistake that says what is allowed", () => {
  const { sampling, mistakes } = samplingFrom({ temperature: "3", max_tokens: "1.5", min_p: "much", top_k: "1e99", seed: "-1" });
  assert.deepEqual(sampling, {});
  assert.equal(mistakes.temperature, "A number from 0 to 2.");
  assert.equal(mistakes.max_tokens, "A whole number from 1 to 1,000,000.");
  assert.deepEqual(Object.keys(mistakes).toSorted(), ["max_tokens", "min_p", "seed", "temperature", "top_k"]);
});
