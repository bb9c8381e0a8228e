import assert from "node:assert/strict";
import { test } from "node:test";
import { matrix } from "../../numeric/matrix.ts";
import { seeded } from "../../seed.ts";
import { randomNumbers } from "../heads.fixture.ts";
import { Network } from "./network.ts";

const linear = matrix(3, 6, randomNumbers(18, "linear"));
const inputs = matrix(9, 6, randomNumbers(54, "inputs"));

test("gradients are those of difference quotients, and targets of NaN do not count", () => {
  const network = new Network(6, [5, 4], linear, new Float64Array(3), seeded(1, "network"));
  // The last layer begins at zero, where nothing flows back.
  for (const { values } of network.parameters)
    randomNumbers(values.length, `parameter ${values.length}`).forEach((v, k) => (values[k] = v / 2));
  const targets = matrix(9, 3, randomNumbers(27, "targets"));
  targets.values[4] = NaN;
  const { gradients } = network.gradients(inputs, targets);
  const error = (): number => network.gradients(inputs, targets).error;
  network.parameters.forEach(({ values }, index) => {
    for (let at = 0; at < values.length; at += 1) {
      const value = values[at]!;
      values[at] = value + 1e-6;
      const above = error();
      values[at] = value - 1e-6;
      const quotient = (above - error()) / 2e-6;
      values[at] = value;
      assert.ok(Math.abs(gradients[index]!.values[at]! - quotient) < 1e-6, `${index}, ${at}: ${gradients[index]!.values[at]}, ${quotient}`);
    }
    assert.ok(gradients[index]!.values.some((slope) => Math.abs(slope) > 1e-3));
  });
});

test("it begins as its linear path and learns what that cannot do, the same twice", () => {
  const [random, twin] = [seeded(2, "network"), seeded(2, "network")];
  const targets = matrix(
    9,
    3,
    Float64Array.from({ length: 27 }, (_, at) => Math.abs(inputs.values[Math.floor(at / 3) * 6 + (at % 3)]!)),
  );
  const train = (network: Network): number[] => Array.from({ length: 300 }, () => network.learn(inputs, targets, 5e-3));
  const network = new Network(6, [24, 24], matrix(3, 6), new Float64Array(3), random);
  assert.ok(network.forward(inputs).values.every((value) => value === 0));
  const errors = train(network);
  assert.ok(errors.at(-1)! < errors[0]! / 50, `${errors[0]} -> ${errors.at(-1)}`);
  assert.deepEqual(train(new Network(6, [24, 24], matrix(3, 6), new Float64Array(3), twin)), errors);
});
