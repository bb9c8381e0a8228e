/** Heads of models, against ONNX Runtime: what a head computes, where models may be cut, and what ends the list. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Dice, GraphBuilder, type Drawn } from "@unseen/core/blueprint/trace/graph-builder.fixture.ts";
import { GraphRuntime } from "@unseen/core/blueprint/trace/graph-runtime.fixture.ts";
import { damaged } from "@unseen/core/blueprint/trace/random-mutation.fixture.ts";
import { encodeOnnx, onnxNode } from "@unseen/core/checkpoint/onnx-encode.ts";
import { tensorOf } from "@unseen/core/checkpoint/onnx-tensor.ts";
import { decodeOnnx, type OnnxTensor, type OnnxValueInfo } from "@unseen/core/checkpoint/onnx.ts";
import { toBfloat16, toFloat16 } from "@unseen/core/checkpoint/rounding.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import type { Convolution, Head } from "../layer.ts";
import { checkCuts } from "./model-run.fixture.ts";
import { drawImageModel } from "./random-image-model.fixture.ts";
import { readHeads } from "./read-heads.ts";

const XRAY = fileURLToPath(new URL("../../../unseen/models/xray-cnn/model.onnx", import.meta.url));

let runtime: GraphRuntime;
before(async () => {
  runtime = await GraphRuntime.open();
});
after(() => runtime.close());

/** A graph of one picture (batch, 2, 4, 4), built by `build` from its input to its output. */
function read(build: (builder: GraphBuilder, picture: Drawn) => Drawn, opset = 17): { heads: Head[]; end: string } {
  const builder = new GraphBuilder(new Dice(1), opset);
  builder.output(build(builder, builder.input("picture", ["batch", 2, 4, 4])));
  return readHeads(decodeOnnx(builder.encode()));
}

const titles = ({ heads }: { heads: Head[] }): string[] => heads.map(({ layers }) => layers.map(({ title }) => title).join(", "));
const conv = (builder: GraphBuilder, value: Drawn): Drawn =>
  builder.node("Conv", [value, builder.gaussian([2, 2, 3, 3], 0.3)], value.shape, { pads: [1, 1, 1, 1] });

test("the X-ray network: three cuts, then a comparison", async () => {
  const bytes = readFileSync(XRAY);
  const model = decodeOnnx(bytes);
  const { heads, end } = readHeads(model);
  assert.equal(end, "Relu needs a comparison, which ciphertext cannot do");
  assert.deepEqual(titles({ heads }), ["Conv 3x3 1->16", "Conv 3x3 1->16, Square", "Conv 3x3 1->16, Square, Conv 3x3 16->32"]);
  assert.deepEqual(
    heads.map(({ value }) => value),
    ["conv1_out", "square1_out", "conv2_out"],
  );
  assert.deepEqual(heads[2]!.output, { channels: 32, height: 7, width: 7 });
  assert.equal(await checkCuts(runtime, model, bytes, new Dice(2)), 3);
});

test("a network of 2017: bias apart, SAME_UPPER, reshaped weights", needs("data/vision/mnist-cnn.onnx"), async () => {
  const bytes = readFileSync(sharedPath("data/vision/mnist-cnn.onnx")!);
  const model = decodeOnnx(bytes);
  const { heads, end } = readHeads(model);
  assert.deepEqual([titles({ heads }), heads[0]!.value], [["Conv 5x5 1->8"], "Plus30_Output_0"]);
  assert.match(end, /^Relu/);
  assert.equal(await checkCuts(runtime, model, bytes, new Dice(3), 255), 1);
});

test("random networks: every cut is exact, none lies inside a branch, and the layers are found", async () => {
  let cuts = 0;
  for (let seed = 0; seed < 60; seed++) {
    const { builder, inside, layers } = drawImageModel(new Dice(seed, "image"));
    const bytes = builder.encode();
    const model = decodeOnnx(bytes);
    const { heads, end } = readHeads(model);
    try {
      assert.ok((heads.at(-1)?.layers.length ?? 0) >= layers, `expected ${layers} layers; ${end}`);
      for (const { value } of heads) assert.ok(!inside.has(value), `${value} is inside a branch`);
      cuts += await checkCuts(runtime, model, bytes, new Dice(seed));
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}\n${titles({ heads }).join("\n")}\n${end}\n${builder.text()}`, {
        cause: error,
      });
    }
  }
  assert.ok(cuts > 100, `${cuts} cuts`);
});

test("what comes before the first product is left to the client", () => {
  const { heads } = read((builder, picture) => {
    const scaled = builder.node("Div", [picture, builder.scalar(2)], picture.shape);
    const centred = builder.node("Sub", [scaled, builder.stored([2, 1, 1], [0.5, 0.25])], picture.shape);
    return conv(builder, builder.node("Neg", [centred], picture.shape));
  });
  assert.deepEqual(titles({ heads }), ["Conv 3x3 2->2"]);
  assert.deepEqual(heads[0]!.normalise, { factor: Float64Array.of(-0.5, -0.5), summand: Float64Array.of(0.5, 0.25) });
});

test("factors and summands become part of the product before them, or a layer", () => {
  const numbers = [
    [2, 3],
    [1, 1],
    [0.5, 0],
    [4, 1],
  ];
  const normalised = (builder: GraphBuilder, value: Drawn): Drawn =>
    builder.node("BatchNormalization", [value, ...numbers.map((each) => builder.stored([2], each))], value.shape, {
      epsilon: { float: 0 },
    });
  const folded = read((builder, picture) => {
    const weight = builder.stored([2, 2, 1, 1], [1, 2, 3, 4]);
    return normalised(builder, builder.node("Conv", [picture, weight, builder.stored([2], [1, 2])], picture.shape));
  });
  const [layer] = folded.heads[0]!.layers as [Convolution];
  assert.deepEqual([titles(folded), layer.value], [["Conv 1x1 2->2"], folded.heads[0]!.value]);
  assert.deepEqual(
    [[...layer.weight], [...layer.bias]],
    [
      [1, 2, 9, 12],
      [1.5, 7],
    ],
  );
  const apart = read((builder, picture) => normalised(builder, builder.node("GlobalAveragePool", [picture], ["batch", 2, 1, 1])));
  assert.deepEqual(titles(apart), ["Average pool 4x4", "Average pool 4x4, Scale"]);
  const scale = apart.heads[1]!.layers[1]!;
  assert.ok(scale.kind === "scale");
  assert.deepEqual(
    [[...scale.factor], [...scale.summand]],
    [
      [1, 3],
      [0.5, 1],
    ],
  );
});

test("polynomials are collected, whatever nodes they are written with", () => {
  const polynomial = (build: (builder: GraphBuilder, value: Drawn) => Drawn): [string[], readonly number[] | undefined] => {
    const result = read((builder, picture) => build(builder, conv(builder, picture)));
    const layer = result.heads.at(-1)!.layers[1];
    return [titles(result).slice(1), layer?.kind === "polynomial" ? layer.coefficients : undefined];
  };
  const op = (builder: GraphBuilder, operator: string, left: Drawn, right: Drawn): Drawn =>
    builder.node(operator, [left, right], left.shape);
  const one = "Conv 3x3 2->2, ";
  assert.deepEqual(
    polynomial((b, x) => op(b, "Mul", op(b, "Mul", x, op(b, "Sub", x, b.scalar(1))), op(b, "Add", x, b.scalar(0.5)))),
    [[`${one}Polynomial of degree 3`], [0, -0.5, -0.5, 1]],
  );
  assert.deepEqual(
    polynomial((b, x) => op(b, "Add", op(b, "Pow", x, b.scalar(4)), op(b, "Mul", x, b.scalar(2)))),
    [[`${one}Polynomial of degree 4`], [0, 2, 0, 0, 1]],
  );
  // A square with a factor per channel is a square and a layer of factors.
  assert.deepEqual(
    polynomial((b, x) => op(b, "Mul", op(b, "Mul", x, x), b.stored([2, 1, 1], [2, 3]))),
    [
      [`${one}Square`, `${one}Square, Scale`],
      [0, 0, 1],
    ],
  );
  assert.deepEqual(
    polynomial((b, x) => op(b, "Add", op(b, "Mul", x, x), op(b, "Mul", x, b.stored([2, 1, 1], [2, 3])))),
    [[], undefined],
  );
});

test("what ends the list is said in words", () => {
  const ends = (build: (builder: GraphBuilder, value: Drawn) => Drawn, cuts: number, words: RegExp): void => {
    const { heads, end } = read((builder, picture) => build(builder, conv(builder, picture)));
    assert.deepEqual([heads.length, words.test(end)], [cuts, true], end);
  };
  const one =
    (operator: string, ...others: Drawn[]) =>
    (builder: GraphBuilder, value: Drawn) =>
      builder.node(operator, [value, ...others], value.shape);
  ends(one("MaxPool"), 1, /^MaxPool needs a comparison, which ciphertext cannot do$/);
  ends(one("Sigmoid"), 1, /^Sigmoid is no polynomial/);
  ends(one("InstanceNormalization"), 1, /divides by an encrypted number/);
  ends(one("Resize"), 1, /^"Resize" is not among/);
  ends((builder, value) => builder.node("Custom", [value], value.shape, {}, "com.example"), 1, /^"Custom" is not among/);
  ends((builder, value) => builder.node("Add", [value, conv(builder, value)], value.shape), 1, /^Add of what leaves two different layers/);
  ends((builder, value) => builder.node("Div", [builder.scalar(1), value], value.shape), 1, /^Div by an encrypted number/);
  ends((builder, value) => builder.node("Pow", [value, builder.scalar(0.5)], value.shape), 1, /^Pow with an exponent/);
  ends((builder, value) => builder.node("Pow", [value, builder.scalar(5)], value.shape), 1, /^Pow with an exponent/);
  ends((builder, value) => builder.node("Mul", [value, builder.gaussian([4, 4], 1)], value.shape), 1, /another number at every pixel/);
  ends((builder, value) => builder.node("Sub", [value, value], value.shape), 1, /does not depend on the picture/);
  ends((builder, value) => builder.node("Mul", [value, builder.scalar(Infinity)], value.shape), 1, /not finite/);
  ends((builder, value) => builder.transpose(value, [0, 2, 3, 1]), 1, /^Transpose to shape \[1,4,4,2\]/);
  ends((_, value) => value, 1, /^the model ends there/);
  const nothing = read((builder, picture) => builder.node("Relu", [picture], picture.shape));
  assert.deepEqual([nothing.heads, nothing.end], [[], "Relu needs a comparison, which ciphertext cannot do"]);
});

test("weights of every floating-point format", () => {
  const formats: [OnnxTensor["type"], ArrayBuffer][] = [
    ["float32", Float32Array.of(0.5, -1.5).buffer],
    ["float64", Float64Array.of(0.5, -1.5).buffer],
    ["float16", Uint16Array.of(toFloat16(0.5), toFloat16(-1.5)).buffer],
    ["bfloat16", Uint16Array.of(toBfloat16(0.5), toBfloat16(-1.5)).buffer],
  ];
  for (const [type, data] of formats) {
    const weight = tensorOf("weight", type, [1, 2, 1, 1], new Uint8Array(data));
    const bytes = encodeOnnx({
      nodes: [onnxNode("Conv", ["picture", "weight"], ["y"])],
      initializers: new Map([["weight", weight]]),
      inputs: [{ name: "picture", type: "float32", shape: [1, 2, 3, 3] }],
      outputs: [{ name: "y", type: "float32", shape: [1, 1, 3, 3] }],
    });
    const [layer] = readHeads(decodeOnnx(bytes)).heads[0]!.layers as [Convolution];
    assert.deepEqual([...layer.weight], [0.5, -1.5], type);
  }
});

test("models that take no picture are refused by name of what was expected", () => {
  const refused = (inputs: readonly OnnxValueInfo[], message: RegExp): void => {
    const nodes = [onnxNode("Relu", ["x"], ["y"])];
    const model = decodeOnnx(encodeOnnx({ nodes, inputs, outputs: [{ name: "y", type: "float32", shape: null }] }));
    assert.throws(
      () => readHeads(model),
      (error) => UnseenError.isInstance(error) && error.code === "CUT_UNAVAILABLE" && message.test(error.message),
    );
  };
  const x = { name: "x", type: "float32", shape: ["batch", 3, 8, 8] } as const;
  refused([x, { ...x, name: "other" }], /expected a model with one input, a picture; got 2 inputs/);
  refused([{ ...x, type: "int64" }], /expected float32 numbers in the input "x", got int64/);
  refused([{ ...x, shape: ["batch", 128] }], /of shape \(batch, channels, height, width\), got \[batch, 128\]/);
  refused([{ ...x, shape: ["batch", 3, "high", null] }], /of fixed channels, height and width, got \[batch, 3, high, \?\]/);
  refused([{ ...x, shape: [8, 3, 8, 8] }], /for one picture or an open number of them, got \[8, 3, 8, 8\]/);
  refused([{ ...x, shape: [1, 3, 2 ** 20, 2 ** 20] }], /of 1 to \d+ values/);
  refused([{ ...x, shape: [1, 0, 8, 8] }], /of 1 to \d+ values/);
});

test("damaged graphs end in a typed error, or in heads that compute what ONNX Runtime computes", async () => {
  let exact = 0;
  for (let seed = 0; seed < 150; seed++) {
    const { builder } = drawImageModel(new Dice(seed, "image"));
    try {
      const bytes = encodeOnnx(damaged(builder.parts(), seed));
      const model = decodeOnnx(bytes);
      if (readHeads(model).heads.length > 0) exact += await checkCuts(runtime, model, bytes, new Dice(seed));
    } catch (error) {
      // What ONNX Runtime refuses has no right answer.
      if (!UnseenError.isInstance(error) && !(error as Error).message.startsWith("ONNX Runtime"))
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  assert.ok(exact > 50, `${exact} cuts`);
});

test("small files cannot ask for much work", () => {
  const started = performance.now();
  const many = read((builder, picture) => {
    // 1.8 million weights, used again and again: each use would be a copy.
    const weight = builder.stored([2, 2, 675, 675], new Float32Array(4 * 675 * 675));
    let value = picture;
    for (let i = 0; i < 60; i++)
      value = builder.node("Conv", [value, weight], value.shape, { pads: [337, 337, 337, 337], kernel_shape: [675, 675] });
    return value;
  });
  assert.match(many.end, /more than 67108864 numbers/);
  assert.ok(many.heads.length > 5 && many.heads.length < 60);
  const deep = read((builder, picture) => {
    let value = builder.scalar(2);
    for (let i = 0; i < 5000; i++) value = builder.node("Identity", [value], []);
    return builder.node("Mul", [conv(builder, picture), value], picture.shape);
  });
  assert.match(deep.end, /^Mul with a number that is not stored/);
  const wide = read((builder, picture) =>
    builder.node("Conv", [picture, builder.gaussian([2, 2, 1, 1], 1)], picture.shape, { pads: [4096, 4096, 4096, 4096] }),
  );
  assert.match(wide.end, /more than 4194304 features/);
  const absurd = read((builder, picture) =>
    builder.node("AveragePool", [picture], picture.shape, { kernel_shape: [2 ** 40, 1], pads: [2 ** 40 - 1, 0, 2 ** 40 - 1, 0] }),
  );
  assert.match(absurd.end, /exceeds the limit of 4096/);
  const layers = read((builder, picture) => {
    let value = picture;
    for (let i = 0; i < 100; i++) value = builder.node("Mul", [value, value], value.shape);
    return value;
  });
  assert.deepEqual([layers.heads.length, layers.end], [64, "more than 64 layers are not followed"]);
  // Generous: it takes a fraction of a second.
  assert.ok(performance.now() - started < 30_000);
});
