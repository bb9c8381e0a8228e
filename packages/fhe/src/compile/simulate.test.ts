import assert from "node:assert/strict";
import { test } from "node:test";
import { shallow, type CkksParameters } from "../parameters.ts";
import type { Operation, Program } from "../program.ts";
import { runHead } from "./run-head.ts";
import { convolution, Draws, headOf, randomPicture } from "./random-head.fixture.ts";
import { simulate } from "./simulate.ts";

const draws = new Draws(1);
const parameters: CkksParameters = { ...shallow, degree: 16 };
const ones = { id: 0, values: () => new Float64Array(8).fill(1) };
const picture = Float64Array.from({ length: 8 }, (_, slot) => slot);

function program(operations: readonly Operation[], output: number): Program {
  const shape = { channels: 8, height: 1, width: 1 };
  const packing = { pack: (values: Float64Array) => [values], unpack: ([values]: readonly Float64Array[]) => values ?? new Float64Array() };
  return {
    parameters,
    slots: 8,
    inputs: 1,
    operations,
    outputs: [output],
    rotations: [1],
    relinearises: true,
    depth: 1,
    shape,
    output: shape,
    integers: null,
    gains: [],
    ...packing,
  };
}

function run(operations: readonly Operation[], output: number, noise = 0): Float64Array[] {
  return simulate(program(operations, output), [picture], { noise, uniform: draws.uniform });
}

test("operations do to numbers what they do to slots", () => {
  assert.deepEqual(
    run(
      [
        { operation: "rotate", to: 1, from: 0, by: 1 },
        { operation: "add", to: 2, from: [0, 1] },
        { operation: "multiply", to: 3, left: 2, right: 2 },
        { operation: "rescale", to: 4, from: 3 },
        { operation: "shift", to: 5, from: 4, constant: ones },
      ],
      5,
    ),
    [Float64Array.from(picture, (slot) => (slot + ((slot + 1) % 8)) ** 2 + 1)],
  );
});

test("what SEAL would refuse is refused", () => {
  const dot: Operation = { operation: "dot", to: 1, terms: [{ from: 0, constant: ones }] };
  assert.throws(() => run([dot, { operation: "add", to: 2, from: [0, 1] }], 2), /different scales/);
  assert.throws(() => run([{ operation: "rotate", to: 1, from: 0, by: 2 }], 1), /no key for rotations by 2/);
  assert.throws(() => run([{ operation: "free", from: 0 }, dot], 1), /after it was freed/);
  assert.throws(
    () => run([{ operation: "dot", to: 1, terms: [{ from: 0, constant: { id: 1, values: () => new Float64Array(8) } }] }], 1),
    /zero everywhere/,
  );
  const square = (from: number): Operation[] => [
    { operation: "multiply", to: from + 1, left: from, right: from },
    { operation: "rescale", to: from + 2, from: from + 1 },
  ];
  assert.throws(() => run([...square(0), ...square(2), ...square(4), ...square(6)], 8), /levels|outgrows/);
  // 7^8 is too much for the last level.
  assert.throws(() => run([...square(0), ...square(2), ...square(4)], 6), /its level allows magnitudes below 255/);
});

test("errors have the size that SEAL's have", () => {
  const large: CkksParameters = shallow;
  const values = new Float64Array(4096).fill(0.5);
  const errors = (operations: readonly Operation[], output: number): number => {
    const [found = values] = simulate({ ...program(operations, output), parameters: large, slots: 4096 }, [values], {
      noise: 1,
      uniform: draws.uniform,
    });
    return Math.sqrt(found.reduce((sum, value) => sum + (value - 0.5) ** 2, 0) / 4096);
  };
  const one = { id: 0, values: () => new Float64Array(4096).fill(1) };
  const near = (found: number, measured: number): void =>
    assert.ok(found > measured / 1.5 && found < measured * 1.5, `${found} is not near ${measured}`);
  near(errors([{ operation: "rotate", to: 1, from: 0, by: 1 }], 1), 1.22e-8);
  near(
    errors(
      [
        { operation: "dot", to: 1, terms: [{ from: 0, constant: one }] },
        { operation: "rescale", to: 2, from: 1 },
      ],
      2,
    ),
    1.24e-9,
  );
});

test("a head runs in clear and as a simulation", () => {
  const shape = { channels: 1, height: 6, width: 6 };
  const head = headOf(shape, [convolution(draws, shape, 3, {})]);
  const image = randomPicture(draws, shape);
  const clear = runHead(head, image, { mode: "disable", parameters: shallow });
  const simulated = runHead(head, image, { mode: "simulate", parameters: shallow, uniform: draws.uniform });
  assert.notDeepEqual(clear, simulated);
  for (const [index, value] of clear.entries()) assert.ok(Math.abs(value - (simulated[index] ?? Number.NaN)) < 1e-6);
});
