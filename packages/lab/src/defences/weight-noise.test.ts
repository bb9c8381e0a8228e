import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import { openModel, type Model } from "@unseen/core/blueprint/model.ts";
import { readVector } from "@unseen/core/blueprint/read-tensor.ts";
import { seeded } from "../seed.ts";
import type { Subject } from "../trial.ts";
import { openWeights } from "../weights/open-weights.ts";
import type { Defence } from "./defence.ts";
import { temporaryFolder, temporaryLlama } from "./temporary.fixture.ts";
import { addNoise, tableNoise, weightNoise } from "./weight-noise.ts";

const subject: Subject = {
  vocabulary: 64,
  special: new Set(),
  texts: { recorded: [], heldOut: [], prior: [] },
  spelling: null,
  base: null,
  knownText: null,
};

async function changedBy(t: TestContext, defence: Defence, model: Model, dial: number): Promise<Model> {
  const { changed, trial } = await defence.apply({
    model,
    subject,
    dial,
    key: { secret: new Uint8Array(32).fill(1), strength: "rotate" },
    seed: 1,
    directory: temporaryFolder(t),
    exact: () => openWeights(model.path, 64),
    random: (purpose) => seeded(1, purpose),
    signal: undefined,
  });
  assert.equal(trial.evidence.encrypted?.vocabulary, 64);
  return openModel(changed as string);
}

/** Standard deviation of what was added, relative to that of what was there; null for a tensor that did not change. */
function relativeNoise(plain: Float64Array, changed: Float64Array): number | null {
  const deviation = (values: Float64Array): number => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  };
  const noise = changed.map((value, at) => value - (plain[at] as number));
  return noise.every((value) => value === 0) ? null : deviation(noise) / deviation(plain);
}

test("noise has the size that is asked for, whatever the mean of the weights", () => {
  const plain = Float64Array.from({ length: 40_000 }, (_, at) => 5 + 0.1 * Math.sin(at));
  const noisy = plain.slice();
  addNoise(noisy, 0.5, seeded(1, "noise"));
  assert.ok(Math.abs((relativeNoise(plain, noisy) as number) - 0.5) < 0.01);
});

test("weight noise is on every matrix and on nothing else; none leaves each bit", async (t) => {
  const model = await openModel(temporaryLlama(t));
  for (const dial of [0, 0.3]) {
    const changed = await changedBy(t, weightNoise, model, dial);
    assert.equal(changed.tensors.size, model.tensors.size);
    for (const [name, tensor] of model.tensors) {
      const noise = relativeNoise(readVector(tensor), readVector(changed.tensors.get(name)!));
      if (dial === 0 || tensor.shape.length === 1) assert.equal(noise, null, name);
      else assert.ok(Math.abs((noise as number) - dial) < 0.1 * dial, `${name}: ${noise}`);
    }
  }
});

test("table noise is on the two tables alone, a fifth of it on the head, and tied ones are stored apart", async (t) => {
  const model = await openModel(temporaryLlama(t, { config: { tie_word_embeddings: true } }));
  assert.equal(decoderOf(model.config).architecture.tied, true);
  const changed = await changedBy(t, tableNoise, model, 0.5);
  assert.equal(decoderOf(changed.config).architecture.tied, false);
  const table = readVector(model.tensors.get("model.embed_tokens.weight")!);
  for (const [name, tensor] of changed.tensors) {
    const plain = name === "lm_head.weight" ? table : readVector(model.tensors.get(name)!);
    const noise = relativeNoise(plain, readVector(tensor));
    const expected = { "model.embed_tokens.weight": 0.5, "lm_head.weight": 0.1 }[name];
    if (expected === undefined) assert.equal(noise, null, name);
    else assert.ok(Math.abs((noise as number) - expected) < 0.1 * expected, `${name}: ${noise}`);
  }
});

test("a dial that is no size is refused", async (t) => {
  const model = await openModel(temporaryLlama(t));
  for (const dial of [-0.1, Number.NaN, Infinity])
    await assert.rejects(changedBy(t, weightNoise, model, dial), { code: "USAGE", message: /weight-noise/ });
});
