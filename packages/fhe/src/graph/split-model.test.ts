/** Models in two files. Their numbers are compared in `read-heads.test.ts`, at every cut. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Dice, GraphBuilder } from "@unseen/core/blueprint/trace/graph-builder.fixture.ts";
import { GraphRuntime } from "@unseen/core/blueprint/trace/graph-runtime.fixture.ts";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { checkCuts } from "./model-run.fixture.ts";
import { readHeads } from "./read-heads.ts";
import { splitModel } from "./split-model.ts";

const XRAY = fileURLToPath(new URL("../../../unseen/models/xray-cnn/model.onnx", import.meta.url));

let runtime: GraphRuntime;
before(async () => {
  runtime = await GraphRuntime.open();
});
after(() => runtime.close());

test("each part has its own weights alone, and the batch stays open", () => {
  const model = decodeOnnx(readFileSync(XRAY));
  const { head, tail } = splitModel(model, 2);
  const [first, second] = [decodeOnnx(head), decodeOnnx(tail)];
  assert.deepEqual([...first.graph.initializers.keys()], ["conv1.weight", "conv1.bias"]);
  assert.deepEqual(
    [...second.graph.initializers.keys()],
    [...model.graph.initializers.keys()].filter((name) => !name.startsWith("conv1")),
  );
  const cut = { name: "square1_out", type: "float32", shape: ["batch", 16, 14, 14] };
  assert.deepEqual([first.graph.inputs, first.graph.outputs], [model.graph.inputs, [cut]]);
  assert.deepEqual([second.graph.inputs, second.graph.outputs], [[cut], model.graph.outputs]);
});

test("there is no cut beyond the last", () => {
  const model = decodeOnnx(readFileSync(XRAY));
  for (const cut of [0, 4, -1, 1.5, NaN])
    assert.throws(
      () => splitModel(model, cut),
      (error) =>
        UnseenError.isInstance(error) && error.code === "CUT_UNAVAILABLE" && /expected a cut from 1 to 3, got .*; Relu/.test(error.message),
    );
});

test("a model that ciphertext can do to its end has a last cut with an empty tail", async () => {
  const builder = new GraphBuilder(new Dice(4), 17);
  const picture = builder.input("picture", ["batch", 2, 4, 4]);
  const squared = builder.node("Mul", [picture, picture], picture.shape);
  const flat = builder.node("Flatten", [squared], ["batch", 32]);
  builder.output(builder.node("Gemm", [flat, builder.gaussian([32, 3], 0.2)], ["batch", 3]));
  const bytes = builder.encode();
  const model = decodeOnnx(bytes);
  assert.equal(await checkCuts(runtime, model, bytes, new Dice(5)), 2);
  const { heads } = readHeads(model);
  assert.deepEqual(decodeOnnx(splitModel(model, 2).tail).graph.nodes, []);
  assert.deepEqual(heads[1]!.output, { channels: 3, height: 1, width: 1 });
});
