/** Graphs of strangers: a clear error or an exact result, never a wrong answer, another error, a hang or a great allocation. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeOnnx, onnxNode, type OnnxParts } from "../../checkpoint/onnx-encode.ts";
import { tensorOf } from "../../checkpoint/onnx-tensor.ts";
import {
  decodeOnnx,
  type OnnxAttribute,
  type OnnxNode,
  type OnnxTensor,
  type OnnxType,
  type OnnxValueInfo,
} from "../../checkpoint/onnx.ts";
import { toBfloat16, toFloat16 } from "../../checkpoint/rounding.ts";
import { UnseenError } from "../../errors.ts";
import { compareGraph, keyOf, scratch, type Compared, type Comparison } from "./encrypted-run.fixture.ts";
import { encryptOnnx } from "./encrypt.ts";
import { Dice, GraphBuilder, type Drawn } from "./graph-builder.fixture.ts";
import { GraphRuntime } from "./graph-runtime.fixture.ts";
import { drawGraph } from "./random-graph.fixture.ts";
import { damaged } from "./random-mutation.fixture.ts";
import { traceModel, type Traced } from "./trace-model.ts";

const folder = scratch();
let runtime: GraphRuntime;
let count = 0;

before(async () => {
  runtime = await GraphRuntime.open();
});
after(() => {
  runtime.close();
  folder.remove();
});

const dice = new Dice(3);
const int = (value: number): OnnxAttribute => ({ kind: "int", value });
const ints = (...value: number[]): OnnxAttribute => ({ kind: "ints", value });
const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
const floats = (name: string, shape: readonly number[], values?: readonly number[]): OnnxTensor =>
  tensorOf(
    name,
    "float32",
    shape,
    new Uint8Array(Float32Array.from({ length: elements(shape) }, (_, i) => values?.[i] ?? dice.gaussian()).buffer),
  );
const wholes = (name: string, values: readonly number[], shape = [values.length]): OnnxTensor =>
  tensorOf(name, "int64", shape, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
const info = (name: string, shape: OnnxValueInfo["shape"], type: OnnxType | null = "float32"): OnnxValueInfo => ({ name, type, shape });

interface Parts {
  readonly nodes: readonly OnnxNode[];
  readonly tensors?: readonly OnnxTensor[];
  readonly inputs?: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly values?: readonly OnnxValueInfo[];
  readonly opsets?: Readonly<Record<string, number>>;
}

const named = <T extends { readonly name: string }>(list: readonly T[] = []): Map<string, T> =>
  new Map(list.map((each) => [each.name, each]));

function partsOf({ nodes, tensors, inputs = [info("x", [3, 4])], outputs, values, opsets = { "": 17 } }: Parts): OnnxParts {
  return { nodes, initializers: named(tensors), inputs, outputs, values: named(values), opsets: new Map(Object.entries(opsets)) };
}

function traced(parts: OnnxParts, permuteOnly = false): Traced {
  return traceModel(decodeOnnx(encodeOnnx(parts)), { task: "other" }, permuteOnly);
}

/** Encrypts and runs both models on random inputs of the stated shapes. */
async function compared(parts: OnnxParts, size = 2): Promise<Comparison> {
  const builder: Compared["builder"] = {
    encode: () => encodeOnnx(parts),
    feeds: (random) =>
      Object.fromEntries(
        parts.inputs.map(({ name, shape, type }) => {
          const sizes = (shape ?? []).map((each) => (typeof each === "number" ? each : size));
          const data = Array.from({ length: elements(sizes) }, () =>
            type === "float32" ? Math.fround(random.gaussian()) : random.below(4),
          );
          return [name, { type: type as "float32", shape: sizes, data }];
        }),
      ),
  };
  return compareGraph({ builder, seed: 3 * count++ + 1, strength: "rotate", sizes: [{}] }, runtime, folder.path);
}

async function isExact(parts: OnnxParts): Promise<Comparison> {
  const comparison = await compared(parts);
  assert.equal(comparison.refused, null);
  assert.equal(comparison.runs, 1);
  assert.ok(comparison.difference < 1e-5, `difference ${comparison.difference}`);
  return comparison;
}

/** Within the limits of what a small file may cost. */
function isCheap(use: () => void, milliseconds = 3000, megabytes = 200): void {
  const before = process.memoryUsage();
  const started = performance.now();
  use();
  const now = process.memoryUsage();
  const used = (now.rss - before.rss) / 1e6;
  assert.ok(performance.now() - started < milliseconds, `${Math.round(performance.now() - started)} ms`);
  assert.ok(used < megabytes, `${Math.round(used)} MB`);
}

const isUnseenError =
  (code: string, text: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof UnseenError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  };

const relu = (from: string, to: string): OnnxNode => onnxNode("Relu", [from], [to]);
const product = (from: string, weight: string, to: string): OnnxNode => onnxNode("MatMul", [from, weight], [to]);

// ---- operators that nobody knows ----------------------------------------------------------------------------------------

test("an operator that is not known leaves the identity on all it touches, and is named", () => {
  for (const [domain, operator] of [
    ["", "NoSuchOperator"],
    ["custom.domain", "Relu"],
  ] as const) {
    const { trace, plan } = traced(
      partsOf({
        nodes: [
          product("x", "first", "a"),
          relu("a", "b"),
          product("b", "second", "c"),
          onnxNode(operator, ["c"], ["d"], {}, { domain, name: "strange" }),
          product("d", "third", "e"),
          relu("e", "f"),
          product("f", "fourth", "y"),
        ],
        tensors: [floats("first", [4, 8]), floats("second", [8, 6]), floats("third", [6, 8]), floats("fourth", [8, 5])],
        outputs: [info("y", [3, 5])],
        values: [info("d", [3, 6])],
      }),
    );
    assert.deepEqual(trace.notes, [{ node: "strange", operator, reason: "the operator is not known" }]);
    const axes = (name: string): boolean[] =>
      trace.values.get(name)!.places.map((place) => trace.groups.leaves(place).some(({ recipe }) => recipe !== null));
    assert.deepEqual(axes("second"), [true, false]);
    assert.deepEqual(axes("third"), [false, true]);
    assert.ok(plan.tensors.every(({ isProtected }) => isProtected));
  }
});

test("what an operator of unknown result makes is followed no further", () => {
  const { trace } = traced(
    partsOf({
      nodes: [product("x", "w", "a"), onnxNode("NoSuchOperator", ["a"], ["b"]), product("b", "v", "y")],
      tensors: [floats("w", [4, 8]), floats("v", [8, 5])],
      outputs: [info("y", null)],
    }),
  );
  assert.deepEqual(
    trace.notes.map(({ operator, reason }) => `${operator}: ${reason}`),
    ["NoSuchOperator: the operator is not known", "MatMul: the shape of an input is unknown"],
  );
  assert.equal(
    trace.values.get("v")!.axes!.every(({ frozen }) => frozen !== null),
    true,
  );
});

test("branches and loops that take values from outside leave these alone", async () => {
  const inner = (
    name: string,
    nodes: readonly OnnxNode[],
    inputs: readonly OnnxValueInfo[],
    outputs: readonly OnnxValueInfo[],
  ): OnnxAttribute => ({
    kind: "graph",
    value: { name, nodes, initializers: new Map(), inputs, outputs, values: new Map() },
  });
  const scalar = (name: string, type: OnnxType): OnnxValueInfo => info(name, [], type);
  await isExact(
    partsOf({
      nodes: [
        product("x", "w", "a"),
        onnxNode("ReduceSum", ["x"], ["sum"], { keepdims: int(0) }),
        onnxNode("Greater", ["sum", "zero"], ["condition"]),
        onnxNode("If", ["condition"], ["y"], {
          then_branch: inner("then", [onnxNode("MatMul", ["a", "v"], ["t"])], [], [info("t", [3, 5])]),
          else_branch: inner("else", [onnxNode("MatMul", ["a", "v"], ["m"]), onnxNode("Neg", ["m"], ["e"])], [], [info("e", [3, 5])]),
        }),
      ],
      tensors: [floats("w", [4, 8]), floats("v", [8, 5]), floats("zero", [], [0])],
      outputs: [info("y", [3, 5])],
    }),
  );
  await isExact(
    partsOf({
      nodes: [
        product("x", "w", "a"),
        onnxNode("Loop", ["times", "", "a"], ["y"], {
          body: inner(
            "body",
            [onnxNode("Identity", ["go"], ["goes"]), onnxNode("MatMul", ["state", "v"], ["next"])],
            [scalar("turn", "int64"), scalar("go", "bool"), info("state", [3, 8])],
            [scalar("goes", "bool"), info("next", [3, 8])],
          ),
        }),
      ],
      tensors: [floats("w", [4, 8]), floats("v", [8, 8]), wholes("times", [3], [])],
      outputs: [info("y", [3, 8])],
    }),
  );
});

// ---- graphs that are none -----------------------------------------------------------------------------------------------

const w = floats("w", [4, 5]);
const y = [info("y", [3, 5])];
const BROKEN: readonly (readonly [name: string, parts: Parts, code: string, text: RegExp])[] = [
  [
    "a cycle",
    { nodes: [onnxNode("Add", ["x", "b"], ["a"]), relu("a", "b")], outputs: [info("b", [3, 4])] },
    "CHECKPOINT_MALFORMED",
    /cycle/,
  ],
  ["a missing initializer", { nodes: [product("x", "w", "y")], outputs: y }, "CHECKPOINT_MALFORMED", /"w".*nothing defines/],
  [
    "an output that nothing makes",
    { nodes: [product("x", "w", "y")], tensors: [w], outputs: [info("z", [3])] },
    "CHECKPOINT_MALFORMED",
    /"z"/,
  ],
  [
    "two values of one name",
    { nodes: [product("x", "w", "y"), product("x", "w", "y")], tensors: [w], outputs: y },
    "CHECKPOINT_DUPLICATE",
    /"y"/,
  ],
  ["an input named like a result", { nodes: [product("x", "w", "x")], tensors: [w], outputs: y }, "CHECKPOINT_DUPLICATE", /"x"/],
];
for (const [name, parts, code, text] of BROKEN)
  test(`${name} is refused by name`, () => assert.throws(() => traced(partsOf(parts)), isUnseenError(code, text)));

test("weights that are no numbers are refused by name", async () => {
  for (const bad of [NaN, Infinity]) {
    const parts = partsOf({ nodes: [product("x", "w", "y")], tensors: [floats("w", [4, 5], [1, bad])], outputs: y });
    await assert.rejects(compared(parts), isUnseenError("CHECKPOINT_NON_FINITE", /w/));
  }
});

test("two gigabytes claimed in a small file are refused without allocating them", () => {
  const claim: OnnxTensor = { name: "w", type: "float32", shape: [4, 2 ** 27], bytes: 16, location: null, read: () => new Uint8Array(16) };
  const bytes = encodeOnnx(partsOf({ nodes: [product("x", "w", "y")], tensors: [claim], outputs: [info("y", [3, 2 ** 27])] }));
  assert.ok(bytes.length < 1024);
  isCheap(() => assert.throws(() => traceModel(decodeOnnx(bytes), { task: "other" }, false), isUnseenError("CHECKPOINT_MALFORMED", /"w"/)));
});

// ---- shapes that do not fit, and absurd numbers -------------------------------------------------------------------------

/** One node on x (3, 4), the weight w (4, 5), and lists of whole numbers. */
const ABSURD: readonly (readonly [name: string, node: OnnxNode, lists?: readonly (readonly number[])[]])[] = [
  ["shapes that do not meet", product("w", "x", "y")],
  ["shapes that cannot be broadcast", onnxNode("Add", ["x", "w"], ["y"])],
  ["axis 99", onnxNode("Softmax", ["x"], ["y"], { axis: int(99) })],
  ["axis 99 of a concatenation", onnxNode("Concat", ["x", "w"], ["y"], { axis: int(99) })],
  ["an axis that is no whole number", onnxNode("Concat", ["x", "x"], ["y"], { axis: { kind: "float", value: 0.5 } })],
  ["a split into more than there is", onnxNode("Split", ["x", "a"], ["y", "z"], {}, {}), [[2 ** 40, 1]]],
  ["a split into 2^40 parts", onnxNode("Split", ["x"], ["y"], { num_outputs: int(2 ** 40) })],
  ["negative parts", onnxNode("Split", ["x", "a"], ["y", "z"]), [[4, -1]]],
  ["2^40 repeats", onnxNode("Tile", ["x", "a"], ["y"]), [[2 ** 40, 1]]],
  ["2^30 repeats of several", onnxNode("Tile", ["x", "a"], ["y"]), [[1, 2 ** 30]]],
  ["negative repeats", onnxNode("Tile", ["x", "a"], ["y"]), [[-3, 1]]],
  ["an expansion to 2^50", onnxNode("Expand", ["x", "a"], ["y"]), [[2 ** 50, 3, 4]]],
  ["an expansion to a negative size", onnxNode("Expand", ["x", "a"], ["y"]), [[-7, 3, 4]]],
  ["a shape of 2^40", onnxNode("Reshape", ["x", "a"], ["y"]), [[2 ** 40, 2 ** 40]]],
  ["a shape that leaves two sizes open", onnxNode("Reshape", ["x", "a"], ["y"]), [[-1, -1]]],
  ["a shape with 0 and open sizes", onnxNode("Reshape", ["x", "a"], ["y"], { allowzero: int(1) }), [[0, -1]]],
  ["2^40 constants", onnxNode("ConstantOfShape", ["a"], ["y"]), [[2 ** 40]]],
  ["a range of 2^50", onnxNode("Range", ["zero", "large", "one"], ["y"])],
  ["2^50 zeros around", onnxNode("Pad", ["x", "a"], ["y"]), [[0, 0, 2 ** 50, 0]]],
  ["more cut off than there is", onnxNode("Pad", ["x", "a"], ["y"]), [[-9, 0, 0, 0]]],
  ["a list of pads that is too short", onnxNode("Pad", ["x", "a"], ["y"]), [[1]]],
  ["a slice with too few ends", onnxNode("Slice", ["x", "a", "b"], ["y"]), [[0, 1, 2], [1]]],
  ["a step of 0", onnxNode("Slice", ["x", "a", "b", "c", "d"], ["y"]), [[0], [4], [1], [0]]],
  ["an order of axes that is none", onnxNode("Transpose", ["x"], ["y"], { perm: ints(0, 0) })],
  ["groups that do not divide", onnxNode("Conv", ["x", "w"], ["y"], { group: int(3) })],
  ["0 groups", onnxNode("GroupNormalization", ["x", "w", "w"], ["y"], { num_groups: int(0) })],
  ["a block of 2^20 pixels", onnxNode("DepthToSpace", ["x"], ["y"], { blocksize: int(2 ** 20) })],
  ["2^40 heads", onnxNode("Attention", ["x", "w", ""], ["y"], { num_heads: int(2 ** 40) }, { domain: "com.microsoft" })],
  ["the 2^40 largest", onnxNode("TopK", ["x", "a"], ["y", "z"]), [[2 ** 40]]],
  ["the -1 largest", onnxNode("TopK", ["x", "a"], ["y", "z"]), [[-1]]],
  ["one of 2^40", onnxNode("OneHot", ["one", "large", "w"], ["y"])],
  ["an index out of range", onnxNode("Gather", ["w", "a"], ["y"], {}), [[99]]],
  ["an equation of nothing", onnxNode("Einsum", ["x", "w"], ["y"], { equation: { kind: "string", value: Buffer.from("->") } })],
  ["an endless equation", onnxNode("Einsum", ["x", "w"], ["y"], { equation: { kind: "string", value: Buffer.from("a".repeat(60_000)) } })],
  ["no inputs", onnxNode("MatMul", [], ["y"])],
  ["inputs that are left out", onnxNode("LayerNormalization", ["x", "", "w"], ["y"])],
  ["no outputs but one that is left out", onnxNode("Split", ["x"], ["", "y"])],
  ["a scale of 1e30", onnxNode("Resize", ["x", "", "scales"], ["y"])],
];
for (const [name, node, lists = []] of ABSURD) {
  test(`${name}: refused or left alone, at no cost`, () => {
    const parts = partsOf({
      nodes: [product("x", "v", "u"), relu("u", "r"), node, ...(node.outputs.includes("y") ? [] : [relu("r", "y")])].map((each) =>
        each === node ? { ...node, inputs: node.inputs.map((input) => (input === "x" ? "r" : input)) } : each,
      ),
      tensors: [
        w,
        floats("v", [4, 4]),
        floats("scales", [2], [1e30, 1]),
        wholes("zero", [0], []),
        wholes("one", [1], []),
        wholes("large", [2 ** 50], []),
        ...lists.map((list, i) => wholes("abcd"[i]!, list)),
      ],
      outputs: [info("y", null)],
      opsets: { "": 18, "com.microsoft": 1 },
    });
    for (const permuteOnly of [false, true]) {
      isCheap(() => {
        try {
          const { plan } = traced(parts, permuteOnly);
          assert.ok(plan.tensors.length > 0);
        } catch (error) {
          assert.ok(error instanceof UnseenError, String((error as Error).stack));
        }
      });
    }
  });
}

test("sizes that no machine has are refused or left alone, wherever they stand", () => {
  for (const size of [2 ** 31, 2 ** 53, 2 ** 62]) {
    for (const shape of [[size], [size, size], ["batch", size], [0, size]]) {
      isCheap(() => {
        try {
          traced(
            partsOf({
              nodes: [onnxNode("Flatten", ["x"], ["a"]), relu("a", "y")],
              inputs: [info("x", shape)],
              outputs: [info("y", shape)],
            }),
          );
        } catch (error) {
          assert.ok(error instanceof UnseenError, String((error as Error).stack));
        }
      });
    }
  }
});

test("axes without elements stay as they are", async () => {
  await isExact(
    partsOf({
      nodes: [
        product("x", "w", "a"),
        onnxNode("Slice", ["a", "from", "to", "axis"], ["nothing"]),
        onnxNode("Concat", ["a", "nothing"], ["b"], { axis: int(1) }),
        onnxNode("Transpose", ["nothing"], ["c"]),
        product("b", "v", "y"),
      ],
      tensors: [
        floats("w", [4, 8]),
        floats("v", [8, 5]),
        wholes("from", [4]),
        wholes("to", [4]),
        wholes("axis", [1]),
        wholes("shape", [0, 3]),
      ],
      outputs: [info("y", [3, 5]), info("c", [0, 3])],
    }),
  );
});

test("shapes that are open everywhere are followed, or refused by name", async () => {
  const { trace } = traced(
    partsOf({
      nodes: [product("x", "w", "a"), relu("a", "b"), product("b", "v", "y")],
      tensors: [floats("w", [4, 8]), floats("v", [8, 5])],
      inputs: [info("x", [null, "anything", null])],
      outputs: [info("y", [null, null, null])],
    }),
  );
  assert.ok(trace.values.get("v")!.axes!.length === 2);
  const unknown = partsOf({
    nodes: [product("x", "w", "a"), relu("a", "b"), product("b", "v", "y")],
    tensors: [floats("w", [4, 8]), floats("v", [8, 5])],
    inputs: [info("x", null)],
    outputs: [info("y", null)],
  });
  assert.equal(
    traced(unknown).plan.tensors.some(({ isProtected }) => isProtected),
    false,
  );
});

// ---- other numbers ------------------------------------------------------------------------------------------------------

const HALVES: readonly (readonly [OnnxType, (value: number) => number])[] = [
  ["float16", toFloat16],
  ["bfloat16", toBfloat16],
];
for (const [type, encode] of HALVES) {
  test(`${type}: weights are rewritten in their own type`, async () => {
    const half = ({ name, shape, read }: OnnxTensor): OnnxTensor =>
      tensorOf(name, type, shape, new Uint8Array(Uint16Array.from(new Float32Array(read().slice().buffer), encode).buffer));
    const cast = (from: string, to: string, number: number): OnnxNode => onnxNode("Cast", [from], [to], { to: int(number) });
    // The runtime multiplies 32-bit numbers; the weights are stored in 16 bits.
    const parts = partsOf({
      nodes: [cast("w", "wide", 1), product("x", "wide", "a"), relu("a", "b"), cast("v", "wider", 1), product("b", "wider", "y")],
      tensors: [half(floats("w", [4, 8])), half(floats("v", [8, 5]))],
      outputs: y,
    });
    const { difference, result } = await compared(parts);
    assert.ok(difference < (type === "float16" ? 5e-3 : 5e-2), `difference ${difference}`);
    assert.equal(result.protectedParameters, result.parameters);
    const permuted = await encryptOnnx({ ...(await saved(parts)), key: keyOf(1, "permute"), task: "other" });
    assert.equal(permuted.protectedParameters, permuted.parameters);
  });
}

async function saved(parts: OnnxParts): Promise<{ source: string; output: string }> {
  const source = join(folder.path, `saved-${count++}.onnx`);
  writeFileSync(source, encodeOnnx(parts));
  return { source, output: `${source}-unseen.onnx` };
}

test("float64 is computed in its own precision", async () => {
  const wide = ({ name, shape, read }: OnnxTensor): OnnxTensor =>
    tensorOf(name, "float64", shape, new Uint8Array(Float64Array.from(new Float32Array(read().slice().buffer)).buffer));
  const { difference } = await isExact(
    partsOf({
      nodes: [
        onnxNode("Cast", ["x"], ["wide"], { to: int(11) }),
        product("wide", "w", "a"),
        relu("a", "b"),
        product("b", "v", "c"),
        onnxNode("Cast", ["c"], ["y"], { to: int(1) }),
      ],
      tensors: [wide(floats("w", [4, 8])), wide(floats("v", [8, 5]))],
      outputs: y,
    }),
  );
  assert.ok(difference < 1e-6);
});

test("whole-number weights and texts stay as they are", async () => {
  const { result } = await isExact(
    partsOf({
      nodes: [
        onnxNode("Cast", ["table"], ["numbers"], { to: int(1) }),
        product("x", "numbers", "a"),
        relu("a", "b"),
        product("b", "v", "y"),
      ],
      tensors: [
        wholes(
          "table",
          Array.from({ length: 32 }, (_, i) => i % 7),
          [4, 8],
        ),
        floats("v", [8, 5]),
      ],
      outputs: y,
    }),
  );
  assert.equal(result.parameters, 40);
  const words: OnnxAttribute = { kind: "strings", value: [Buffer.from("one"), Buffer.from("two")] };
  const { plan } = traced(
    partsOf({
      nodes: [
        product("x", "w", "y"),
        onnxNode("Constant", [], ["texts"], { value_strings: words }),
        onnxNode("Equal", ["texts", "text"], ["equal"]),
        onnxNode("Identity", ["text"], ["echo"]),
      ],
      tensors: [w],
      inputs: [info("x", [3, 4]), info("text", [2], "string")],
      outputs: [...y, info("echo", [2], "string"), info("equal", [2], "bool")],
    }),
  );
  assert.deepEqual(
    plan.tensors.map(({ name, isProtected }) => [name, isProtected]),
    [["w", true]],
  );
});

// ---- size ---------------------------------------------------------------------------------------------------------------

const NODES = 20_000;
const EXTENSIONS: readonly ((b: GraphBuilder, value: Drawn) => Drawn)[] = [
  (b, value) => b.node("Relu", [value], value.shape),
  (b, value) => b.node("Add", [value, b.node("MatMul", [value, b.gaussian([8, 8], 0.3)], value.shape)], value.shape),
  (b, value) => b.node("Mul", [value, b.positive([8])], value.shape),
  (b, value) => b.node("Mul", [value, value], value.shape),
  (b, value) => b.concat(b.split(value, 2, [3, 5]), 2),
  (b, value) => b.reshape(b.transpose(b.reshape(value, [3, 5, 2, 4]), [0, 1, 2, 3]), [3, 5, 8]),
  (b, value) => b.node("Reshape", [value, b.shapeList(value.shape)], value.shape),
  (b, value) => b.describe(b.node("Unknown", [value], value.shape, {}, "custom")),
];

/** A chain of nodes on one value, traced within the limits. */
function traceChain(extend: (b: GraphBuilder, value: Drawn) => Drawn): void {
  const b = new GraphBuilder(new Dice(1), 17);
  const input = b.input("x", [3, 5, 8]);
  let value = b.node("MatMul", [input, b.gaussian([8, 8], 0.3)], input.shape);
  while (b.made.length < NODES) value = extend(b, value);
  b.output(value);
  const model = decodeOnnx(b.encode());
  isCheap(() => assert.ok(traceModel(model, { task: "other" }, false).plan.tensors.length > 0), 30_000, 1500);
}

test(`${NODES} products with vectors, one after another, are traced in seconds`, () => traceChain(EXTENSIONS[2]!));
test(`${NODES} nodes of all kinds are traced in seconds`, () => traceChain((b, value) => b.dice.pick(EXTENSIONS)(b, value)));
test(`an axis that grows over ${NODES} nodes is traced in seconds`, () =>
  traceChain((b, value) =>
    b.node("Concat", [value, b.gaussian([3, 5, 2], 1)], value.shape.with(2, (value.shape[2] as number) + 2), { axis: 2 }),
  ));

test("a normalisation that thousands of nodes stand behind is traced in seconds", () => {
  for (const operator of ["Identity", "Cast"]) {
    const b = new GraphBuilder(new Dice(1), 17);
    const input = b.input("x", [3, 5, 8]);
    const stream = b.node("MatMul", [input, b.gaussian([8, 8], 1)], input.shape);
    let value = b.node("LayerNormalization", [stream, b.positive([8]), b.gaussian([8], 1)], input.shape);
    for (let i = 0; i < NODES / 2; i++) value = b.node(operator, [value], value.shape, operator === "Cast" ? { to: 1 } : {});
    let last = stream;
    for (let i = 0; i < NODES / 2; i++) last = b.node("Mul", [last, value], value.shape);
    b.output(last);
    const model = decodeOnnx(b.encode());
    isCheap(() => assert.equal(traceModel(model, { task: "other" }, false).trace.folded.length, 0), 30_000, 1000);
  }
});

test("thousands of comparisons and look-ups of ids are planned in seconds", () => {
  const b = new GraphBuilder(new Dice(1), 17);
  const ids = b.input("input_ids", [2, 5], { kind: "ids", below: 9, type: "int64" });
  const table = b.gaussian([9, 4], 1);
  b.output(b.node("Gather", [table, ids], [2, 5, 4]));
  for (let i = 0; i < 5000; i++) b.node("Equal", [ids, b.ints([i % 9], [])], [2, 5]);
  const model = decodeOnnx(b.encode());
  isCheap(() => assert.equal(traceModel(model, { task: "other" }, false).plan.changes.length, 5000), 20_000, 1000);
});

// ---- damage -------------------------------------------------------------------------------------------------------------

const DAMAGED = Number(process.env["UNSEEN_TRACE_DAMAGED"] ?? 100);
test(`${DAMAGED} damaged graphs: those that run plainly run the same encrypted, all others end in a named error`, async () => {
  let [equal, refused, errors] = [0, 0, 0];
  for (let seed = 0; seed < DAMAGED; seed++) {
    const graph = drawGraph(seed);
    const builder: Compared["builder"] = {
      encode: (jitter) => encodeOnnx(damaged(graph.builder.parts(jitter), seed)),
      feeds: (random, sizes) => graph.builder.feeds(random, sizes),
    };
    const strength = seed % 2 === 0 ? "rotate" : "permute";
    try {
      const sizes = [{ batch: 4, sequence: 6 }];
      const { difference, sensitivity, runs } = await compareGraph({ builder, seed: 3 * seed + 1, strength, sizes }, runtime, folder.path);
      if (runs === 0) refused++;
      else {
        assert.ok(difference <= Math.max(1e-4, 50 * sensitivity), `seed ${seed}: difference ${difference}`);
        equal++;
      }
    } catch (error) {
      assert.ok(error instanceof UnseenError, `seed ${seed}: ${String((error as Error).stack)}`);
      errors++;
    }
  }
  assert.ok(equal > DAMAGED / 10, `${equal} equal, ${refused} refused, ${errors} errors`);
});
