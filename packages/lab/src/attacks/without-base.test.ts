import assert from "node:assert/strict";
import { test } from "node:test";
import { toyTrial } from "./toy-trials.fixture.ts";
import { withoutBase } from "./without-base.ts";

test("attacks without a model, each with a name of its own and a setting in which it must succeed", () => {
  assert.deepEqual(
    withoutBase.map(({ name, tier }) => `${tier} ${name}`),
    [
      "T0 brute-force",
      "T0 random-sampling",
      "T0 genetic",
      "T0 hill-climbing",
      "T0 linguistic",
      "T0 token-frequency",
      "T0 substitution",
      "T3 known-pairs",
    ],
  );
  for (const { control, optional } of withoutBase) assert.ok(control !== null && optional !== true);
});

test("each says why it is not run without recorded text, or without text to compare with", () => {
  const { evidence } = toyTrial({ vocabulary: 10, tokens: 100, spelling: [] });
  for (const attack of withoutBase) {
    assert.equal(attack.missing(evidence), null);
    assert.notEqual(attack.missing({ ...evidence, traffic: [] }), null);
    assert.notEqual(attack.missing({ ...evidence, prior: [] }), null);
  }
});
