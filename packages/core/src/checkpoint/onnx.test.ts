/** Opening ONNX models: structure, ends, and what is refused. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { openFile } from "./open-file.ts";
import { rejectsWith, temporaryDirectory } from "./files.fixture.ts";
import { encodeOnnx, onnxNode } from "./onnx-encode.ts";
import {
  EXTERNAL_DATA,
  attributeMessage,
  bytesOf,
  everything,
  floats,
  inside,
  modelMessage,
  tensorMessage,
  throwsWith,
  valueMessage,
} from "./onnx.fixture.ts";
import { MAXIMUM_GRAPH_DEPTH } from "./onnx-reader.ts";
import { decodeOnnx, openOnnx, type OnnxAttribute } from "./onnx.ts";
import { Rope } from "./protobuf-write.ts";

test("a model with everything is read as it was written", async (context) => {
  const directory = temporaryDirectory(context);
  const [path, data] = inside(directory, "model.onnx", "model.data") as [string, string];
  writeFileSync(path, everything({ external: true }));
  writeFileSync(data, EXTERNAL_DATA);
  const model = await openOnnx(path);
  assert.deepEqual(model.files, [path, data]);
  assert.equal(model.path, path);
  assert.equal(model.irVersion, 8);
  assert.equal(model.producer, "a secret producer");
  assert.deepEqual(
    [...model.opsets],
    [
      ["", 17],
      ["com.example", 1],
    ],
  );
  assert.deepEqual([...model.metadata], [["author", "secret"]]);
  const [defined] = model.functions;
  assert.deepEqual(
    { ...defined, nodes: defined!.nodes.map(({ operator }) => operator) },
    {
      domain: "com.example",
      name: "Odd",
      inputs: ["a"],
      outputs: ["b"],
      nodes: ["Neg"],
      defaults: new Map(),
      opsets: new Map(),
    },
  );
  const { graph } = model;
  assert.equal(graph.name, "a secret graph");
  assert.deepEqual(graph.inputs, [{ name: "x", type: "float32", shape: ["n", 2] }]);
  assert.deepEqual(graph.outputs, [{ name: "y", type: "float32", shape: ["n", 2] }]);
  assert.deepEqual([...graph.values], [["chosen", { name: "chosen", type: "float32", shape: ["n", "secret"] }]]);
  const [less, choose, constant, odd] = graph.nodes;
  assert.deepEqual(less, onnxNode("Less", ["small", "small"], ["flag"]));
  assert.equal(choose!.name, "choose");
  const branch = choose!.attributes.get("then_branch") as Extract<OnnxAttribute, { kind: "graph" }>;
  assert.deepEqual(branch.value.nodes[0]!.inputs, ["x", "weight"]);
  const value = constant!.attributes.get("value") as Extract<OnnxAttribute, { kind: "tensor" }>;
  assert.deepEqual(value.value.read(), new Uint8Array(Float32Array.of(1, 2).buffer));
  assert.deepEqual(odd, {
    name: "",
    operator: "Odd",
    domain: "com.example",
    inputs: ["chosen", "", "c"],
    outputs: ["y"],
    attributes: new Map<string, unknown>([
      ["f", { kind: "float", value: 0.5 }],
      ["end", { kind: "int", value: Number.MAX_SAFE_INTEGER }],
      ["s", { kind: "string", value: new Uint8Array(Buffer.from("text")) }],
      ["floats", { kind: "floats", value: [1, -2] }],
      ["ints", { kind: "ints", value: [1, -1, 300, 5] }],
      ["strings", { kind: "strings", value: [new Uint8Array(Buffer.from("a")), new Uint8Array(0)] }],
      ["tensors", { kind: "other" }],
    ]),
  });
  const far = graph.initializers.get("far")!;
  assert.deepEqual(far.location, { file: data, offset: 16 });
  assert.deepEqual(far.read(), EXTERNAL_DATA.slice(16, 32));
  assert.deepEqual(graph.initializers.get("farther")!.read(), EXTERNAL_DATA.slice(4, 7));
  const weight = graph.initializers.get("weight")!;
  const place = new Uint8Array(weight.bytes);
  const file = openFile(weight.location!.file);
  file.read(weight.location!.offset, place);
  file.close();
  assert.deepEqual(place, new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
  assert.deepEqual(weight.read(), place);
  assert.equal(Buffer.from(graph.initializers.get("texts")!.read()).toString(), "abcde");
});

const node = (...fields: ((rope: Rope) => Rope)[]): Rope => fields.reduce((rope, field) => field(rope), new Rope().bytes(4, "Relu"));
const nested = (depth: number): Rope =>
  new Rope().bytes(
    1,
    node((rope) =>
      rope.bytes(
        5,
        attributeMessage("g", 5, (attribute) => attribute.bytes(6, depth === 0 ? new Rope() : nested(depth - 1))),
      ),
    ),
  );

for (const { what, bytes, code, pattern } of [
  { what: "nothing", bytes: new Rope(), pattern: /IR version/ },
  { what: "an old IR version", bytes: modelMessage(new Rope(), { irVersion: 2 }), pattern: /IR version 3/ },
  { what: "a later IR version", bytes: modelMessage(new Rope(), { irVersion: 14 }), pattern: /got 14/ },
  { what: "an old operator set", bytes: modelMessage(new Rope(), { opset: 6 }), pattern: /got 6/ },
  { what: "a later operator set", bytes: modelMessage(new Rope(), { opset: 24 }), pattern: /got 24/ },
  { what: "no operator set", bytes: new Rope().varint(1, 8).bytes(7, ""), pattern: /operator set/ },
  { what: "no graph", bytes: new Rope().varint(1, 8), pattern: /graph/ },
  { what: "two graphs", bytes: modelMessage(new Rope()).bytes(7, ""), pattern: /twice/ },
  {
    what: "an operator set twice",
    bytes: modelMessage(new Rope()).bytes(8, new Rope().bytes(1, "ai.onnx").varint(2, 17)),
    code: "CHECKPOINT_DUPLICATE",
  },
  {
    what: "a metadata key twice",
    bytes: modelMessage(new Rope()).bytes(14, new Rope().bytes(1, "a")).bytes(14, new Rope().bytes(1, "a")),
    code: "CHECKPOINT_DUPLICATE",
  },
  {
    what: "a graph that is a number",
    bytes: new Rope().varint(1, 8).varint(7, 8).bytes(8, new Rope().varint(2, 17)),
    pattern: /wire type 2, got 0/,
  },
  {
    what: "an initializer twice",
    bytes: modelMessage(
      new Rope()
        .bytes(
          5,
          tensorMessage("t", [0], 1, (rope) => rope),
        )
        .bytes(
          5,
          tensorMessage("t", [0], 1, (rope) => rope),
        ),
    ),
    code: "CHECKPOINT_DUPLICATE",
  },
  { what: "sparse weights", bytes: modelMessage(new Rope().bytes(15, "")), code: "CHECKPOINT_DTYPE_UNSUPPORTED" },
  { what: "a node without an operator", bytes: modelMessage(new Rope().bytes(1, "")), pattern: /operator/ },
  {
    what: "a name with a line break",
    bytes: modelMessage(
      new Rope().bytes(
        1,
        node((rope) => rope.bytes(1, "a\nb")),
      ),
    ),
    pattern: /printable/,
  },
  {
    what: "a name that is not UTF-8",
    bytes: modelMessage(
      new Rope().bytes(
        1,
        node((rope) => rope.bytes(1, Uint8Array.of(0xff))),
      ),
    ),
    pattern: /UTF-8/,
  },
  {
    what: "a name of 5000 bytes",
    bytes: modelMessage(
      new Rope().bytes(
        1,
        node((rope) => rope.bytes(1, "a".repeat(5000))),
      ),
    ),
    code: "CHECKPOINT_TOO_LARGE",
  },
  {
    what: "an attribute twice",
    bytes: modelMessage(
      new Rope().bytes(
        1,
        node((rope) =>
          rope
            .bytes(
              5,
              attributeMessage("a", 2, (a) => a),
            )
            .bytes(
              5,
              attributeMessage("a", 2, (a) => a),
            ),
        ),
      ),
    ),
    code: "CHECKPOINT_DUPLICATE",
  },
  {
    what: "an attribute with a value of another type",
    bytes: modelMessage(
      new Rope().bytes(
        1,
        node((rope) =>
          rope.bytes(
            5,
            attributeMessage("a", 1, (a) => a.varint(3, 1)),
          ),
        ),
      ),
    ),
    pattern: /type 1 and values of types \[2\]/,
  },
  {
    what: "an attribute of an unknown type",
    bytes: modelMessage(
      new Rope().bytes(
        1,
        node((rope) =>
          rope.bytes(
            5,
            attributeMessage("a", 15, (a) => a),
          ),
        ),
      ),
    ),
    pattern: /type 15/,
  },
  {
    what: "an attribute without its graph",
    bytes: modelMessage(
      new Rope().bytes(
        1,
        node((rope) =>
          rope.bytes(
            5,
            attributeMessage("a", 5, (a) => a),
          ),
        ),
      ),
    ),
    pattern: /no value/,
  },
  { what: "a value without a name", bytes: modelMessage(new Rope().bytes(11, "")), pattern: /no name/ },
  {
    what: "a dimension that is a size and a name",
    bytes: modelMessage(
      new Rope().bytes(
        11,
        new Rope()
          .bytes(1, "x")
          .bytes(2, new Rope().bytes(1, new Rope().varint(1, 1).bytes(2, new Rope().bytes(1, new Rope().varint(1, 2).bytes(2, "n"))))),
      ),
    ),
    pattern: /both/,
  },
  {
    what: "65 dimensions",
    bytes: modelMessage(new Rope().bytes(11, valueMessage("x", Array<number>(65).fill(1)))),
    code: "CHECKPOINT_TOO_LARGE",
  },
  {
    what: "graphs too deep in graphs",
    bytes: modelMessage(nested(MAXIMUM_GRAPH_DEPTH)),
    code: "CHECKPOINT_TOO_LARGE",
    pattern: /graphs inside graphs/,
  },
  { what: "a deprecated group", bytes: new Rope().add(Uint8Array.of(0x0b, 0x0c)), pattern: /wire type 3/ },
  { what: "a number of eleven bytes", bytes: new Rope().add(Uint8Array.of(8, ...Array<number>(10).fill(0x80), 0)), pattern: /64 bits/ },
  { what: "a number of 70 bits", bytes: new Rope().add(Uint8Array.of(8, ...Array<number>(9).fill(0x80), 2)), pattern: /64 bits/ },
  { what: "field 0", bytes: new Rope().add(Uint8Array.of(0, 0)), pattern: /expected a field/ },
  {
    what: "a claim of 2 GB",
    bytes: new Rope()
      .varint(1, 8)
      .add(Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x07))
      .add(new Uint8Array(1000)),
    code: "CHECKPOINT_TRUNCATED",
  },
  {
    what: "a claim of 2^63 bytes",
    bytes: new Rope().varint(1, 8).add(Uint8Array.of(0x3a, ...Array<number>(9).fill(0xff), 1)),
    code: "CHECKPOINT_TRUNCATED",
  },
  {
    what: "a tensor that claims more than its graph",
    bytes: modelMessage(new Rope().add(Uint8Array.of(0x2a, 0x7f, 8, 1))),
    pattern: /passes the end/,
  },
] as const) {
  test(`refuses a model with ${what}`, () => {
    throwsWith(() => decodeOnnx(bytesOf(bytes)), code ?? "CHECKPOINT_MALFORMED", pattern);
  });
}

test("graphs inside graphs are read up to the limit", () => {
  assert.equal(decodeOnnx(bytesOf(modelMessage(nested(MAXIMUM_GRAPH_DEPTH - 1)))).graph.nodes.length, 1);
});

test("unknown sizes, unknown types and missing shapes are told apart", () => {
  const value = (name: string, type: Rope): Rope => new Rope().bytes(1, name).bytes(2, type);
  const tensor = (fields: Rope): Rope => new Rope().bytes(1, fields);
  const graph = new Rope()
    .bytes(
      11,
      value(
        "minus",
        tensor(
          new Rope().varint(1, 7).bytes(2, new Rope().bytes(1, new Rope().varint(1, -1)).bytes(1, "").bytes(1, new Rope().varint(1, 0))),
        ),
      ),
    )
    .bytes(11, value("shapeless", tensor(new Rope().varint(1, 1))))
    .bytes(11, value("scalar", tensor(new Rope().varint(1, 1).bytes(2, ""))))
    .bytes(11, value("sequence", new Rope().bytes(4, "")))
    .bytes(11, new Rope().bytes(1, "untyped"));
  assert.deepEqual(decodeOnnx(bytesOf(modelMessage(graph))).graph.inputs, [
    { name: "minus", type: "int64", shape: [null, null, 0] },
    { name: "shapeless", type: "float32", shape: null },
    { name: "scalar", type: "float32", shape: [] },
    { name: "sequence", type: null, shape: null },
    { name: "untyped", type: null, shape: null },
  ]);
});

test("an attribute without a type has that of its value; one with a type may leave out a zero", () => {
  const old = node((rope) =>
    rope.bytes(5, new Rope().bytes(1, "axis").varint(3, -1)).bytes(
      5,
      attributeMessage("zero", 2, (a) => a),
    ),
  );
  const [read] = decodeOnnx(bytesOf(modelMessage(new Rope().bytes(1, old)))).graph.nodes;
  assert.deepEqual(
    [...read!.attributes],
    [
      ["axis", { kind: "int", value: -1 }],
      ["zero", { kind: "int", value: 0 }],
    ],
  );
});

test("files that are not there, no files, or no models", async (context) => {
  const directory = temporaryDirectory(context);
  await rejectsWith(() => openOnnx(join(directory, "model.onnx")), "CHECKPOINT_NOT_FOUND");
  await rejectsWith(() => openOnnx(join(directory, "no", "model.onnx")), "CHECKPOINT_NOT_FOUND");
  await rejectsWith(() => openOnnx(directory), "CHECKPOINT_NOT_FOUND");
  const path = join(directory, "model.onnx");
  writeFileSync(path, "version https://git-lfs.github.com/spec/v1\n");
  await assert.rejects(openOnnx(path), ({ hint }: { hint: string }) => hint.includes("git lfs pull"));
  await rejectsWith(() => openOnnx(path), "CHECKPOINT_MALFORMED");
});

test("a file that changes its size after it was opened is refused", async (context) => {
  const path = join(temporaryDirectory(context), "model.onnx");
  writeFileSync(path, encodeOnnx({ nodes: [], inputs: [], outputs: [], initializers: new Map([["w", floats("w", [2], [1, 2])]]) }));
  const tensor = (await openOnnx(path)).graph.initializers.get("w")!;
  assert.deepEqual(tensor.read(), new Uint8Array(Float32Array.of(1, 2).buffer));
  writeFileSync(path, "short");
  throwsWith(() => tensor.read(), "CHECKPOINT_TRUNCATED", /changed/);
});

test("a real file of IR 3 and opset 8 lists its weights as inputs", needs("data/vision/mnist-cnn.onnx"), async () => {
  const model = await openOnnx(sharedPath("data/vision/mnist-cnn.onnx")!);
  assert.deepEqual([model.irVersion, model.opsets.get("")], [3, 8]);
  assert.deepEqual(model.graph.inputs, [{ name: "Input3", type: "float32", shape: [1, 1, 28, 28] }]);
  assert.equal(model.graph.initializers.size, 8);
  assert.ok(new Float32Array(model.graph.initializers.get("Parameter5")!.read().buffer as ArrayBuffer).every(Number.isFinite));
});
