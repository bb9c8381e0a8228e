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
import { decodeOnnx, type OnnxTensor } from "@unseen/core/checkpoint/onnx.ts";
import { toBfloat16, toFloat16 } from "@unseen/core/checkpoint/rounding.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import type { Convolution, Head } from "../layer.ts";
import { checkCuts } from "./model-run.fixture.ts";
import { drawImageModel } from "./random-image-model.fixture.ts";
import { readHeads } from "./read-heads.ts";
import { runClear } from "./run-clear.ts";
import { splitModel } from "./split-model.ts";

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
