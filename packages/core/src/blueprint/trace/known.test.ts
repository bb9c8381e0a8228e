import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as fc from "fast-check";
import { decodeOnnx, openOnnx } from "../../checkpoint/onnx.ts";
import { encodeOnnx, onnxNode } from "../../checkpoint/onnx-encode.ts";
import { tensorOf } from "../../checkpoint/onnx-tensor.ts";
import { UnseenError } from "../../errors.ts";
import { needs, sharedPath } from "../../../../../tests/shared.ts";
import { KNOWN_LIMIT, broadcastShapes, evaluate, knownFromTensor, knownOperators, type Known } from "./known.ts";
import { known, list, question, questions } from "./known-questions.fixture.ts";
import { OneNodeRuntime, nodeOf, packed, stored, type Question } from "./one-node.fixture.ts";

function answer(asked: Question): Known[] | null {
  return evaluate(nodeOf(asked), asked.inputs, asked.opset);
}

/** ONNX Runtime's float32 kernels are approximations of a few units in the last place, and sum in other orders. */
const tolerances: Partial<Record<Known["type"], number>> = { float32: 1e-5, float64: 1e-9, float16: 1e-3 };

function isClose(value: number, wanted: number, tolerance: number): boolean {
  return Object.is(value, wanted) || value === wanted || Math.abs(value - wanted) <= tolerance * Math.max(1, Math.abs(wanted));
}

function assertSame(actual: readonly Known[] | null, expected: readonly Known[] | string): void {
  if (typeof expected === "string") assert.fail(`ONNX Runtime refused: ${expected}`);
  assert.ok(actual !== null, "not covered");
  const heads = (all: readonly Known[]): unknown =>
    all.map(({ type, shape, data }) => ({ type, shape: [...shape], elements: data.length }));
  assert.deepEqual(heads(actual), heads(expected));
  for (const [output, { type, data }] of actual.entries()) {
    for (const [i, value] of data.entries()) {
      const wanted: number = expected[output]!.data[i]!;
      assert.ok(isClose(value, wanted, tolerances[type] ?? 0), `output ${output}, element ${i}: expected ${wanted}, got ${value}`);
    }
  }
}

let runtime: OneNodeRuntime;
before(async () => {
  runtime = await OneNodeRuntime.open();
});
after(() => runtime.close());

test("every operator has random cases", () => {
  // Scatter was ScatterElements' name up to operator set 10; ONNX Runtime's kernels are the same.
  assert.deepEqual([...knownOperators].filter((operator) => operator !== "Scatter").toSorted(), Object.keys(questions).toSorted());
});

for (const [operator, arbitrary] of Object.entries(questions)) {
  test(`${operator} computes what ONNX Runtime does`, async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (asked) => assertSame(answer(asked), await runtime.ask(asked))),
      { numRuns: 60 },
    );
  });
}

const vector = known("float32", [3], [1, 2, 3]);
const grid = known("int64", [2, 3], [1, 2, 3, 4, 5, 6]);
const nothing = known("float32", [2, 0, 3], []);
const one = known("int64", [], [1]);

/** Corner cases that random ones seldom meet. */
const corners: Readonly<Record<string, Question>> = {
  "an empty axis broadcasts": question("Add", [nothing, known("float32", [1, 1, 3], [1, 2, 3])]),
  "an empty axis against a scalar": question("Mul", [nothing, known("float32", [], [2])]),
  "scalars stay scalars": question("Sub", [one, one]),
  "a sum over nothing is 0": question("ReduceSum", [nothing, list(1)], { keepdims: 0 }, 13),
  "a concatenation with nothing": question("Concat", [known("float32", [0], []), vector], { axis: -1 }),
  "a gather by a scalar drops the axis": question("Gather", [grid, known("int64", [], [-1])], { axis: 1 }),
  "a gather by nothing": question("Gather", [grid, known("int64", [0], [])], { axis: 1 }),
  "all of a reversed axis": question("Slice", [vector, list(-1), list(-Number.MAX_SAFE_INTEGER), list(0), list(-1)]),
  "a slice with 32-bit bounds": question("Slice", [vector, known("int32", [1], [1]), known("int32", [1], [2 ** 31 - 1])]),
  "a reshape to a scalar": question("Reshape", [known("float32", [1, 1], [7]), known("int64", [0], [])]),
  "a reshape of nothing that keeps a zero": question("Reshape", [nothing, list(0, 0, 3)]),
  "a reshape of nothing to zeros": question("Reshape", [nothing, list(5, 0)], { allowzero: 1 }),
  "a flattened scalar": question("Flatten", [known("float32", [], [7])], { axis: 0 }),
  "a transposed scalar": question("Transpose", [known("float32", [], [7])]),
  "an unsqueezed scalar": question("Unsqueeze", [one, list(-1, 0)]),
  "a tile of nothing": question("Tile", [vector, list(0)]),
  "an expansion by fewer axes": question("Expand", [grid, list(1)]),
  "a range backwards": question("Range", [known("int64", [], [5]), known("int64", [], [-1]), known("int64", [], [-2])]),
  "a range of nothing": question("Range", [one, one, one]),
  "integers truncate toward zero": question("Div", [known("int64", [4], [7, -7, 7, -7]), known("int64", [4], [2, 2, -2, -2])]),
  "a modulus has its divisor's sign": question("Mod", [known("int32", [4], [7, -7, 7, -7]), known("int32", [4], [3, 3, -3, -3])]),
  "int32 wraps": question("Add", [known("int32", [2], [2 ** 31 - 1, -(2 ** 31)]), known("int32", [2], [1, -1])]),
  "a cast to fewer bits wraps": question("Cast", [known("int64", [3], [300, -129, 2 ** 32 + 5])], { to: 3 }),
  "a cast to bool asks for zero": question("Cast", [known("float32", [4], [0, -0, 0.25, Number.NaN])], { to: 9 }),
  "a cast to 16 bits rounds once": question("Cast", [known("float32", [4], [2049, 2051, 1e-8, 65520])], { to: 10 }),
  "extremes compare": question("Less", [known("int64", [2], [Number.MAX_SAFE_INTEGER, 3]), known("int64", [2], [5, 2 ** 52])]),
  "extremes clamp": question("Min", [known("int64", [1], [Number.MAX_SAFE_INTEGER]), known("int64", [1], [5])]),
  "non-zero places of a scalar": question("NonZero", [known("float32", [], [2])]),
  "equal elements rank in order": question("TopK", [known("float32", [5], [1, 3, 3, 1, 3]), list(4)], {}, 17, 2),
  "a product over nothing is 0": question("MatMul", [known("float32", [2, 0], []), known("float32", [0, 3], [])]),
  "bounds that cross": question("Clip", [vector, known("float32", [], [5]), known("float32", [], [0])]),
  "a triangle beyond its matrix": question("Trilu", [grid, known("int64", [], [9])], { upper: 1 }),
};

for (const [name, asked] of Object.entries(corners)) {
  test(`corner: ${name}`, async () => assertSame(answer(asked), await runtime.ask(asked)));
}

/** What neither side may compute. */
const impossible: Readonly<Record<string, Question>> = {
  "shapes that do not broadcast": question("Add", [vector, known("float32", [2], [1, 2])]),
  "an expansion of more than 1": question("Expand", [vector, list(2)]),
  "a concatenation of different widths": question("Concat", [grid, known("int64", [2, 2, 1], [1, 2, 3, 4])], { axis: 0 }),
  "an index beyond the axis": question("Gather", [vector, known("int64", [1], [3])]),
  "an element index beyond the axis": question("GatherElements", [vector, known("int64", [1], [-4])]),
  "an N-d index beyond the axis": question("GatherND", [grid, known("int64", [1, 2], [0, 3])]),
  "a scatter beyond the axis": question("ScatterND", [vector, known("int64", [1, 1], [3]), known("float32", [1], [0])]),
  "a reshape to another count": question("Reshape", [grid, list(4)]),
  "a reshape that does not divide": question("Reshape", [grid, list(4, -1)]),
  "a reshape with two open sizes": question("Reshape", [grid, list(-1, -1)]),
  "a squeeze of more than 1": question("Squeeze", [grid, list(0)]),
  "an axis beyond the rank": question("ReduceSum", [vector, list(1)]),
  "an axis unsqueezed twice": question("Unsqueeze", [vector, list(0, 0)]),
  "an axis sliced twice": question("Slice", [grid, list(0, 0), list(1, 1), list(0, -2)]),
  "a step of 0": question("Slice", [vector, list(0), list(1), list(0), list(0)]),
  "a range with a step of 0": question("Range", [one, one, known("int64", [], [0])]),
  "parts of another sum": question("Split", [vector, list(1, 1)], {}, 17, 2),
  "an unequal split in equal parts": question("Split", [vector], {}, 13, 2),
  "more parts than elements": question("Split", [vector], { num_outputs: 5 }, 18, 5),
  "parts that leave less than nothing": question("Split", [known("float32", [5], [1, 2, 3, 4, 5])], { num_outputs: 4 }, 18, 4),
  "matrices that do not match": question("MatMul", [vector, known("float32", [2, 2], [1, 2, 3, 4])]),
  "a product with a scalar": question("MatMul", [vector, known("float32", [], [1])]),
  "more than there is": question("TopK", [vector, list(4)], {}, 17, 2),
  "pads for other axes": question("Pad", [vector, list(1)]),
  "a negative size": question("ConstantOfShape", [list(-1)]),
  "a triangle of a vector": question("Trilu", [vector]),
};

for (const [name, asked] of Object.entries(impossible)) {
  test(`refused: ${name}`, async () => {
    assert.equal(typeof (await runtime.ask(asked)), "string", "ONNX Runtime computes it");
    assert.throws(() => answer(asked), { code: "CHECKPOINT_MALFORMED" });
  });
}

const million = known(
  "float32",
  [1024, 1024],
  Array.from({ length: 1 << 20 }, () => 1),
);
const huge = Number.MAX_SAFE_INTEGER;

function repeated(value: number, count: number): Known {
  return known(
    "int64",
    [count],
    Array.from({ length: count }, () => value),
  );
}

/** Nothing of this may be allocated or take long. */
const excessive: Readonly<Record<string, Question>> = {
  "a large constant": question("ConstantOfShape", [list(1 << 20, 2)]),
  "a large expansion": question("Expand", [vector, list(1 << 20, 3)]),
  "a large broadcast": question("Add", [
    known(
      "float32",
      [KNOWN_LIMIT, 1],
      Array.from({ length: KNOWN_LIMIT }, () => 1),
    ),
    vector,
  ]),
  "a large tile": question("Tile", [vector, list(2 ** 40)]),
  "large pads": question("Pad", [vector, list(1 << 30, 1 << 30)]),
  "a large range": question("Range", [one, known("int64", [], [1 << 30]), one]),
  "a large one-hot": question("OneHot", [vector, known("int64", [], [1 << 30]), known("float32", [2], [0, 1])]),
  "a large gather": question("Gather", [million, repeated(0, 2048)]),
  "a large concatenation": question("Concat", [million, million], { axis: 0 }),
  "a long product": question("MatMul", [million, million]),
  "many inputs": question(
    "Sum",
    Array.from({ length: 100 }, () => million),
  ),
  "many axes": question("Unsqueeze", [vector, list(...Array.from({ length: 40 }, (_, axis) => axis))]),
  "many sizes": question("Reshape", [vector, repeated(1, 1 << 18)]),
  "many equal parts": question("Split", [repeated(0, 1 << 18)], { num_outputs: 1 << 18 }, 18, 1 << 18),
  "many parts": question("Split", [nothing, repeated(0, 1 << 18)], { axis: 1 }, 17, 1 << 18),
};

for (const [name, asked] of Object.entries(excessive)) {
  test(`not followed: ${name}`, () => {
    const began = process.cpuUsage();
    assert.equal(answer(asked), null);
    const { user } = process.cpuUsage(began);
    assert.ok(user < 1e6, `took ${user} microseconds`);
  });
}

test("what is not exact in float64 or undefined is not followed", () => {
  const top = known("int64", [1], [huge]);
  assert.equal(answer(question("Add", [top, one])), null);
  assert.equal(answer(question("Mul", [known("int64", [], [2 ** 30]), known("int64", [], [2 ** 30])])), null);
  assert.equal(answer(question("Cast", [top], { to: 1 })), null);
  assert.equal(answer(question("Div", [one, known("int64", [], [0])])), null);
  assert.equal(answer(question("Cast", [known("float32", [1], [1e20])], { to: 7 })), null);
  assert.equal(answer(question("Cast", [known("float32", [1], [Number.NaN])], { to: 6 })), null);
  assert.equal(answer(question("Cast", [known("float32", [1], [-1])], { to: 2 })), null);
  assert.deepEqual(answer(question("Concat", [top, list(2)], { axis: 0 }))![0]!.data, Float64Array.of(huge, 2));
});

test("what is not covered is null: other domains, operators, modes and types", () => {
  const relu = nodeOf(question("Relu", [vector]));
  assert.equal(evaluate({ ...relu, domain: "com.microsoft" }, [vector], 17), null);
  assert.equal(evaluate({ ...relu, operator: "constructor" }, [vector], 17), null);
  assert.equal(evaluate(relu, [vector], 6), null);
  assert.deepEqual(evaluate({ ...relu, domain: "ai.onnx" }, [vector], 17)![0]!.data, vector.data);
  assert.equal(answer(question("Pad", [vector, list(1, 1)], { mode: "reflect" })), null);
  assert.equal(answer(question("TopK", [vector, list(1)], { sorted: 0 }, 17, 2)), null);
  assert.equal(answer(question("Add", [vector, known("float64", [], [1])])), null);
  assert.equal(answer(question("Cast", [vector], { to: 8 })), null);
  assert.equal(answer(question("ReduceMax", [nothing, list(1)], {}, 18)), null);
});

test("attributes of a wrong kind and missing inputs are refused", () => {
  for (const asked of [
    question("Concat", [vector], { axis: "0" }),
    question("Transpose", [grid], { perm: 1 }),
    question("Add", [vector]),
    question("Add", [null, vector]),
    question("Gather", [vector, known("float32", [1], [0])]),
    question("Concat", [vector]),
    question("Cast", [vector]),
    question("Reshape", [vector]),
    question("TopK", [vector, known("float32", [1], [1.5])], {}, 17, 2),
  ])
    assert.throws(() => answer(asked), { code: "CHECKPOINT_MALFORMED" }, asked.operator);
});

test("inputs are never written to", () => {
  fc.assert(
    fc.property(fc.oneof(...Object.values(questions)), (asked) => {
      const before = asked.inputs.map((input) => input?.data.slice());
      answer(asked);
      assert.deepEqual(
        asked.inputs.map((input) => input?.data),
        before,
      );
    }),
    { numRuns: 500 },
  );
});

test("any operator on any inputs gives content that fits its shape, null or a refusal", () => {
  const pool = Object.values(questions);
  const crossed = fc.tuple(fc.constantFrom(...knownOperators), fc.oneof(...pool), fc.oneof(...pool), fc.integer({ min: 7, max: 23 }));
  fc.assert(
    fc.property(crossed, ([operator, a, b, opset]) => {
      const asked = {
        operator,
        opset,
        attributes: { ...b.attributes, ...a.attributes },
        inputs: [...a.inputs, ...b.inputs],
        outputs: a.outputs,
      };
      try {
        for (const { shape, data } of answer(asked) ?? [])
          assert.equal(
            data.length,
            shape.reduce((product, size) => product * size, 1),
          );
      } catch (error) {
        if (!UnseenError.isInstance(error)) throw error;
        assert.equal(error.code, "CHECKPOINT_MALFORMED");
      }
    }),
    { numRuns: 5000 },
  );
});

test("stored tensors are read in every type", () => {
  for (const [value, type] of [
    [[-1.5, 65504], "float16"],
    [[-1.5, 2 ** 100], "bfloat16"],
    [[0.1, Number.NEGATIVE_INFINITY], "float64"],
    [[-128, 127], "int8"],
    [[0, 255], "uint8"],
    [[-32768, 32767], "int16"],
    [[0, 65535], "uint16"],
    [[0, 2 ** 32 - 1], "uint32"],
    [[huge, -huge, 2 ** 53 - 2], "int64"],
    [[huge, 2 ** 40], "uint64"],
    [[1, 0], "bool"],
  ] as const) {
    const given = known(type, [value.length], value);
    assert.deepEqual(knownFromTensor(stored(given)), given);
  }
  const bytes = new Uint8Array(BigInt64Array.of(2n ** 60n).buffer);
  assert.equal(knownFromTensor(tensorOf("", "int64", [1], bytes)), null);
  assert.equal(knownFromTensor({ ...stored(vector), type: "other" }), null);
  const unread = { ...stored(vector), shape: [1 << 11, 1 << 11], read: () => assert.fail("read") };
  assert.equal(knownFromTensor(unread), null);
});

test("a constant's value survives its file", () => {
  const value = stored(grid);
  const bytes = encodeOnnx({
    nodes: [onnxNode("Constant", [], ["c"], { value: { kind: "tensor", value } })],
    inputs: [],
    outputs: [{ name: "c", type: "int64", shape: [2, 3] }],
  });
  assert.deepEqual(evaluate(decodeOnnx(bytes).graph.nodes[0]!, [], 17), [grid]);
  assert.equal(packed(grid).length, 48);
});

test("broadcasting shapes", () => {
  assert.deepEqual(broadcastShapes([], []), []);
  assert.deepEqual(broadcastShapes([3, 1], [1, 0]), [3, 0]);
  assert.deepEqual(broadcastShapes([4], [2, 1, 1]), [2, 1, 4]);
  assert.throws(() => broadcastShapes([2], [0]), { code: "CHECKPOINT_MALFORMED" });
});

const zoo = "data/models/onnx-zoo";
for (const name of ["albert", "bert", "clip_text", "mobilenet_v2", "mpnet", "roberta", "swin", "t5_encoder", "vit"]) {
  test(`what ${name} computes from constants alone is followed`, needs(zoo), async () => {
    const { graph, opsets } = await openOnnx(`${sharedPath(zoo)!}/${name}/model.onnx`);
    const found = new Map<string, Known>();
    for (const [tensor, content] of graph.initializers) {
      const content_ = knownFromTensor(content);
      if (content_ !== null) found.set(tensor, content_);
    }
    const missed: string[] = [];
    let followed = 0;
    for (const node of graph.nodes) {
      const inputs = node.inputs.map((input) => (input === "" ? null : found.get(input)));
      if (inputs.includes(undefined)) continue;
      const outputs = evaluate(node, inputs as (Known | null)[], opsets.get("")!);
      if (outputs === null) missed.push(node.operator);
      for (const [index, output] of node.outputs.entries()) if (outputs?.[index]) found.set(output, outputs[index]);
      followed++;
    }
    assert.deepEqual(missed, []);
    assert.ok(followed > 50, `only ${followed} nodes`);
  });
}
