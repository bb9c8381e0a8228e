/** Parts of models and models from scratch. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { temporaryDirectory } from "./files.fixture.ts";
import { encodeOnnx, onnxNode } from "./onnx-encode.ts";
import { extractOnnx } from "./onnx-extract.ts";
import { EXTERNAL_DATA, contentOf, everything, floats, integers, throwsWith } from "./onnx.fixture.ts";
import { checkGraph } from "./onnx-graph.ts";
import { decodeOnnx, openOnnx, type OnnxGraph, type OnnxValueInfo } from "./onnx.ts";

const info = (name: string): OnnxValueInfo => ({ name, type: "float32", shape: ["n", 2] });

test("a model from scratch is read as it was built, whatever its parts", () => {
  const inner = {
    name: "inner",
    nodes: [onnxNode("Neg", ["x"], ["negated"])],
    initializers: new Map(),
    inputs: [],
    outputs: [info("negated")],
    values: new Map(),
  };
  const nodes = [
    onnxNode("Reshape", ["x", "shape"], ["a"], { allowzero: { kind: "int", value: 0 } }, { name: "first" }),
    onnxNode("If", ["flag"], ["b"], { then_branch: { kind: "graph", value: inner }, else_branch: { kind: "graph", value: inner } }),
    onnxNode(
      "Any",
      ["a", "", "b"],
      ["y", ""],
      {
        f: { kind: "float", value: 0.25 },
        s: { kind: "string", value: new Uint8Array(Buffer.from("text")) },
        t: { kind: "tensor", value: floats("", [1, 2], [3, 4]) },
        fs: { kind: "floats", value: [1, -1] },
        is: { kind: "ints", value: [Number.MAX_SAFE_INTEGER, -1, 0] },
        ss: { kind: "strings", value: [new Uint8Array(0)] },
      },
      { domain: "com.example" },
    ),
  ];
  const parts = {
    name: "scratch",
    nodes,
    initializers: new Map([
      ["shape", integers("shape", [-1, 2])],
      ["renamed", floats("other", [], [1])],
    ]),
    inputs: [
      info("x"),
      { name: "flag", type: "bool", shape: [] },
      { name: "any", type: null, shape: null },
      { name: "unknown", type: "int8", shape: [null] },
    ],
    outputs: [info("y")],
    values: new Map([["a", info("a")]]),
    irVersion: 9,
    opsets: new Map([
      ["", 18],
      ["com.example", 1],
    ]),
    producer: "test",
    metadata: new Map([["key", "value"]]),
  } as const;
  const model = decodeOnnx(encodeOnnx(parts));
  checkGraph(model.graph);
  assert.deepEqual(
    contentOf(model.graph),
    contentOf({
      ...parts,
      initializers: new Map([
        ["shape", parts.initializers.get("shape")!],
        ["renamed", floats("renamed", [], [1])],
      ]),
    }),
  );
  assert.deepEqual([...model.graph.values], [...parts.values]);
  assert.deepEqual([model.irVersion, model.producer, model.graph.name], [9, "test", "scratch"]);
  assert.deepEqual([[...model.opsets], [...model.metadata]], [[...parts.opsets], [...parts.metadata]]);
  assert.deepEqual([...decodeOnnx(encodeOnnx({ nodes: [], inputs: [], outputs: [] })).opsets], [["", 17]]);
});

test("what a reader would refuse is not written", () => {
  const ends = { inputs: [], outputs: [] };
  throwsWith(() => encodeOnnx({ ...ends, nodes: [onnxNode("", [], [])] }), "CHECKPOINT_MALFORMED");
  throwsWith(
    () => encodeOnnx({ ...ends, nodes: [onnxNode("A", [], [], { a: { kind: "other" } })] }),
    "CHECKPOINT_MALFORMED",
    /cannot be written/,
  );
  throwsWith(
    () => encodeOnnx({ ...ends, nodes: [onnxNode("A", [], [], { a: { kind: "int", value: 0.5 } })] }),
    "CHECKPOINT_MALFORMED",
    /got 0.5/,
  );
  throwsWith(() => encodeOnnx({ ...ends, nodes: [], inputs: [{ name: "", type: null, shape: null }] }), "CHECKPOINT_MALFORMED");
  throwsWith(() => encodeOnnx({ ...ends, nodes: [], inputs: [{ name: "x", type: "other", shape: null }] }), "CHECKPOINT_DTYPE_UNSUPPORTED");
});

test("a part has the nodes and weights between its ends, inner graphs included", async (context) => {
  const directory = temporaryDirectory(context);
  writeFileSync(join(directory, "model.onnx"), everything({ external: true }));
  writeFileSync(join(directory, "model.data"), EXTERNAL_DATA);
  const model = await openOnnx(join(directory, "model.onnx"));
  const part = (inputs: string[], outputs: string[]): string[][] => {
    const { graph, opsets } = decodeOnnx(extractOnnx(model, { inputs: inputs.map(info), outputs: outputs.map(info) }));
    checkGraph(graph);
    assert.deepEqual([...opsets], [...model.opsets]);
    assert.deepEqual(graph.inputs, inputs.map(info));
    assert.deepEqual(graph.outputs, outputs.map(info));
    return [graph.nodes.map(({ operator }) => operator), [...graph.initializers.keys()]];
  };
  assert.deepEqual(part(["x"], ["chosen"]), [
    ["Less", "If"],
    ["weight", "small"],
  ]);
  assert.deepEqual(part(["x", "flag", "weight"], ["chosen"]), [["If"], []]);
  assert.deepEqual(part(["chosen"], ["y"]), [["Constant", "Odd"], []]);
  assert.deepEqual(part([], ["far"]), [[], ["far"]]);
  const whole = decodeOnnx(extractOnnx(model, { inputs: model.graph.inputs, outputs: [...model.graph.outputs, info("far")] }));
  assert.deepEqual(whole.functions, model.functions);
  const nodesOf = ({ nodes }: OnnxGraph): unknown => contentOf({ ...whole.graph, nodes });
  assert.deepEqual(nodesOf(whole.graph), nodesOf(model.graph));
  assert.deepEqual(whole.graph.initializers.get("far")!.read(), EXTERNAL_DATA.slice(16, 32));
  throwsWith(() => part([], ["chosen"]), "CHECKPOINT_MALFORMED", /node "choose" needs "x", which is not given/);
  throwsWith(() => part([], ["absent"]), "CHECKPOINT_MALFORMED", /outputs need "absent"/);
  throwsWith(() => part(["x", "c"], ["c", "absent"]), "CHECKPOINT_MALFORMED", /"absent"/);
});

test("a part may not make its own input", () => {
  const model = decodeOnnx(encodeOnnx({ nodes: [onnxNode("Split", ["x"], ["a", "b"])], inputs: [info("x")], outputs: [info("a")] }));
  throwsWith(
    () => extractOnnx(model, { inputs: [info("x"), info("a")], outputs: [info("b")] }),
    "CHECKPOINT_MALFORMED",
    /makes "a" itself/,
  );
});

test("the stem of a real transformer: from ids to the first layer", needs("data/models/onnx-zoo/bert"), async () => {
  const model = await openOnnx(`${sharedPath("data/models/onnx-zoo/bert")}/model.onnx`);
  const gather = model.graph.nodes.find((node) => node.operator === "Gather" && node.inputs[1] === "input_ids")!;
  const stem = decodeOnnx(
    extractOnnx(model, { inputs: [model.graph.inputs[0]!], outputs: [{ name: gather.outputs[0]!, type: "float32", shape: null }] }),
  );
  assert.deepEqual(stem.graph.nodes, [gather]);
  assert.deepEqual([...stem.graph.initializers.keys()], [gather.inputs[0]]);
  const whole = decodeOnnx(extractOnnx(model, model.graph));
  assert.deepEqual(contentOf(whole.graph), contentOf(model.graph));
});
