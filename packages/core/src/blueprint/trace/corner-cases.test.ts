/** Graphs in which a rule that holds nearly always would give wrong numbers, each found by trying to. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeOnnx, onnxNode, type OnnxParts } from "../../checkpoint/onnx-encode.ts";
import { openOnnx, type OnnxNode, type OnnxTensor, type OnnxType, type OnnxValueInfo } from "../../checkpoint/onnx.ts";
import { tensorOf } from "../../checkpoint/onnx-tensor.ts";
import { compareOnnx, openOutputs, relativeDifference, sealInputs, type Numbers, type RunModel } from "./compare.ts";
import { encryptOnnx, type OnnxResult } from "./encrypt.ts";
import { keyOf, scratch } from "./encrypted-run.fixture.ts";
import { Dice } from "./graph-builder.fixture.ts";
import { GraphRuntime, type Feeds } from "./graph-runtime.fixture.ts";

const key = keyOf(11, "rotate");
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

const run: RunModel = async (model, inputs) => {
  const [results] = await runtime.run(model, [Object.fromEntries(inputs) as unknown as Feeds], false);
  if (typeof results !== "object") throw new Error(results);
  return new Map(Object.entries(results));
};

const dice = new Dice(5);
const floats = (name: string, shape: readonly number[], values?: readonly number[]): OnnxTensor => {
  const length = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length }, (_, i) => values?.[i] ?? dice.gaussian());
  return tensorOf(name, "float32", shape, new Uint8Array(data.buffer));
};
const wholes = (name: string, values: readonly number[], shape = [values.length]): OnnxTensor =>
  tensorOf(name, "int64", shape, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
const info = (name: string, shape: OnnxValueInfo["shape"], type: OnnxType = "float32"): OnnxValueInfo => ({ name, type, shape });
const int = (value: number): { kind: "int"; value: number } => ({ kind: "int", value });
const ints = (...value: number[]): { kind: "ints"; value: number[] } => ({ kind: "ints", value });
const text = (value: string): { kind: "string"; value: Uint8Array } => ({ kind: "string", value: Buffer.from(value) });

interface Case {
  readonly nodes: readonly OnnxNode[];
  readonly tensors: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly opset?: number;
}

async function encrypted({ nodes, tensors, inputs, outputs, opset = 17 }: Case): Promise<OnnxResult & { readonly source: string }> {
  const source = join(folder.path, `${count++}.onnx`);
  const initializers = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const parts: OnnxParts = { nodes, initializers, inputs, outputs, opsets: new Map([["", opset]]) };
  writeFileSync(source, encodeOnnx(parts));
  return { source, ...(await encryptOnnx({ source, output: `${source}-unseen.onnx`, key, task: "other" })) };
}

async function isExact(graph: Case): Promise<void> {
  const { source, output } = await encrypted(graph);
  const { maxRelativeDifference } = await compareOnnx({ plain: source, encrypted: output, secret: key.secret, run, task: "other" });
  assert.ok(maxRelativeDifference < 1e-5, String(maxRelativeDifference));
}

test("tokens and channels that leave in one axis stay, since their map would have as many sizes as there are requests", () =>
  isExact({
    nodes: [onnxNode("MatMul", ["x", "w"], ["y"]), onnxNode("Reshape", ["y", "flat"], ["out"])],
    tensors: [floats("w", [8, 6]), wholes("flat", [0, -1])],
    inputs: [info("x", ["batch", "tokens", 8])],
    outputs: [info("out", ["batch", "features"])],
  }));

test("of equal numbers Hardmax takes the first, whatever order they are in", () =>
  isExact({
    nodes: [
      onnxNode("MatMul", ["x", "w"], ["y"]),
      onnxNode("Add", ["y", "low"], ["z"]),
      onnxNode("Relu", ["z"], ["r"]),
      onnxNode("Hardmax", ["r"], ["h"]),
      onnxNode("MatMul", ["h", "v"], ["out"]),
    ],
    tensors: [floats("w", [8, 5]), floats("low", [5], Array(5).fill(-1e3)), floats("v", [5, 4])],
    inputs: [info("x", ["batch", 8])],
    outputs: [info("out", ["batch", 4])],
  }));

test("a picture that keeps the ratio of its sides may lose channels", () =>
  isExact({
    nodes: [
      onnxNode("Conv", ["x", "w"], ["y"]),
      onnxNode("Resize", ["y", "", "", "sizes"], ["z"], { mode: text("nearest"), keep_aspect_ratio_policy: text("not_larger") }),
      onnxNode("ReduceMax", ["z"], ["out"], { keepdims: int(0) }),
    ],
    tensors: [floats("w", [4, 3, 1, 1]), wholes("sizes", [1, 4, 4, 8])],
    inputs: [info("x", [1, 3, 8, 8])],
    outputs: [info("out", [])],
    opset: 18,
  }));

test("repeated ids are not all ids, though they have their shape", () =>
  isExact({
    nodes: [
      onnxNode("Gather", ["table", "input_ids"], ["e"]),
      onnxNode("ReduceMean", ["e"], ["m"], { axes: ints(0), keepdims: int(0) }),
      onnxNode("Slice", ["input_ids", "zero", "one", "one"], ["first"]),
      onnxNode("Expand", ["first", "wide"], ["again"]),
      onnxNode("ArgMax", ["again"], ["at"], { axis: int(1), keepdims: int(0) }),
      onnxNode("Gather", ["m", "at"], ["out"]),
    ],
    tensors: [floats("table", [50, 8]), wholes("zero", [0]), wholes("one", [1]), wholes("wide", [1, 6])],
    inputs: [info("input_ids", ["batch", 6], "int64")],
    outputs: [info("out", ["batch", 8])],
  }));

test("a variance below 0 counts as far as epsilon lifts it", () =>
  isExact({
    nodes: [
      onnxNode("Conv", ["x", "w"], ["y"]),
      onnxNode("BatchNormalization", ["y", "gain", "offset", "mean", "variance"], ["n"]),
      onnxNode("Relu", ["n"], ["r"]),
      onnxNode("Conv", ["r", "v"], ["out"]),
    ],
    tensors: [
      floats("w", [3, 2, 1, 1]),
      floats("gain", [3]),
      floats("offset", [3]),
      floats("mean", [3]),
      floats("variance", [3], [-5e-6, 0, 2]),
      floats("v", [2, 3, 1, 1]),
    ],
    inputs: [info("x", [1, 2, 4, 4])],
    outputs: [info("out", [1, 2, 4, 4])],
  }));

test("rows that only long inputs reach are found by tracing large sizes", async () => {
  const { source, output, clientInterface } = await encrypted({
    nodes: [
      onnxNode("Shape", ["x"], ["shape"]),
      onnxNode("Gather", ["shape", "one"], ["length"]),
      onnxNode("Div", ["length", "sixteen"], ["blocks"]),
      onnxNode("Slice", ["table", "zero", "blocks", "zero"], ["used"]),
      onnxNode("Concat", ["first", "used"], ["rows"], { axis: int(0) }),
      onnxNode("Gather", ["rows", "last"], ["row"]),
      onnxNode("Add", ["x", "row"], ["y"]),
      onnxNode("MatMul", ["y", "w"], ["out"]),
    ],
    tensors: [
      wholes("one", [1]),
      wholes("sixteen", [16]),
      wholes("zero", [0]),
      wholes("last", [-1]),
      floats("table", [40, 8]),
      floats("first", [1, 8]),
      floats("w", [8, 4]),
    ],
    inputs: [info("x", ["batch", "tokens", 8])],
    outputs: [info("out", ["batch", "tokens", 4])],
  });
  const x: Numbers = { type: "float32", shape: [1, 48, 8], data: Float64Array.from({ length: 48 * 8 }, () => dice.gaussian()) };
  const given = new Map([["x", x]]);
  const expected = (await run(source, given)).get("out")!;
  const got = openOutputs(clientInterface.outputs, await run(output, sealInputs(clientInterface.inputs, given, key.secret)), key.secret);
  const difference = relativeDifference(expected, got.get("out")!);
  assert.ok(difference < 1e-5, String(difference));
});

test("the plain id that ids are compared with leaves the file, and so do the names of values", async () => {
  const { source, output } = await encrypted({
    nodes: [
      onnxNode("Gather", ["model.secret.weight", "input_ids"], ["/secret/e"], {}, { name: "/secret/Gather" }),
      onnxNode("ConstantOfShape", ["shape"], ["/secret/wide"], { value: { kind: "tensor", value: wholes("", [37]) } }),
      onnxNode("Equal", ["input_ids", "/secret/wide"], ["/secret/a"]),
      onnxNode("Equal", ["/secret/pad", "input_ids"], ["/secret/b"]),
      onnxNode("Or", ["/secret/a", "/secret/b"], ["/secret/c"]),
      onnxNode("Cast", ["/secret/c"], ["/secret/d"], { to: int(1) }),
      onnxNode("Unsqueeze", ["/secret/d", "last"], ["/secret/f"]),
      onnxNode("Mul", ["/secret/e", "/secret/f"], ["out"]),
    ],
    tensors: [floats("model.secret.weight", [50, 8]), wholes("shape", [1]), wholes("/secret/pad", [41]), wholes("last", [-1])],
    inputs: [info("input_ids", ["batch", "tokens"], "int64")],
    outputs: [info("out", ["batch", "tokens", 8])],
  });
  const { graph } = await openOnnx(output);
  const constants = [...graph.initializers.values()].filter(({ type }) => type === "int64");
  const values = constants.flatMap((tensor) => [...new BigInt64Array(Uint8Array.from(tensor.read()).buffer)].map(Number));
  assert.ok(constants.length >= 3);
  for (const plain of [37, 41]) assert.ok(!values.includes(plain));
  assert.ok(graph.nodes.every(({ operator }) => operator !== "ConstantOfShape"));
  for (const { name, inputs, outputs } of graph.nodes) assert.doesNotMatch([name, ...inputs, ...outputs].join(), /secret/);
  for (const name of graph.initializers.keys()) assert.match(name, /^v\d+$/);
  const { maxRelativeDifference } = await compareOnnx({ plain: source, encrypted: output, secret: key.secret, run, task: "other" });
  assert.ok(maxRelativeDifference < 1e-5);
});

test("a plain model with other ends is refused by name, before anything runs", async () => {
  const layer = (input: string): Case => ({
    nodes: [onnxNode("MatMul", [input, "w"], ["out"])],
    tensors: [floats("w", [8, 4])],
    inputs: [info(input, ["batch", 8])],
    outputs: [info("out", ["batch", 4])],
  });
  const [one, other] = [await encrypted(layer("x")), await encrypted(layer("y"))];
  const options = { secret: key.secret, run, task: "other" } as const;
  await assert.rejects(compareOnnx({ plain: other.source, encrypted: one.output, ...options }), { code: "VERIFICATION_FAILED" });
  assert.ok((await compareOnnx({ plain: one.source, encrypted: one.output, ...options })).maxRelativeDifference < 1e-5);
});
