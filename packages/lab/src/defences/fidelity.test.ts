import assert from "node:assert/strict";
import { test } from "node:test";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { forward } from "@unseen/core/reference/forward.ts";
import { compareLogits } from "@unseen/core/reference/verify.ts";
import { FidelityMeter } from "./fidelity.ts";
import { temporaryLlama } from "./temporary.fixture.ts";

const text = Uint32Array.from({ length: 100 }, (_, at) => (at * 37 + 5) % 64);

test("a model agrees with itself, and with another as the reference says of the same sequences", async (t) => {
  const model = await openModel(temporaryLlama(t));
  const other = await openModel(temporaryLlama(t, { plant: { tensor: "model.norm.weight", value: 9 } }));
  const meter = await FidelityMeter.of(model, [text, text.subarray(0, 3)], 90);
  assert.deepEqual(await meter.measure(model), { meanKl: 0, top1: 1 });
  const measured = await meter.measure(other);
  const sequences = [[...text.subarray(0, 64)], [...text.subarray(64, 90)]];
  const expected = compareLogits(forward(model, sequences), forward(other, sequences));
  assert.equal(expected.tokens, 90);
  assert.ok(Math.abs(measured.meanKl - expected.meanKl) < 1e-12 && expected.meanKl > 0.01);
  assert.ok(Math.abs(measured.top1 - expected.greedyAgreement) < 1e-12);
});

test("without text there is nothing to measure on; an aborted measurement ends", async (t) => {
  const model = await openModel(temporaryLlama(t));
  await assert.rejects(FidelityMeter.of(model, [new Uint32Array()]), { code: "USAGE" });
  await assert.rejects(FidelityMeter.of(model, [text], 10, AbortSignal.abort(new Error("enough"))), /enough/);
});
