import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { needs, sharedPath } from "../../../../../tests/shared.ts";
import { decodeOnnx, openOnnx } from "../../checkpoint/onnx.ts";
import { onnxNode } from "../../checkpoint/onnx-encode.ts";
import { evaluate, knownFromTensor, type Known } from "./known.ts";
import { known } from "./known-questions.fixture.ts";
import { findNorms } from "./norm-patterns.ts";
import { OneNodeRuntime } from "./one-node.fixture.ts";
import { Sketch } from "./sketch.fixture.ts";

const FLOAT = { to: 1 };
const DOUBLE = { to: 11 };
const EPSILON = Math.fround(1e-3);
const ROWS = 3;
const COLUMNS = 5;
const content = known(
  "float32",
  [ROWS, COLUMNS],
  Array.from({ length: ROWS * COLUMNS }, (_, i) => Math.fround(Math.sin(7 * i) + i / 10)),
);

/** How each step of a normalisation is written; the defaults are PyTorch's. */
interface Writing {
  readonly mean?: (sketch: Sketch, of: string) => string;
  readonly square?: (sketch: Sketch, of: string) => string;
  readonly shift?: (sketch: Sketch, of: string) => string;
  readonly finish?: (sketch: Sketch, of: string, variance: string) => string;
  /** After the square, the mean, the sum. */
  readonly between?: (sketch: Sketch, of: string) => string;
  readonly opset?: number;
}

const meanByAttribute = (sketch: Sketch, of: string): string => sketch.node("ReduceMean", [of], { axes: [-1], keepdims: 1 });
const meanByInput = (sketch: Sketch, of: string): string => sketch.node("ReduceMean", [of, sketch.integers(-1)]);
const power = (sketch: Sketch, of: string): string => sketch.node("Pow", [of, sketch.number(2)]);
const product = (sketch: Sketch, of: string): string => sketch.node("Mul", [of, of]);
const addEpsilon = (sketch: Sketch, of: string): string => sketch.node("Add", [of, sketch.number(EPSILON)]);
const divide = (sketch: Sketch, of: string, variance: string): string => sketch.node("Div", [of, sketch.node("Sqrt", [variance])]);

function drawDeviation(
  sketch: Sketch,
  of: string,
  { mean = meanByAttribute, square = power, shift = addEpsilon, between }: Writing,
): string {
  const pass = between ?? ((_: Sketch, value: string): string => value);
  return pass(sketch, shift(sketch, pass(sketch, mean(sketch, pass(sketch, square(sketch, of))))));
}

function drawRms(sketch: Sketch, of: string, writing: Writing): string {
  return (writing.finish ?? divide)(sketch, of, drawDeviation(sketch, of, writing));
}

function drawLayer(sketch: Sketch, of: string, writing: Writing): string {
  const mean = (writing.mean ?? meanByAttribute)(sketch, of);
  return drawRms(sketch, sketch.node("Sub", [of, mean]), writing);
}

const writings: Readonly<Record<string, Writing>> = {
  "as PyTorch writes it": {},
  "axes as an input": { mean: meanByInput, opset: 18 },
  "the square as a product": { square: product },
  "epsilon first": { shift: (sketch, of) => sketch.node("Add", [sketch.number(EPSILON), of]) },
  "epsilon as a list": { shift: (sketch, of) => sketch.node("Add", [of, sketch.hold(known("float32", [1], [EPSILON]))]) },
  "Reciprocal and a product": {
    finish: (sketch, of, variance) => sketch.node("Mul", [of, sketch.node("Reciprocal", [sketch.node("Sqrt", [variance])])]),
  },
  "a division of 1, the product the other way round": {
    finish: (sketch, of, variance) => sketch.node("Mul", [sketch.node("Div", [sketch.number(1), sketch.node("Sqrt", [variance])]), of]),
  },
  "the power -1/2": { finish: (sketch, of, variance) => sketch.node("Mul", [of, sketch.node("Pow", [variance, sketch.number(-0.5)])]) },
  "the power 1/2": { finish: (sketch, of, variance) => sketch.node("Div", [of, sketch.node("Pow", [variance, sketch.number(0.5)])]) },
  "casts between": { between: (sketch, of) => sketch.node("Cast", [sketch.node("Cast", [of], DOUBLE)], FLOAT) },
  "a cast of the root": {
    finish: (sketch, of, variance) =>
      sketch.node("Div", [of, sketch.node("Cast", [sketch.node("Cast", [sketch.node("Sqrt", [variance])], DOUBLE)], FLOAT)]),
  },
};

let runtime: OneNodeRuntime;
before(async () => {
  runtime = await OneNodeRuntime.open();
});
after(() => runtime.close());

/** What a normalisation of each row is by its definition. */
function normalised(kind: "layer" | "rms", { data }: Known, epsilon: number): number[] {
  return Array.from({ length: ROWS }, (_, row) => {
    const values = Array.from(data.subarray(row * COLUMNS, (row + 1) * COLUMNS));
    const average = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / list.length;
    const shifted = kind === "rms" ? values : values.map((value) => value - average(values));
    const scale = Math.sqrt(average(shifted.map((value) => value ** 2)) + epsilon);
    return shifted.map((value) => value / scale);
  }).flat();
}

for (const kind of ["rms", "layer"] as const) {
  const draw = kind === "rms" ? drawRms : drawLayer;
  for (const [name, writing] of Object.entries(writings)) {
    test(`${kind}: ${name}`, async () => {
      const sketch = new Sketch();
      const input = sketch.hold(content);
      const output = draw(sketch, input, writing);
      const gained = sketch.node("Mul", [output, sketch.number(3)]);
      sketch.outputs.push(gained);
      const [found, ...more] = findNorms(sketch.graph, sketch.known);
      assert.deepEqual(more, []);
      assert.deepEqual({ ...found, nodes: null }, { kind, input, output, axes: [-1], epsilon: EPSILON, nodes: null });
      const inner = sketch.nodes.filter(({ outputs }) => outputs[0] !== gained);
      assert.deepEqual(new Set(found!.nodes), new Set(inner));
      // What was found is what the graph computes.
      const answer = await runtime.run(sketch.encode([found!.output], writing.opset ?? 17));
      assert.ok(typeof answer !== "string", String(answer));
      const wanted = normalised(kind, content, found!.epsilon);
      for (const [i, value] of answer[0]!.data.entries()) assert.ok(Math.abs(value - wanted[i]!) < 1e-5, `${i}: ${value}, ${wanted[i]}`);
    });
  }
}

test("a value cast for the square alone, and one cast twice", () => {
  const sketch = new Sketch();
  const x = sketch.hold(content);
  const alone = sketch.node("Cast", [x], DOUBLE);
  const root = sketch.node("Cast", [sketch.node("Sqrt", [drawDeviation(sketch, alone, {})])], FLOAT);
  const first = sketch.node("Div", [x, root]);
  const second = sketch.node("Div", [
    sketch.node("Cast", [first], DOUBLE),
    sketch.node("Sqrt", [drawDeviation(sketch, sketch.node("Cast", [first], DOUBLE), {})]),
  ]);
  assert.deepEqual(
    findNorms(sketch.graph, sketch.known).map(({ kind, input, output }) => ({ kind, input, output })),
    [
      { kind: "rms", input: x, output: first },
      { kind: "rms", input: first, output: second },
    ],
  );
});

test("a centred value that is used elsewhere is the input of an RMSNorm", () => {
  const sketch = new Sketch();
  const x = sketch.hold(content);
  const centred = sketch.node("Sub", [x, meanByAttribute(sketch, x)]);
  drawRms(sketch, centred, {});
  sketch.outputs.push(centred);
  const [found] = findNorms(sketch.graph, sketch.known);
  assert.deepEqual([found?.kind, found?.input], ["rms", centred]);
});

test("a difference written twice is one LayerNorm", () => {
  const sketch = new Sketch();
  const x = sketch.hold(content);
  const mean = meanByAttribute(sketch, x);
  const [once, twice] = [sketch.node("Sub", [x, mean]), sketch.node("Sub", [x, mean])];
  divide(sketch, once, drawDeviation(sketch, twice, {}));
  const [found] = findNorms(sketch.graph, sketch.known);
  assert.deepEqual([found?.kind, found?.input, found?.nodes.length], ["layer", x, 8]);
});

test("a difference from another mean is no LayerNorm", () => {
  for (const mean of [
    (sketch: Sketch, of: string): string => sketch.node("ReduceMean", [of], { axes: [0] }),
    (sketch: Sketch, of: string): string => sketch.node("ReduceMax", [of], { axes: [-1] }),
    (sketch: Sketch): string => meanByAttribute(sketch, sketch.hold(content)),
  ]) {
    const sketch = new Sketch();
    const x = sketch.hold(content);
    const difference = sketch.node("Sub", [x, mean(sketch, x)]);
    drawRms(sketch, difference, {});
    assert.deepEqual(
      findNorms(sketch.graph, sketch.known).map(({ kind, input }) => [kind, input]),
      [["rms", difference]],
    );
  }
});

/** Graphs that look like a normalisation and are none. */
const misses: Readonly<Record<string, (sketch: Sketch, x: string) => void>> = {
  "a cube": (sketch, x) => drawRms(sketch, x, { square: (_, of) => sketch.node("Pow", [of, sketch.number(3)]) }),
  "a product of two values": (sketch, x) => drawRms(sketch, x, { square: (_, of) => sketch.node("Mul", [of, sketch.hold(content)]) }),
  "a sum": (sketch, x) => drawRms(sketch, x, { mean: (_, of) => sketch.node("ReduceSum", [of, sketch.integers(-1)]) }),
  "a mean that drops its axis": (sketch, x) =>
    drawRms(sketch, x, { mean: (_, of) => sketch.node("ReduceMean", [of], { axes: [-1], keepdims: 0 }) }),
  "a mean over all axes": (sketch, x) => drawRms(sketch, x, { mean: (_, of) => sketch.node("ReduceMean", [of]) }),
  "a mean over no axes": (sketch, x) => drawRms(sketch, x, { mean: (_, of) => sketch.node("ReduceMean", [of], { axes: [] }) }),
  "a mean over axes that are computed": (sketch, x) =>
    drawRms(sketch, x, { mean: (_, of) => sketch.node("ReduceMean", [of, sketch.node("Identity", [sketch.integers(-1)])]) }),
  "an epsilon per channel": (sketch, x) =>
    drawRms(sketch, x, { shift: (_, of) => sketch.node("Add", [of, sketch.hold(known("float32", [COLUMNS], [1, 2, 3, 4, 5]))]) }),
  "an epsilon that adds an axis": (sketch, x) =>
    drawRms(sketch, x, { shift: (_, of) => sketch.node("Add", [of, sketch.hold(known("float32", [1, 1, 1], [EPSILON]))]) }),
  "a negative epsilon": (sketch, x) => drawRms(sketch, x, { shift: (_, of) => sketch.node("Add", [of, sketch.number(-1)]) }),
  "an epsilon that is taken away": (sketch, x) =>
    drawRms(sketch, x, { shift: (_, of) => sketch.node("Sub", [of, sketch.number(EPSILON)]) }),
  "a root turned over": (sketch, x) =>
    drawRms(sketch, x, { finish: (_, of, variance) => sketch.node("Div", [sketch.node("Sqrt", [variance]), of]) }),
  "a product with the root": (sketch, x) =>
    drawRms(sketch, x, { finish: (_, of, variance) => sketch.node("Mul", [of, sketch.node("Sqrt", [variance])]) }),
  "a logarithm": (sketch, x) =>
    drawRms(sketch, x, { finish: (_, of, variance) => sketch.node("Div", [of, sketch.node("Log", [variance])]) }),
  "2 divided by the root": (sketch, x) =>
    drawRms(sketch, x, {
      finish: (_, of, variance) => sketch.node("Mul", [of, sketch.node("Div", [sketch.number(2), sketch.node("Sqrt", [variance])])]),
    }),
  "another value divided": (sketch, x) =>
    drawRms(sketch, x, { finish: (_, _of, variance) => divide(sketch, sketch.hold(content), variance) }),
  "a variance that something else reads": (sketch, x) =>
    drawRms(sketch, x, {
      finish: (_, of, variance) => {
        sketch.node("Identity", [variance]);
        return divide(sketch, of, variance);
      },
    }),
  "a variance that leaves the graph": (sketch, x) =>
    drawRms(sketch, x, {
      finish: (_, of, variance) => {
        sketch.outputs.push(variance);
        return divide(sketch, of, variance);
      },
    }),
  "a root that two values share": (sketch, x) =>
    drawRms(sketch, x, {
      finish: (_, of, variance) => {
        const root = sketch.node("Sqrt", [variance]);
        sketch.node("Div", [sketch.hold(content), root]);
        return sketch.node("Div", [of, root]);
      },
    }),
  "a cast to integers": (sketch, x) =>
    drawRms(sketch, x, { between: (_, of) => sketch.node("Cast", [sketch.node("Cast", [of], { to: 7 })], FLOAT) }),
};

for (const [name, draw] of Object.entries(misses)) {
  test(`no normalisation: ${name}`, () => {
    const sketch = new Sketch();
    draw(sketch, sketch.hold(content));
    assert.deepEqual(findNorms(sketch.graph, sketch.known), []);
  });
}

test("an inner graph's use of an inner value is a use", () => {
  const sketch = new Sketch();
  const x = sketch.hold(content);
  let variance = "";
  drawRms(sketch, x, {
    finish: (_, of, value) => {
      variance = value;
      return divide(sketch, of, value);
    },
  });
  const inner = {
    ...new Sketch().graph,
    nodes: [onnxNode("Identity", [variance], ["inner"])],
    outputs: [{ name: "inner", type: null, shape: null }],
  };
  assert.equal(findNorms(sketch.graph, sketch.known).length, 1);
  sketch.nodes.push(
    onnxNode("If", [sketch.number(1)], ["outer"], {
      then_branch: { kind: "graph", value: inner },
      else_branch: { kind: "graph", value: inner },
    }),
  );
  assert.deepEqual(findNorms(sketch.graph, sketch.known), []);
});

test("nodes without their inputs and nodes of other domains are passed over", () => {
  const sketch = new Sketch();
  const nodes = [
    onnxNode("Mul", [], ["a"]),
    onnxNode("ReduceMean", ["a"], ["b"], { axes: { kind: "ints", value: [-1] } }),
    onnxNode("Add", ["b", sketch.number(1)], ["c"]),
    onnxNode("Sqrt", ["c"], ["d"]),
    onnxNode("Reciprocal", ["d"], ["e"]),
    onnxNode("Mul", ["e"], ["f"]),
    onnxNode("Mul", ["", "e"], ["g"]),
    onnxNode("Div", [], []),
    onnxNode("Cast", ["h"], ["h"], { to: { kind: "int", value: 1 } }),
    onnxNode("Div", ["h", "h"], ["i"]),
  ];
  assert.deepEqual(findNorms({ ...sketch.graph, nodes }, sketch.known), []);

  const other = new Sketch();
  drawRms(other, other.hold(content), {});
  assert.equal(findNorms(other.graph, other.known).length, 1);
  const foreign = other.nodes.map((node) => (node.operator === "Sqrt" ? { ...node, domain: "com.example" } : node));
  assert.deepEqual(findNorms({ ...other.graph, nodes: foreign }, other.known), []);
});

test("a graph that went through a file", () => {
  const sketch = new Sketch();
  const output = drawLayer(sketch, sketch.hold(content), {});
  const { graph } = decodeOnnx(sketch.encode([output], 17));
  assert.equal(findNorms(graph, sketch.known)[0]?.output, output);
});

for (const [name, count] of [
  ["llama", 5],
  ["t5_encoder", 5],
  ["bert", 0],
] as const) {
  const path = `data/models/onnx-zoo/${name}/model.onnx`;
  test(`${name} has ${count} decomposed normalisations`, needs(path), async () => {
    const { graph, opsets } = await openOnnx(sharedPath(path)!);
    const constants = new Map<string, Known | null>([...graph.initializers].map(([value, tensor]) => [value, knownFromTensor(tensor)]));
    for (const node of graph.nodes)
      if (node.operator === "Constant") constants.set(node.outputs[0]!, evaluate(node, [], opsets.get("")!)?.[0] ?? null);
    const found = findNorms(graph, (value) => constants.get(value) ?? null);
    assert.equal(found.length, count);
    for (const { kind, axes, epsilon, nodes, output } of found) {
      assert.deepEqual([kind, axes, epsilon, nodes.length], ["rms", [-1], Math.fround(1e-6), 6]);
      // Each is followed by its gain, a stored vector.
      const [gain, ...others] = graph.nodes.filter(({ inputs }) => inputs.includes(output));
      assert.deepEqual([gain?.operator, others.length], ["Mul", 0]);
      assert.ok(gain!.inputs.some((value) => value.endsWith("norm.weight") && graph.initializers.has(value)));
    }
  });
}
