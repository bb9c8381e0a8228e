import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { Session } from "../client/session.ts";
import { Engine } from "../evaluator/engine.ts";
import { readHeads } from "../graph/read-heads.ts";
import { runClear } from "../graph/run-clear.ts";
import type { Head } from "../layer.ts";
import { shallow, type Parameters } from "../parameters.ts";
import type { PlannedCut } from "../plan.ts";
import { planCuts } from "../planner/plan-cuts.ts";
import { compile } from "./compile.ts";
import { averagePool, convolution, dense, Draws, headOf, polynomial, randomPicture } from "./random-head.fixture.ts";
import { simulate } from "./simulate.ts";

const XRAY = fileURLToPath(new URL("../../../unseen/models/xray-cnn/model.onnx", import.meta.url));
const xray = readHeads(decodeOnnx(readFileSync(XRAY)));
const engine = new Engine((head, parameters) => compile(head, parameters));

/** Features of a picture that was encrypted, evaluated by SEAL and decrypted; and the bytes that went to and fro. */
async function onCiphertext(
  head: Head,
  parameters: Parameters,
  picture: Float64Array,
): Promise<{ features: Float64Array; bytes: Pick<PlannedCut, "keyBytes" | "uploadBytes" | "downloadBytes"> }> {
  const program = compile(head, parameters);
  const session = await Session.create(parameters, program);
  try {
    const keys = session.keys();
    const inputs = program.pack(picture).map((slots) => session.encrypt(slots));
    const id = `${head.value}/${parameters.scheme}`;
    const { outputs } = await engine.evaluate({ head, headId: id, parameters, tenant: "tenant", keysId: id, keys, inputs, budget: 60_000 });
    const bytes = {
      keyBytes: (keys.relinearisation?.length ?? 0) + (keys.rotation?.length ?? 0),
      uploadBytes: inputs.reduce((sum, { length }) => sum + length, 0),
      downloadBytes: outputs.reduce((sum, { length }) => sum + length, 0),
    };
    const places = session.resultsOf(program);
    return {
      features: program.unpack(outputs.map((output, index) => session.decrypt(output, places[index] ?? { level: 0, scale: 0 }))),
      bytes,
    };
  } finally {
    session.close();
  }
}

function largestDifference(left: Float64Array, right: Float64Array): number {
  assert.equal(left.length, right.length);
  return left.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (right[index] ?? Number.NaN))), 0);
}

describe("compiled programs on ciphertext", () => {
  const draws = new Draws(1);
  const shape = { channels: 1, height: 28, width: 28 };
  let picture: Float64Array;
  before(() => (picture = randomPicture(draws, shape)));

  for (const planned of planCuts(xray).cuts)
    test(`the X-ray model, cut ${planned.cut}, ${planned.parameters.scheme}: result and bytes are as planned`, async () => {
      const head = xray.heads[planned.cut - 1];
      assert.ok(head);
      const { features, bytes } = await onCiphertext(head, planned.parameters, picture);
      const { keyBytes, uploadBytes, downloadBytes } = planned;
      assert.deepEqual(bytes, { keyBytes, uploadBytes, downloadBytes });
      if (planned.parameters.scheme === "ckks") assert.ok(largestDifference(features, runClear(head, picture)) < 1e-4);
      else {
        const program = compile(head, planned.parameters);
        assert.deepEqual(features, program.unpack(simulate(program, program.pack(picture), draws)));
      }
    });

  test("polynomials, pools and dense layers", async () => {
    const first = convolution(draws, shape, 5, { pads: [1, 1, 1, 1], strides: [2, 2] });
    const quadratic = polynomial(first.output, [0.1, 0.5, 0.2]);
    const quartic = polynomial(first.output, [0.2, -0.4, 0.3, 0.1, 0.5]);
    const pool = averagePool(first.output, [2, 2], [2, 2], [0, 0, 0, 0]);
    for (const layers of [
      [first, quartic],
      [first, quadratic, dense(draws, first.output, 20)],
      [first, pool, dense(draws, pool.output, 3)],
    ]) {
      const head = { ...headOf(shape, layers), value: layers.map(({ value }) => value).join() };
      const { features } = await onCiphertext(head, shallow, picture);
      assert.ok(largestDifference(features, runClear(head, picture)) < 1e-5, head.value);
    }
  });
});
