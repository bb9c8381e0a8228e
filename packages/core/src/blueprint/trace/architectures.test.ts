/** What real exporters and optimisers write: each graph is exact under a key, and a key acts on all that is stored. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeOnnx, onnxNode } from "../../checkpoint/onnx-encode.ts";
import { joinParts, Rope } from "../../checkpoint/protobuf-write.ts";
import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValueInfo } from "../../checkpoint/onnx.ts";
import { tensorOf } from "../../checkpoint/onnx-tensor.ts";
import { compareOnnx, type Numbers, type RunModel } from "./compare.ts";
import { encryptOnnx } from "./encrypt.ts";
import { keyOf, scratch } from "./encrypted-run.fixture.ts";
import { Dice } from "./graph-builder.fixture.ts";
import { GraphRuntime, type Feeds } from "./graph-runtime.fixture.ts";

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

const dice = new Dice(8);
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
const floats = (name: string, shape: readonly number[], make = (): number => dice.gaussian() / 2): OnnxTensor =>
  tensorOf(name, "float32", shape, new Uint8Array(Float32Array.from({ length: sizeOf(shape) }, make).buffer));
const positive = (): number => 0.5 + Math.abs(dice.gaussian());
const wholes = (name: string, values: readonly number[], shape: readonly number[] = [values.length]): OnnxTensor =>
  tensorOf(name, "int64", shape, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
/** Of few bits, for older processors saturate sums of large ones, which depends on their order. */
const bytes = (name: string, shape: readonly number[], type: "int8" | "uint8" = "int8"): OnnxTensor =>
  tensorOf(
    name,
    type,
    shape,
    Uint8Array.from({ length: sizeOf(shape) }, () => Math.floor(dice.gaussian() * 12) + (type === "uint8" ? 64 : 0)),
  );
const byte = (name: string, value: number, type: "int8" | "uint8"): OnnxTensor => tensorOf(name, type, [], Uint8Array.of(value));
const info = (name: string, shape: OnnxValueInfo["shape"], type: OnnxType = "float32"): OnnxValueInfo => ({ name, type, shape });
const int = (value: number): { kind: "int"; value: number } => ({ kind: "int", value });
const ints = (...value: number[]): { kind: "ints"; value: number[] } => ({ kind: "ints", value });
const text = (value: string): { kind: "string"; value: Uint8Array } => ({ kind: "string", value: Buffer.from(value) });
const graphOf = (parts: Partial<OnnxGraph>): { kind: "graph"; value: OnnxGraph } => ({
  kind: "graph",
  value: { name: "inner", nodes: [], initializers: new Map(), inputs: [], outputs: [], values: new Map(), ...parts },
});
const fused = (operator: string, inputs: string[], outputs: string[], attributes = {}): OnnxNode => ({
  ...onnxNode(operator, inputs, outputs, attributes),
  domain: "com.microsoft",
});

interface Case {
  readonly nodes: readonly OnnxNode[];
  readonly tensors: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly opset?: number;
  /** Operators that the model defines itself. */
  readonly functions?: readonly Rope[];
  /** Tried besides random inputs. */
  readonly given?: readonly ReadonlyMap<string, Numbers>[];
  /** Stored numbers that no key acts on, default 0. */
  readonly open?: number;
}

/** Encrypts a graph at both strengths, compares it with the plain one, and counts what no key acts on. */
async function holds({ nodes, tensors, inputs, outputs, opset = 17, functions = [], given = [], open = 0 }: Case): Promise<void> {
  const source = join(folder.path, `${count++}.onnx`);
  const opsets = new Map([
    ["", opset],
    ["com.microsoft", 1],
  ]);
  const initializers = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  if (functions.length > 0) opsets.set("custom", 1);
  const message = new Rope();
  for (const each of functions) message.bytes(25, each);
  writeFileSync(source, Buffer.concat([encodeOnnx({ nodes, initializers, inputs, outputs, opsets }), joinParts(message.parts)]));
  for (const strength of ["rotate", "permute"] as const) {
    const key = keyOf(3, strength);
    const { output, parameters, protectedParameters } = await encryptOnnx({
      source,
      output: `${source}-${strength}.onnx`,
      key,
      task: "other",
    });
    for (const own of [undefined, ...given]) {
      const { maxRelativeDifference } = await compareOnnx({
        plain: source,
        encrypted: output,
        secret: key.secret,
        run,
        task: "other",
        inputs: own,
      });
      assert.ok(maxRelativeDifference < 1e-5, `${strength}: ${maxRelativeDifference}`);
    }
    assert.equal(parameters - protectedParameters, open, strength);
  }
}

const numbers = (shape: readonly number[]): Numbers => ({
  type: "float32",
  shape,
  data: Float64Array.from({ length: sizeOf(shape) }, () => Math.fround(dice.gaussian())),
});

test("three projections in one matrix, which an axis of the reshaped result numbers", () =>
  holds({
    nodes: [
      onnxNode("MatMul", ["x", "w"], ["p"]),
      onnxNode("Add", ["p", "b"], ["q"]),
      onnxNode("Reshape", ["q", "shape"], ["r"]),
      onnxNode("Transpose", ["r"], ["t"], { perm: ints(2, 0, 3, 1, 4) }),
      ...[0, 1, 2].map((i) => onnxNode("Gather", ["t", `i${i}`], [`${"qkv"[i]}h`], { axis: int(0) })),
      onnxNode("Transpose", ["kh"], ["kt"], { perm: ints(0, 1, 3, 2) }),
      onnxNode("MatMul", ["qh", "kt"], ["scores"]),
      onnxNode("Softmax", ["scores"], ["a"], { axis: int(-1) }),
      onnxNode("MatMul", ["a", "vh"], ["c"]),
      onnxNode("Transpose", ["c"], ["ct"], { perm: ints(0, 2, 1, 3) }),
      onnxNode("Reshape", ["ct", "flat"], ["cf"]),
      onnxNode("MatMul", ["cf", "o"], ["y"]),
    ],
    tensors: [
      floats("w", [8, 36]),
      floats("b", [36]),
      floats("o", [12, 6]),
      wholes("shape", [0, 0, 3, 4, 3]),
      wholes("flat", [0, 0, 12]),
      ...[0, 1, 2].map((i) => wholes(`i${i}`, [i], [])),
    ],
    inputs: [info("x", ["batch", "tokens", 8])],
    outputs: [info("y", ["batch", "tokens", 6])],
  }));

test("channels in two halves, shuffled (ShuffleNet)", () =>
  holds({
    nodes: [
      onnxNode("Conv", ["x", "a"], ["ya"]),
      onnxNode("Conv", ["x", "b"], ["yb"]),
      onnxNode("Concat", ["ya", "yb"], ["y"], { axis: int(1) }),
      onnxNode("Reshape", ["y", "in"], ["r"]),
      onnxNode("Transpose", ["r"], ["t"], { perm: ints(0, 2, 1, 3, 4) }),
      onnxNode("Reshape", ["t", "out"], ["s"]),
      onnxNode("Conv", ["s", "c"], ["z"]),
    ],
    tensors: [
      floats("a", [6, 3, 1, 1]),
      floats("b", [6, 3, 1, 1]),
      floats("c", [5, 12, 1, 1]),
      wholes("in", [0, 2, 6, 4, 4]),
      wholes("out", [0, 12, 4, 4]),
    ],
    inputs: [info("x", ["batch", 3, 4, 4])],
    outputs: [info("z", ["batch", 5, 4, 4])],
  }));

for (const [operator, gates] of [
  ["LSTM", 4],
  ["GRU", 3],
  ["RNN", 1],
] as const) {
  test(`${operator} in both directions`, () =>
    holds({
      nodes: [
        onnxNode("MatMul", ["x", "embed"], ["e"]),
        onnxNode(operator, ["e", "w", "r", "b"], ["y", "h"], { hidden_size: int(5), direction: text("bidirectional") }),
        onnxNode("Transpose", ["y"], ["t"], { perm: ints(0, 2, 1, 3) }),
        onnxNode("Reshape", ["t", "flat"], ["f"]),
        onnxNode("MatMul", ["f", "o"], ["out"]),
        onnxNode("Transpose", ["h"], ["ht"], { perm: ints(1, 0, 2) }),
        onnxNode("Reshape", ["ht", "last"], ["hf"]),
        onnxNode("MatMul", ["hf", "o"], ["final"]),
      ],
      tensors: [
        floats("embed", [4, 6]),
        floats("w", [2, gates * 5, 6]),
        floats("r", [2, gates * 5, 5]),
        floats("b", [2, 2 * gates * 5]),
        floats("o", [10, 3]),
        wholes("flat", [0, 0, 10]),
        wholes("last", [0, 10]),
      ],
      inputs: [info("x", ["tokens", "batch", 4])],
      outputs: [info("out", ["tokens", "batch", 3]), info("final", ["batch", 3])],
    }));
}

test("sums of products of three factors, and a transposition written as a sum (XLNet)", () =>
  holds({
    nodes: [
      onnxNode("MatMul", ["x", "w"], ["y"]),
      onnxNode("Einsum", ["y"], ["yt"], { equation: text("bi->ib") }),
      onnxNode("Einsum", ["yt", "u", "v"], ["out"], { equation: text("ib,ij,ik->bjk") }),
    ],
    tensors: [floats("w", [4, 6]), floats("u", [6, 5]), floats("v", [6, 3])],
    inputs: [info("x", ["batch", 4])],
    outputs: [info("out", ["batch", 5, 3])],
  }));

test("transposed convolutions in groups, of one channel and of several", () =>
  holds({
    nodes: [
      onnxNode("Conv", ["x", "a"], ["y"]),
      onnxNode("Relu", ["y"], ["yr"]),
      onnxNode("ConvTranspose", ["yr", "b", "bb"], ["z"], { group: int(3), strides: ints(2, 2) }),
      onnxNode("Relu", ["z"], ["zr"]),
      onnxNode("ConvTranspose", ["zr", "c"], ["u"], { group: int(6) }),
      onnxNode("Conv", ["u", "d"], ["out"]),
    ],
    tensors: [
      floats("a", [12, 3, 1, 1]),
      floats("b", [12, 2, 2, 2]),
      floats("bb", [6]),
      floats("c", [6, 1, 3, 3]),
      floats("d", [4, 6, 1, 1]),
    ],
    inputs: [info("x", ["batch", 3, 5, 5])],
    outputs: [info("out", ["batch", 4, 12, 12])],
  }));

test("weights that are standardised before they are used (NFNet)", () =>
  holds({
    nodes: [
      onnxNode("Conv", ["x", "stem"], ["y"]),
      onnxNode("Reshape", ["w", "rows"], ["wr"]),
      onnxNode("BatchNormalization", ["wr", "gain", "zero", "zero", "one"], ["wn", "mean", "variance"], { training_mode: int(1) }),
      onnxNode("Reshape", ["wn", "back"], ["wb"]),
      onnxNode("Conv", ["y", "wb"], ["z"], { pads: ints(1, 1, 1, 1) }),
      onnxNode("Conv", ["z", "head"], ["out"]),
    ],
    tensors: [
      floats("stem", [6, 3, 1, 1]),
      floats("w", [5, 6, 3, 3]),
      floats("gain", [5], positive),
      floats("zero", [5]),
      floats("one", [5], positive),
      floats("head", [4, 5, 1, 1]),
      wholes("rows", [1, 5, -1]),
      wholes("back", [5, 6, 3, 3]),
    ],
    inputs: [info("x", ["batch", 3, 5, 5])],
    outputs: [info("out", ["batch", 4, 5, 5])],
  }));

/** Values of one batch size and of another take different branches. */
const branching = (then: OnnxNode[], otherwise: OnnxNode[], tensors: readonly OnnxTensor[] = []): Case => ({
  nodes: [
    onnxNode("MatMul", ["x", "w"], ["y"]),
    onnxNode("Shape", ["x"], ["s"]),
    onnxNode("Gather", ["s", "first"], ["n"], { axis: int(0) }),
    onnxNode("Equal", ["n", "one"], ["isOne"]),
    onnxNode("If", ["isOne"], ["z"], {
      then_branch: graphOf({
        nodes: then,
        outputs: [info("c", null)],
        initializers: new Map(tensors.map((tensor) => [tensor.name, tensor])),
      }),
      else_branch: graphOf({ nodes: otherwise, outputs: [info("c", null)] }),
    }),
    onnxNode("MatMul", ["z", "o"], ["out"]),
  ],
  tensors: [
    floats("w", [4, 6]),
    floats("o", [6, 3]),
    floats("u", [6, 6]),
    floats("gain", [6]),
    wholes("first", [0], []),
    wholes("one", [1], []),
  ],
  inputs: [info("x", ["batch", 4])],
  outputs: [info("out", ["batch", 3])],
  given: [1, 3].map((batch) => new Map([["x", numbers([batch, 4])]])),
});

test("branches of which each computes something else: the laws of both hold", () =>
  holds(
    branching(
      [onnxNode("MatMul", ["y", "u"], ["a"]), onnxNode("Relu", ["a"], ["c"])],
      [onnxNode("Mul", ["y", "gain"], ["a"]), onnxNode("Tanh", ["a"], ["c"])],
    ),
  ));

test("numbers that stand in a branch cannot be rewritten", () =>
  holds({
    ...branching(
      [onnxNode("Mul", ["y", "inside"], ["c"])],
      [onnxNode("MatMul", ["y", "u"], ["a"]), onnxNode("Mul", ["a", "gain"], ["c"])],
      [floats("inside", [6])],
    ),
    // What meets them stays, all but the outputs' side.
    open: 24 + 36 + 6,
  }));

/** `FunctionProto` of the domain `custom`: its nodes as operator, domain, inputs, output, and a reference to the attribute `slope`. */
function functionOf(name: string, inputs: string[], output: string, nodes: readonly [string, string, string[], string, boolean?][]): Rope {
  const body = new Rope().bytes(1, name);
  for (const each of inputs) body.bytes(4, each);
  body.bytes(5, output).bytes(6, "slope");
  for (const [operator, domain, from, to, refers] of nodes) {
    const node = new Rope();
    for (const each of from) node.bytes(1, each);
    node.bytes(2, to).bytes(4, operator).bytes(7, domain);
    if (refers) node.bytes(5, new Rope().bytes(1, "alpha").varint(20, 1).bytes(21, "slope"));
    body.bytes(7, node);
  }
  return body.bytes(9, new Rope().bytes(1, "").varint(2, 17)).bytes(9, new Rope().bytes(1, "custom").varint(2, 1)).bytes(10, "custom");
}

test("functions that call functions, twice in one graph", () =>
  holds({
    functions: [
      functionOf("Layer", ["a", "w"], "c", [
        ["MatMul", "", ["a", "w"], "b"],
        ["Relu", "", ["b"], "c"],
      ]),
      functionOf("Block", ["x", "u", "v"], "y", [
        ["Layer", "custom", ["x", "u"], "a"],
        ["LeakyRelu", "", ["a"], "b", true],
        ["Layer", "custom", ["b", "v"], "y"],
      ]),
    ],
    nodes: [
      { ...onnxNode("Block", ["x", "a", "b"], ["y"], { slope: { kind: "float", value: 0.3 } }), domain: "custom" },
      { ...onnxNode("Block", ["y", "c", "d"], ["z"], { slope: { kind: "float", value: 0.1 } }), domain: "custom" },
      onnxNode("MatMul", ["z", "o"], ["out"]),
    ],
    tensors: [floats("a", [4, 6]), floats("b", [6, 5]), floats("c", [5, 7]), floats("d", [7, 6]), floats("o", [6, 3])],
    inputs: [info("x", ["batch", 4])],
    outputs: [info("out", ["batch", 3])],
  }));

test("what a loop takes from around it is not folded away", async () => {
  const body = graphOf({
    nodes: [onnxNode("Add", ["sum", "normal"], ["more"]), onnxNode("Identity", ["go"], ["on"])],
    inputs: [info("i", [], "int64"), info("go", [], "bool"), info("sum", ["batch", 6])],
    outputs: [info("on", [], "bool"), info("more", ["batch", 6])],
  });
  await holds({
    nodes: [
      onnxNode("MatMul", ["x", "w"], ["y"]),
      onnxNode("LayerNormalization", ["y", "gain", "offset"], ["normal"]),
      onnxNode("MatMul", ["normal", "u"], ["start"]),
      onnxNode("Loop", ["times", "", "start"], ["z"], { body }),
      onnxNode("MatMul", ["z", "o"], ["out"]),
    ],
    tensors: [
      floats("w", [4, 6]),
      floats("gain", [6], positive),
      floats("offset", [6]),
      floats("u", [6, 6]),
      floats("o", [6, 3]),
      wholes("times", [2], []),
    ],
    inputs: [info("x", ["batch", 4])],
    outputs: [info("out", ["batch", 3])],
    open: 4 * 6 + 6 + 6 + 36 + 18,
  });
});

test("integers of a scale that is found on the way (dynamic quantisation)", () =>
  holds({
    nodes: [
      onnxNode("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
      onnxNode("MatMulInteger", ["q", "w", "z", "wz"], ["y"]),
      onnxNode("Cast", ["y"], ["yf"], { to: int(1) }),
      onnxNode("Mul", ["s", "ws"], ["both"]),
      onnxNode("Mul", ["yf", "both"], ["ys"]),
      onnxNode("Add", ["ys", "b"], ["h"]),
      onnxNode("Relu", ["h"], ["r"]),
      onnxNode("MatMul", ["r", "o"], ["out"]),
    ],
    tensors: [bytes("w", [8, 6]), bytes("wz", [6]), floats("ws", [6], () => positive() / 99), floats("b", [6]), floats("o", [6, 4])],
    inputs: [info("x", ["batch", 8])],
    outputs: [info("out", ["batch", 4])],
  }));

test("convolutions and products of integers with stored scales (QOperator)", () =>
  holds({
    nodes: [
      onnxNode("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
      onnxNode("QLinearConv", ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz", "wb"], ["y"], { pads: ints(1, 1, 1, 1) }),
      fused("QLinearAdd", ["y", "ys", "yz", "y", "ys", "yz", "as", "yz"], ["sum"]),
      fused("QLinearGlobalAveragePool", ["sum", "as", "yz", "ps", "yz"], ["pool"], { channels_last: int(0) }),
      onnxNode("Flatten", ["pool"], ["flat"]),
      onnxNode("QLinearMatMul", ["flat", "ps", "yz", "m", "ms", "mz", "zs", "zz"], ["z"]),
      onnxNode("DequantizeLinear", ["z", "zs", "zz"], ["zf"]),
      onnxNode("MatMul", ["zf", "o"], ["out"]),
    ],
    tensors: [
      ...Object.entries({ xs: 0.05, ys: 0.1, as: 0.2, ps: 0.1, zs: 0.02 }).map(([name, value]) => floats(name, [], () => value)),
      ...["xz", "yz", "zz"].map((name) => byte(name, 128, "uint8")),
      bytes("w", [6, 3, 3, 3]),
      floats("ws", [6], () => positive() / 99),
      tensorOf("wz", "int8", [6], new Uint8Array(6)),
      tensorOf("wb", "int32", [6], new Uint8Array(Int32Array.from({ length: 6 }, () => Math.round(dice.gaussian() * 300)).buffer)),
      bytes("m", [6, 5]),
      floats("ms", [], () => 0.02),
      byte("mz", 0, "int8"),
      floats("o", [5, 4]),
    ],
    inputs: [info("x", ["batch", 3, 5, 5])],
    outputs: [info("out", ["batch", 4])],
  }));

test("few bits and a scale for each block of a row", () =>
  holds({
    nodes: [
      onnxNode("MatMul", ["x", "w"], ["y"]),
      fused("MatMulNBits", ["y", "q", "qs"], ["z"], { K: int(64), N: int(6), bits: int(4), block_size: int(16) }),
      onnxNode("Relu", ["z"], ["r"]),
      onnxNode("MatMul", ["r", "o"], ["out"]),
    ],
    tensors: [floats("w", [8, 64]), bytes("q", [6, 4, 8], "uint8"), floats("qs", [24], () => positive() / 9), floats("o", [6, 4])],
    inputs: [info("x", ["batch", 8])],
    outputs: [info("out", ["batch", 4])],
  }));

test("blocks of a row of which the last is not full", () =>
  holds({
    nodes: [
      onnxNode("MatMul", ["x", "w"], ["y"]),
      fused("MatMulNBits", ["y", "q", "qs"], ["z"], { K: int(24), N: int(6), bits: int(4), block_size: int(16) }),
      onnxNode("Relu", ["z"], ["r"]),
      onnxNode("MatMul", ["r", "o"], ["out"]),
    ],
    tensors: [floats("w", [8, 24]), bytes("q", [6, 2, 8], "uint8"), floats("qs", [12], () => positive() / 9), floats("o", [6, 4])],
    inputs: [info("x", ["batch", 8])],
    outputs: [info("out", ["batch", 4])],
    open: 8 * 24,
  }));

test("products and convolutions with what follows them in one node", () =>
  holds({
    nodes: [
      fused("FusedConv", ["x", "w", "b"], ["y"], { activation: text("Relu") }),
      fused("FusedConv", ["y", "v", "b", "y"], ["z"], { activation: text("Relu"), pads: ints(1, 1, 1, 1) }),
      onnxNode("GlobalAveragePool", ["z"], ["pool"]),
      onnxNode("Flatten", ["pool"], ["flat"]),
      fused("FusedGemm", ["flat", "g", "gb"], ["h"], { activation: text("Tanh"), transB: int(1) }),
      fused("FusedMatMul", ["h", "o"], ["out"], { transB: int(1), alpha: { kind: "float", value: 0.5 } }),
    ],
    tensors: [
      floats("w", [6, 3, 1, 1]),
      floats("b", [6]),
      floats("v", [6, 6, 3, 3]),
      floats("g", [5, 6]),
      floats("gb", [5]),
      floats("o", [4, 5]),
    ],
    inputs: [info("x", ["batch", 3, 5, 5])],
    outputs: [info("out", ["batch", 4])],
  }));

test("a BERT whose embeddings, attention and residuals are one node each", () =>
  holds({
    nodes: [
      fused("EmbedLayerNormalization", ["ids", "segment", "words", "places", "segments", "gain", "offset", "mask"], ["e", "m"]),
      fused("Attention", ["e", "w", "b", "m"], ["a"], { num_heads: int(2) }),
      fused("SkipLayerNormalization", ["a", "e", "gain2", "offset2"], ["s"]),
      onnxNode("MatMul", ["s", "o"], ["out"]),
    ],
    tensors: [
      floats("words", [20, 8]),
      floats("places", [16, 8]),
      floats("segments", [2, 8]),
      ...["gain", "gain2"].map((name) => floats(name, [8], positive)),
      ...["offset", "offset2"].map((name) => floats(name, [8])),
      floats("w", [8, 24]),
      floats("b", [24]),
      floats("o", [8, 4]),
    ],
    inputs: [
      info("ids", ["batch", "tokens"], "int32"),
      info("segment", ["batch", "tokens"], "int32"),
      info("mask", ["batch", "tokens"], "int32"),
    ],
    outputs: [info("out", ["batch", "tokens", 4])],
  }));

test("attention as one operator of ONNX's own, with fewer heads of keys than of queries", () =>
  holds({
    opset: 23,
    nodes: [
      ...["q", "k", "v"].map((name) => onnxNode("MatMul", ["x", `w${name}`], [name])),
      onnxNode("Attention", ["q", "k", "v"], ["a"], { q_num_heads: int(4), kv_num_heads: int(2) }),
      onnxNode("MatMul", ["a", "o"], ["out"]),
    ],
    tensors: [floats("wq", [8, 12]), floats("wk", [8, 6]), floats("wv", [8, 6]), floats("o", [12, 5])],
    inputs: [info("x", ["batch", "tokens", 8])],
    outputs: [info("out", ["batch", "tokens", 5])],
  }));

test("ids and mask whose dimensions have names of their own", () =>
  holds({
    nodes: [
      onnxNode("Gather", ["table", "ids"], ["e"]),
      onnxNode("Cast", ["mask"], ["m"], { to: int(1) }),
      onnxNode("Unsqueeze", ["m", "last"], ["mu"]),
      onnxNode("Mul", ["e", "mu"], ["masked"]),
      onnxNode("MatMul", ["masked", "w"], ["out"]),
    ],
    tensors: [floats("table", [20, 6]), floats("w", [6, 4]), wholes("last", [-1])],
    inputs: [info("ids", ["s10", "s21"], "int64"), info("mask", ["s86", "s12"], "int64")],
    outputs: [info("out", ["s10", "s21", 4])],
  }));

test("sounds: a kernel longer than a sentence", () =>
  holds({
    nodes: [
      onnxNode("Unsqueeze", ["x", "one"], ["u"]),
      onnxNode("Conv", ["u", "w"], ["y"], { strides: ints(20) }),
      onnxNode("Relu", ["y"], ["r"]),
      onnxNode("Conv", ["r", "v"], ["out"]),
    ],
    tensors: [floats("w", [6, 1, 100]), floats("v", [4, 6, 1]), wholes("one", [1])],
    inputs: [info("x", ["batch", "samples"])],
    outputs: [info("out", ["batch", 4, "frames"])],
  }));

test("sizes of a picture that a converter keeps in half precision", () =>
  holds({
    nodes: [
      onnxNode("Conv", ["x", "w"], ["y"]),
      onnxNode("Cast", ["half"], ["scales"], { to: int(1) }),
      onnxNode("Resize", ["y", "", "scales"], ["z"], { mode: text("nearest") }),
      onnxNode("Conv", ["z", "v"], ["out"]),
    ],
    tensors: [
      floats("w", [6, 3, 1, 1]),
      floats("v", [4, 6, 1, 1]),
      tensorOf("half", "float16", [4], new Uint8Array(Uint16Array.of(0x3c00, 0x3c00, 0x4000, 0x4000).buffer)),
    ],
    inputs: [info("x", ["batch", 3, 4, 4])],
    outputs: [info("out", ["batch", 4, 8, 8])],
  }));
