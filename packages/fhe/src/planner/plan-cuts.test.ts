import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { averagePool, convolution, dense, Draws, headOf as head, polynomial } from "../compile/random-head.fixture.ts";
import { readHeads } from "../graph/read-heads.ts";
import type { Head, Layer } from "../layer.ts";
import { exact, deep, parametersId, shallow, type Parameters } from "../parameters.ts";
import type { Calibration } from "../plan.ts";
import { headOf, planCuts } from "./plan-cuts.ts";

const XRAY = fileURLToPath(new URL("../../../unseen/models/xray-cnn/model.onnx", import.meta.url));
const xray = readHeads(decodeOnnx(readFileSync(XRAY)));

/** Every operation takes a millisecond, but for rotations. */
function calibrationOf(parameters: Parameters, rotation: number): readonly [string, Calibration] {
  const each = Array.from({ length: 8 }, () => 0.001);
  const names = { encode: each, multiplyPlain: each, add: each, multiply: each, relinearise: each, rescale: each };
  const id = parametersId(parameters);
  return [id, { parameters: id, ...names, rotate: each.map(() => rotation), load: 0.001, loadKey: 0.01 }];
}

function calibrations(rotation = 0.001): ReadonlyMap<string, Calibration> {
  return new Map([shallow, deep, exact].map((parameters) => calibrationOf(parameters, rotation)));
}

/** The heads of a chain of layers. */
function headsOf(layers: readonly Layer[]): { heads: Head[]; end: string } {
  const shape = layers[0]?.input ?? { channels: 1, height: 1, width: 1 };
  return { heads: layers.map((_, index) => head(shape, layers.slice(0, index + 1))), end: "Relu needs a comparison" };
}

describe("planCuts", () => {
  test("plans the X-ray model", () => {
    const plan = planCuts(xray);
    assert.deepEqual(plan.picture, [1, 28, 28]);
    const facts = plan.cuts.map(({ cut, parameters, depth, rotationKeys, keyBytes, uploadBytes, downloadBytes, refused }) => {
      assert.equal(refused, null);
      return [cut, parameters.scheme, depth, rotationKeys, keyBytes, uploadBytes, downloadBytes];
    });
    const upload = 9 * 262_338;
    assert.deepEqual(facts, [
      [1, "ckks", 1, 0, 0, upload, 393_329],
      [1, "bfv", 1, 0, 0, upload, 262_257],
      [2, "ckks", 2, 0, 1_311_560, upload, 262_257],
      [3, "ckks", 3, 4, 1_311_560 + 5_311_576, upload, 2 * 131_185],
    ]);
    assert.ok(plan.cuts.every(({ seconds }) => seconds === null));
  });

  test("estimates seconds from what was measured", () => {
    const plan = planCuts(xray, { calibrations: calibrations() });
    // 9 ciphertexts are loaded; 9 products of 3 ms; rescale; encode and add the bias.
    const first = 9 * 0.001 + 9 * 0.003 + 0.001 + 0.002;
    assert.ok(Math.abs((plan.cuts[0]?.seconds ?? 0) - first) < 1e-9);
    // Key, product, relinearisation, rescale.
    assert.ok(Math.abs((plan.cuts[2]?.seconds ?? 0) - first - 0.013) < 1e-9);
  });

  test("refuses what takes more than 80 % of the budget, in words", () => {
    const slow = planCuts(xray, { calibrations: calibrations(2) });
    assert.match(
      slow.cuts[3]?.refused ?? "",
      /^takes about \d+\.\d seconds \(297 products with weights, 39 rotations\); 80 % of the budget of 60 seconds is 48\.0\. An earlier cut/,
    );
    assert.throws(() => headOf(xray, slow, 3), /cut 3 takes about/);
    assert.equal(planCuts(xray, { calibrations: calibrations(2), budget: 600 }).cuts[3]?.refused, null);
    assert.equal(headOf(xray, slow, 2).head, xray.heads[1]);
  });

  test("chooses deeper parameters for more products in a row, and refuses more than they allow", () => {
    const draws = new Draws(1);
    const shape = { channels: 1, height: 8, width: 8 };
    const square = polynomial(shape, [0, 0, 1]);
    const { cuts } = planCuts(headsOf(Array.from({ length: 7 }, () => square)));
    assert.deepEqual(
      cuts.map(({ parameters, depth }) => [parameters, depth]),
      [1, 2, 3, 4, 5, 6, 7].map((depth) => [depth > 3 ? deep : shallow, depth]),
    );
    assert.equal(cuts[4]?.refused, null);
    assert.match(cuts[6]?.refused ?? "", /^needs 7 products in a row; the deepest parameters allow 5\./);
    const huge = { channels: 3, height: 2048, width: 2048 };
    assert.match(planCuts(headsOf([convolution(draws, huge, 4, {})])).cuts[0]?.refused ?? "", /limit is 512/);
  });

  test("lists whole numbers beside approximate ones for a single convolution", () => {
    const draws = new Draws(2);
    const first = convolution(draws, { channels: 1, height: 8, width: 8 }, 4, {});
    const heads = headsOf([
      first,
      averagePool(first.output, [2, 2], [2, 2], [0, 0, 0, 0]),
      dense(draws, { channels: 4, height: 3, width: 3 }, 5),
    ]);
    const plan = planCuts(heads);
    assert.deepEqual(
      plan.cuts.map(({ cut, parameters }) => [cut, parameters.scheme]),
      [
        [1, "ckks"],
        [1, "bfv"],
        [2, "ckks"],
        [3, "ckks"],
      ],
    );
    assert.equal(headOf(heads, plan, 1, "bfv").planned.parameters, exact);
    const unavailable = (error: unknown): boolean => UnseenError.isInstance(error) && error.code === "CUT_UNAVAILABLE";
    assert.throws(() => headOf(heads, plan, 2, "bfv"), unavailable);
    assert.throws(() => headOf(heads, plan, 4), unavailable);
    assert.throws(() => planCuts({ heads: [], end: "Relu needs a comparison" }), unavailable);
  });
});
