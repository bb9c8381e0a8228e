import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { needs, sharedPath } from "../../../../../tests/shared.ts";
import { openOnnx } from "../../checkpoint/onnx.ts";
import { onnxNode } from "../../checkpoint/onnx-encode.ts";
import type { Known } from "./known.ts";
import { known } from "./known-questions.fixture.ts";
import { OneNodeRuntime } from "./one-node.fixture.ts";
import { findRotaryHalves } from "./rotary-patterns.ts";
import { Sketch } from "./sketch.fixture.ts";

const SEQUENCE = 3;
const HALF = 2;
const SIZE = 2 * HALF;
const ALL = Number.MAX_SAFE_INTEGER;
const content = known("float32", [2, SEQUENCE, SIZE], numbers(2 * SEQUENCE * SIZE));
/** (sequence, half) */
const angles = known("float32", [SEQUENCE, HALF], numbers(SEQUENCE * HALF));

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.fround(Math.sin(7 * i) + i / 10));
}

/** (sequence, 2 * half): a function of the angles, once per half. */
function table(function_: (angle: number) => number): Known {
  const rows = Array.from({ length: SEQUENCE }, (_, row) => Array.from(angles.data.subarray(row * HALF, (row + 1) * HALF), function_));
  return known("float32", [SEQUENCE, SIZE], rows.flatMap((row) => [...row, ...row]).map(Math.fround));
}

/** How each step is written; the defaults are those of Transformers. */
interface Writing {
  readonly halves?: (sketch: Sketch, x: string) => readonly [lower: string, upper: string];
  readonly turn?: (sketch: Sketch, lower: string, upper: string) => string;
  readonly cos?: (sketch: Sketch) => string;
  readonly sin?: (sketch: Sketch) => string;
  readonly join?: (sketch: Sketch, x: string, turned: string, cos: string, sin: string) => string;
}

function cut(sketch: Sketch, x: string, start: number, end: number, axis = -1, step = 1): string {
  return sketch.node("Slice", [x, sketch.integers(start), sketch.integers(end), sketch.integers(axis), sketch.integers(step)]);
}

const slices = (sketch: Sketch, x: string): [string, string] => [cut(sketch, x, 0, HALF), cut(sketch, x, HALF, ALL)];
const concatenate = (sketch: Sketch, lower: string, upper: string): string =>
  sketch.node("Concat", [sketch.node("Neg", [upper]), lower], { axis: -1 });
const add = (sketch: Sketch, x: string, turned: string, cos: string, sin: string): string =>
  sketch.node("Add", [sketch.node("Mul", [x, cos]), sketch.node("Mul", [turned, sin])]);

function draw(sketch: Sketch, x: string, writing: Writing): string {
  const [lower, upper] = (writing.halves ?? slices)(sketch, x);
  const turned = (writing.turn ?? concatenate)(sketch, lower, upper);
  const cos = (writing.cos ?? ((): string => sketch.hold(table(Math.cos))))(sketch);
  const sin = (writing.sin ?? ((): string => sketch.hold(table(Math.sin))))(sketch);
  return (writing.join ?? add)(sketch, x, turned, cos, sin);
}

/** Angles concatenated with themselves, then a function of them, as Transformers computes them from positions. */
function computed(operator: "Cos" | "Sin", after: (sketch: Sketch, value: string) => string = (_, value) => value) {
  return (sketch: Sketch): string => {
    const frequencies = sketch.hold(angles);
    const both = sketch.node("Concat", [frequencies, frequencies], { axis: -1 });
    return after(sketch, sketch.shape(sketch.node(operator, [both]), SEQUENCE, SIZE));
  };
}

function alternately(operator: "Cos" | "Sin", after?: (sketch: Sketch, value: string) => string): Writing {
  return operator === "Cos" ? { cos: computed("Cos", after), sin: computed("Sin", after) } : {};
}

const writings: Readonly<Record<string, Writing>> = {
  "as Transformers writes it": {},
  "products the other way round": {
    join: (sketch, x, turned, cos, sin) => sketch.node("Add", [sketch.node("Mul", [sin, turned]), sketch.node("Mul", [cos, x])]),
  },
  "bounds from the end": { halves: (sketch, x) => [cut(sketch, x, -SIZE, -HALF, 2), cut(sketch, x, -HALF, SIZE)] },
  "slices by attributes": {
    halves: (sketch, x) => [
      sketch.node("Slice", [x], { starts: [0], ends: [HALF], axes: [-1] }),
      sketch.node("Slice", [x], { starts: [HALF], ends: [ALL], axes: [-1] }),
    ],
  },
  "an equal split": { halves: (sketch, x) => sketch.nodeOf("Split", [x], 2, { axis: -1 }) as [string, string] },
  "a split by sizes": {
    halves: (sketch, x) => sketch.nodeOf("Split", [x, sketch.integers(HALF, HALF)], 2, { axis: 2 }) as [string, string],
  },
  "a product with -1": {
    turn: (sketch, lower, upper) => sketch.node("Concat", [sketch.node("Mul", [upper, sketch.number(-1)]), lower], { axis: 2 }),
  },
  "angles that are computed": alternately("Cos"),
  "angles that are scaled": alternately("Cos", (sketch, value) => sketch.node("Mul", [value, sketch.number(1.25)])),
  "angles with an axis for the heads": alternately("Cos", (sketch, value) =>
    sketch.shape(sketch.node("Unsqueeze", [value, sketch.integers(0)]), 1, SEQUENCE, SIZE),
  ),
  "angles picked by position": alternately("Cos", (sketch, value) =>
    sketch.shape(sketch.node("Gather", [value, sketch.integers(2, 0, 1)], { axis: 0 }), SEQUENCE, SIZE),
  ),
  "one angle for all pairs": {
    cos: (sketch) => sketch.hold(known("float32", [SEQUENCE, 1], numbers(SEQUENCE))),
    sin: (sketch) => sketch.hold(known("float32", [SEQUENCE, 1], numbers(SEQUENCE))),
  },
};

let runtime: OneNodeRuntime;
before(async () => {
  runtime = await OneNodeRuntime.open();
});
after(() => runtime.close());

for (const [name, writing] of Object.entries(writings)) {
  test(`rotary: ${name}`, async () => {
    const sketch = new Sketch();
    const x = sketch.hold(content);
    const output = draw(sketch, x, writing);
    sketch.outputs.push(sketch.node("Identity", [output]));
    const [found, ...more] = findRotaryHalves(sketch.graph, sketch.known);
    assert.ok(found !== undefined && more.length === 0);
    assert.deepEqual([found.input, found.output, found.half], [x, output, HALF]);
    assert.equal(found.nodes.at(-1)!.outputs[0], output);
    assert.ok(found.nodes.some(({ operator }) => operator === "Concat"));
    // What was found is what the graph computes: a complex product per pair.
    const opset = name === "slices by attributes" ? 9 : name === "an equal split" ? 13 : 17;
    const answer = await runtime.run(sketch.encode([found.output, found.cos, found.sin], opset));
    assert.ok(typeof answer !== "string", String(answer));
    const [turned, cos, sin] = answer as [Known, Known, Known];
    const at = ({ shape, data }: Known, row: number, pair: number): number => data[row * shape.at(-1)! + (pair % shape.at(-1)!)]!;
    for (let row = 0; row < 2 * SEQUENCE; row++) {
      for (let pair = 0; pair < HALF; pair++) {
        const [real, imaginary] = [content.data[row * SIZE + pair]!, content.data[row * SIZE + pair + HALF]!];
        const [c, s] = [at(cos, row % SEQUENCE, pair), at(sin, row % SEQUENCE, pair)];
        assert.ok(Math.abs(turned.data[row * SIZE + pair]! - (real * c - imaginary * s)) < 1e-5);
        assert.ok(Math.abs(turned.data[row * SIZE + pair + HALF]! - (imaginary * c + real * s)) < 1e-5);
      }
    }
  });
}

const untied = known("float32", [SEQUENCE, SIZE], numbers(SEQUENCE * SIZE));

/** Graphs that look like a rotary embedding and are none, or one that cannot be proven. */
const misses: Readonly<Record<string, Writing>> = {
  "halves that do not change places": { halves: (sketch, x) => [cut(sketch, x, HALF, ALL), cut(sketch, x, 0, HALF)] },
  "the other half negated": { turn: (sketch, lower, upper) => sketch.node("Concat", [upper, sketch.node("Neg", [lower])], { axis: -1 }) },
  "no half negated": { turn: (sketch, lower, upper) => sketch.node("Concat", [upper, lower], { axis: -1 }) },
  "both halves negated": {
    turn: (sketch, lower, upper) => sketch.node("Concat", [sketch.node("Neg", [upper]), sketch.node("Neg", [lower])], { axis: -1 }),
  },
  "parts that are no halves": { halves: (sketch, x) => [cut(sketch, x, 0, 1), cut(sketch, x, 1, ALL)] },
  "a split that is not equal": {
    halves: (sketch, x) => sketch.nodeOf("Split", [x, sketch.integers(1, 3)], 2, { axis: -1 }) as [string, string],
  },
  "halves of another axis": { halves: (sketch, x) => [cut(sketch, x, 0, HALF, 1), cut(sketch, x, HALF, ALL, 1)] },
  "halves of another value": { halves: (sketch) => slices(sketch, sketch.hold(content)) },
  "halves of two values": { halves: (sketch, x) => [cut(sketch, x, 0, HALF), cut(sketch, sketch.hold(content), HALF, ALL)] },
  "a half of another value": { halves: (sketch, x) => [cut(sketch, sketch.hold(content), 0, HALF), cut(sketch, x, HALF, ALL)] },
  "a half of another axis": { halves: (sketch, x) => [cut(sketch, x, 0, HALF), cut(sketch, x, HALF, ALL, 1)] },
  "a half and too much": { halves: (sketch, x) => [cut(sketch, x, 0, HALF), cut(sketch, x, HALF - 1, ALL)] },
  "a half and too little": { halves: (sketch, x) => [cut(sketch, x, 0, HALF - 1), cut(sketch, x, HALF, ALL)] },
  "a half with gaps": { halves: (sketch, x) => [cut(sketch, x, 0, HALF), cut(sketch, x, HALF, ALL, -1, 2)] },
  "every second element": { halves: (sketch, x) => [cut(sketch, x, 0, ALL, -1, 2), cut(sketch, x, 1, ALL, -1, 2)] },
  "a difference": {
    join: (sketch, x, turned, cos, sin) => sketch.node("Sub", [sketch.node("Mul", [x, cos]), sketch.node("Mul", [turned, sin])]),
  },
  "another value times cos": { join: (sketch, _x, turned, cos, sin) => add(sketch, sketch.hold(content), turned, cos, sin) },
  "a cos that differs in its halves": { cos: (sketch) => sketch.hold(untied) },
  "a sin that differs in its halves": { sin: (sketch) => sketch.hold(untied) },
  "a sin of two other angles": {
    sin: (sketch) => {
      const both = sketch.node("Concat", [sketch.hold(angles), sketch.hold(known("float32", [SEQUENCE, HALF], numbers(6).toReversed()))], {
        axis: -1,
      });
      return sketch.node("Sin", [both]);
    },
  },
  "a sin that varies along a product": {
    sin: (sketch) => sketch.node("Mul", [computed("Sin")(sketch), sketch.hold(untied)]),
  },
  "angles joined along another axis": {
    sin: (sketch) => {
      const rows = sketch.hold(known("float32", [1, SIZE], numbers(SIZE)));
      return sketch.shape(sketch.node("Concat", [rows, rows], { axis: 0 }), 2, SIZE);
    },
  },
  "angles picked out of a row": {
    sin: (sketch) =>
      sketch.shape(sketch.node("Gather", [computed("Sin")(sketch), sketch.integers(3, 0, 1, 2)], { axis: 1 }), SEQUENCE, SIZE),
  },
  "angles turned by a transposition": {
    sin: (sketch) => sketch.shape(sketch.node("Transpose", [computed("Sin")(sketch)]), SEQUENCE, SIZE),
  },
  "a sine that only the run gives": { sin: () => "from outside" },
};

for (const [name, writing] of Object.entries(misses)) {
  test(`no rotary: ${name}`, () => {
    const sketch = new Sketch();
    sketch.outputs.push(draw(sketch, sketch.hold(content), writing));
    assert.deepEqual(findRotaryHalves(sketch.graph, sketch.known), []);
  });
}

test("what something else sees is not inside", () => {
  for (const leak of ["Neg", "Concat", "Slice"]) {
    const sketch = new Sketch();
    sketch.outputs.push(draw(sketch, sketch.hold(content), {}));
    assert.equal(findRotaryHalves(sketch.graph, sketch.known).length, 1);
    sketch.node("Identity", [sketch.nodes.find(({ operator }) => operator === leak)!.outputs[0]!]);
    assert.deepEqual(findRotaryHalves(sketch.graph, sketch.known), []);
  }
});

test("a head of unknown size is not taken for two halves", () => {
  const sketch = new Sketch();
  const x = sketch.node("Identity", [sketch.hold(content)]);
  draw(sketch, x, {});
  assert.deepEqual(findRotaryHalves(sketch.graph, sketch.known), []);
  sketch.shape(x, "batch", "sequence", "size");
  assert.deepEqual(findRotaryHalves(sketch.graph, sketch.known), []);
  sketch.shape(x, "batch", "sequence", SIZE + 2);
  assert.deepEqual(findRotaryHalves(sketch.graph, sketch.known), []);
  sketch.shape(x, "batch", "sequence", SIZE);
  assert.equal(findRotaryHalves(sketch.graph, sketch.known).length, 1);
  const worked = new Map([[x, [2, SEQUENCE, SIZE]]]);
  assert.equal(findRotaryHalves({ ...sketch.graph, values: new Map() }, sketch.known, (name) => worked.get(name) ?? null).length, 1);
});

test("angles with more rows than the input do not keep its shape", () => {
  const sketch = new Sketch();
  const output = draw(sketch, sketch.hold(content), {});
  sketch.shape(output, 2, SEQUENCE, SIZE);
  assert.equal(findRotaryHalves(sketch.graph, sketch.known).length, 1);
  for (const shape of [
    [4, SEQUENCE, SIZE],
    [1, 2, SEQUENCE, SIZE],
  ]) {
    sketch.shape(output, ...shape);
    assert.deepEqual(findRotaryHalves(sketch.graph, sketch.known), []);
  }
});

test("cycles and long chains end", () => {
  const chain = new Sketch();
  let sin = computed("Sin")(chain);
  for (let i = 0; i < 100_000; i++) sin = chain.node("Neg", [sin]);
  draw(chain, chain.hold(content), { sin: () => sin });
  assert.deepEqual(findRotaryHalves(chain.graph, chain.known), []);

  const doubling = new Sketch();
  let many = computed("Sin")(doubling);
  for (let i = 0; i < 28; i++) many = doubling.node("Add", [many, many]);
  draw(doubling, doubling.hold(content), { sin: () => many });
  const began = process.cpuUsage();
  assert.equal(findRotaryHalves(doubling.graph, doubling.known).length, 1);
  assert.ok(process.cpuUsage(began).user < 1e6);

  const cycle = new Sketch();
  cycle.nodes.push(onnxNode("Neg", ["b"], ["a"]), onnxNode("Neg", ["a"], ["b"]), onnxNode("Add", [], ["c"]), onnxNode("Concat", [], ["d"]));
  draw(cycle, cycle.hold(content), { sin: () => "a" });
  assert.deepEqual(findRotaryHalves(cycle.graph, cycle.known), []);
});

const path = "data/models/onnx-zoo/llama/model.onnx";
test("llama turns the queries and keys of both its layers", needs(path), async () => {
  const { graph } = await openOnnx(sharedPath(path)!);
  const found = findRotaryHalves(graph, () => null);
  assert.deepEqual(
    found.map(({ input, output, half, nodes }) => [input, output, half, nodes.length]),
    [
      ["transpose_1", "add_4", 6, 7],
      ["transpose_2", "add_5", 6, 7],
      ["transpose_6", "add_11", 6, 7],
      ["transpose_7", "add_12", 6, 7],
    ],
  );
});
