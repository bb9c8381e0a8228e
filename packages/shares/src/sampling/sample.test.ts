import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { best, logprobsOf, sample, uniformFrom, type SamplingSettings } from "./sample.ts";

const plain: SamplingSettings = { temperature: 1, topP: 1, presencePenalty: 0, frequencyPenalty: 0 };
const nothing = { prompt: [], answer: [] };
const logits = Float64Array.from([0, Math.log(2), Math.log(4), Math.log(1), -1e9]);

/** How often each token comes in many draws. */
function shares(settings: SamplingSettings, said = nothing as { prompt: number[]; answer: number[] }, draws = 8000): number[] {
  const uniform = uniformFrom(7);
  const counts = Array.from(logits, () => 0);
  for (let draw = 0; draw < draws; draw += 1) counts[sample(logits, settings, said, uniform)]! += 1;
  return counts.map((count) => count / draws);
}

function near(found: readonly number[], expected: readonly number[]): void {
  found.forEach((share, id) => assert.ok(Math.abs(share - expected[id]!) < 0.025, `token ${id}: ${share}, expected ${expected[id]}`));
}

describe("sample", () => {
  test("draws by the softmax", () => near(shares(plain), [1 / 8, 2 / 8, 4 / 8, 1 / 8, 0]));
  test("temperature", () => near(shares({ ...plain, temperature: 0.5 }), [1 / 22, 4 / 22, 16 / 22, 1 / 22, 0]));
  test("top k", () => near(shares({ ...plain, topK: 2 }), [0, 1 / 3, 2 / 3, 0, 0]));
  test("top p keeps the token that reaches the mass", () => near(shares({ ...plain, topP: 0.6 }), [0, 1 / 3, 2 / 3, 0, 0]));
  test("min p", () => near(shares({ ...plain, minP: 0.4 }), [0, 1 / 3, 2 / 3, 0, 0]));
  test("bias", () => near(shares({ ...plain, logitBias: new Map([[4, 1e9 + Math.log(8)]]) }), [1 / 16, 2 / 16, 4 / 16, 1 / 16, 8 / 16]));
  test("presence and frequency look at the answer alone", () => {
    near(shares({ ...plain, presencePenalty: Math.log(2) }, { prompt: [1], answer: [2, 2] }), [1 / 6, 2 / 6, 2 / 6, 1 / 6, 0]);
    near(shares({ ...plain, frequencyPenalty: Math.log(2) }, { prompt: [1], answer: [2, 2] }), [1 / 5, 2 / 5, 1 / 5, 1 / 5, 0]);
  });
  test("repetition looks at the prompt too", () =>
    near(shares({ ...plain, repetitionPenalty: 2 }, { prompt: [2], answer: [] }), [1 / 6, 2 / 6, 2 / 6, 1 / 6, 0]));
  test("greedy is the first of the largest", () => {
    assert.equal(
      sample(logits, { ...plain, temperature: 0 }, nothing, () => 0.99),
      2,
    );
    assert.equal(best(Float64Array.from([1, 3, 3])), 1);
  });
  test("the same seed draws the same, another one others, none is new each time", () => {
    const draw = (seed?: number): number[] => Array.from({ length: 20 }, uniformFrom(seed));
    assert.deepEqual(draw(5), draw(5));
    assert.notDeepEqual(draw(5), draw(6));
    assert.notDeepEqual(draw(), draw());
    for (const value of draw(1)) assert.ok(value >= 0 && value < 1);
  });
  test("log-probabilities are those of the model", () => {
    const { logprob, top } = logprobsOf(logits, 0, 2);
    assert.ok(Math.abs(logprob - Math.log(1 / 8)) < 1e-12);
    assert.deepEqual(
      top.map(({ id }) => id),
      [2, 1],
    );
  });
});
