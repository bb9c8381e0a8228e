/** Changed ONNX models: what was not changed keeps its bytes, what was is where the layout says, nothing of the origin stays when stripped. */
import assert from "node:assert/strict";
import { closeSync, ftruncateSync, globSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { test, type TestContext } from "node:test";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { temporaryDirectory } from "./files.fixture.ts";
import { encodeOnnx, onnxNode } from "./onnx-encode.ts";
import {
  EXTERNAL_DATA,
  bytesOf,
  contentOf,
  edited,
  everything,
  fill,
  floats,
  modelMessage,
  namesOf,
  tensorMessage,
  throwsWith,
  unchanged,
  varints,
} from "./onnx.fixture.ts";
import { checkGraph } from "./onnx-graph.ts";
import { layoutOnnx, writeOnnx, type OnnxEdit } from "./onnx-layout.ts";
import { decodeOnnx, openOnnx, type OnnxAttribute, type OnnxGraph, type OnnxModel } from "./onnx.ts";
import { Rope } from "./protobuf-write.ts";

const NOTHING: OnnxEdit = { tensors: new Map() };

async function openEverything(context: TestContext): Promise<OnnxModel> {
  const directory = temporaryDirectory(context);
  writeFileSync(join(directory, "model.onnx"), everything({ external: true }));
  writeFileSync(join(directory, "model.data"), EXTERNAL_DATA);
  return openOnnx(join(directory, "model.onnx"));
}

/** Writes an edit of a model into a new directory and opens it. */
async function rewritten(
  context: TestContext,
  model: OnnxModel,
  edit: OnnxEdit,
  options: { externalAbove?: number } = {},
  data = (name: string): Uint8Array => model.graph.initializers.get(name)!.read(),
): Promise<OnnxModel> {
  const directory = temporaryDirectory(context);
  writeOnnx(layoutOnnx(model, edit, { fileName: "new.onnx", ...options }), directory, data);
  return openOnnx(join(directory, "new.onnx"));
}

test("with nothing to change, every real model is written byte for byte", needs("data/models/onnx-zoo"), async () => {
  const paths = ["data/models/onnx-zoo/*/model.onnx", "data/vision/**/*.onnx", "assets/*/onnx/model.onnx", "assets/*/model.onnx"].flatMap(
    (pattern) => globSync(sharedPath("")! + pattern),
  );
  assert.ok(paths.length >= 15);
  for (const path of paths) {
    const layout = layoutOnnx(await openOnnx(path), NOTHING, { fileName: "model.onnx" });
    const written = fill(layout, () => assert.fail()).get("model.onnx")!;
    assert.ok(readFileSync(path).equals(written), path);
  }
});

test(
  "every real model says the same with all its weights edited, moved out, moved in, or stripped",
  needs("data/models/onnx-zoo"),
  async (context) => {
    for (const path of [
      ...globSync(`${sharedPath("data/models/onnx-zoo")}/*/model.onnx`),
      ...globSync(`${sharedPath("data/vision")}/*.onnx`),
    ]) {
      const model = await openOnnx(path);
      const content = contentOf(model.graph);
      const data = (name: string): Uint8Array => model.graph.initializers.get(name)!.read();
      const all = { tensors: unchanged(model.graph, model.graph.initializers.keys()) };
      assert.deepEqual(contentOf(decodeOnnx(edited(model, all, data)).graph), content);
      const stripped = decodeOnnx(edited(model, { strip: true }, data));
      assert.deepEqual(contentOf(stripped.graph), content);
      assert.deepEqual([stripped.producer, stripped.metadata.size, stripped.graph.values.size, stripped.graph.name], ["", 0, 0, "graph"]);
      const outside = await rewritten(context, model, NOTHING, { externalAbove: 100 });
      assert.deepEqual(namesOf(outside.files), ["new.onnx", "new.onnx.data"]);
      assert.deepEqual(contentOf(outside.graph), content);
      const back = await rewritten(context, outside, all, { externalAbove: Infinity });
      assert.deepEqual(namesOf(back.files), ["new.onnx"]);
      assert.deepEqual(contentOf(back.graph), content);
    }
  },
);

test("with nothing to change, external files are copied as they are", async (context) => {
  const model = await openEverything(context);
  const files = fill(layoutOnnx(model, NOTHING, { fileName: "other.onnx" }), () => assert.fail());
  assert.deepEqual(
    [...files],
    [
      ["other.onnx", everything({ external: true })],
      ["model.data", EXTERNAL_DATA],
    ],
  );
  assert.throws(() => layoutOnnx(model, NOTHING, { fileName: "model.data" }), /external data/);
});

test("an edited tensor keeps its unknown fields, name and place among the others", async (context) => {
  const model = await openEverything(context);
  const directory = temporaryDirectory(context);
  const layout = layoutOnnx(model, { tensors: new Map([["half", { type: "float32", shape: [1, 2] }]]) }, { fileName: "new.onnx" });
  assert.deepEqual([...layout.locations.keys()], ["half"]);
  writeOnnx(layout, directory, () => new Uint8Array(Float32Array.of(5, 6).buffer));
  const written = await openOnnx(join(directory, "new.onnx"));
  const half = written.graph.initializers.get("half")!;
  assert.deepEqual(
    [half.type, half.shape, new Float32Array(half.read().buffer as ArrayBuffer)],
    ["float32", [1, 2], Float32Array.of(5, 6)],
  );
  assert.deepEqual(half.location, { file: written.path, offset: layout.locations.get("half")!.offset });
  assert.deepEqual([...written.graph.initializers.keys()], [...model.graph.initializers.keys()]);
  const rest = (graph: OnnxModel["graph"]): unknown =>
    contentOf({ ...graph, initializers: new Map([...graph.initializers].filter(([name]) => name !== "half")) });
  assert.deepEqual(rest(written.graph), rest(model.graph));
  const text = readFileSync(written.path, "latin1");
  for (const kept of ["an unknown secret", "a secret remark", "secret.py", "a secret producer"]) assert.ok(text.includes(kept), kept);
  assert.ok(!text.includes("\u0000\u003c\u0000\u0000\u0000\u0080"));
});

test("external data are packed anew when something changes: no byte of the old files is left but the tensors", async (context) => {
  const model = await openEverything(context);
  const written = await rewritten(context, model, { tensors: unchanged(model.graph, ["far"]) }, {}, () => new Uint8Array(16).fill(77));
  assert.deepEqual(namesOf(written.files), ["new.onnx", "new.onnx.data"]);
  const data = readFileSync(written.files[1]!);
  // By page: far, written anew, then farther as it was.
  assert.deepEqual(written.graph.initializers.get("far")!.location, { file: written.files[1], offset: 0 });
  assert.deepEqual(written.graph.initializers.get("farther")!.location, { file: written.files[1], offset: 4096 });
  const expected = new Uint8Array(4099).fill(77, 0, 16);
  expected.set([4, 5, 6], 4096);
  assert.deepEqual(new Uint8Array(data), expected);
});

test("stripped, a model keeps what it computes and nothing else", async (context) => {
  const model = await openEverything(context);
  const tensors = unchanged(model.graph, ["half", "far"]);
  const written = await rewritten(context, model, { tensors, strip: true, metadata: new Map([["unseen.scheme", "test"]]) });
  assert.deepEqual(contentOf(written.graph), contentOf(model.graph));
  assert.deepEqual([...written.opsets], [...model.opsets]);
  assert.deepEqual(written.functions, model.functions);
  assert.deepEqual([...written.metadata], [["unseen.scheme", "test"]]);
  for (const file of written.files) assert.doesNotMatch(readFileSync(file, "latin1"), /secret/);
  checkGraph(written.graph);
});

test("anonymous, a model computes the same, with numbers for the names of all but its ends", async (context) => {
  const model = await openEverything(context);
  const tensors = unchanged(model.graph, ["half", "far"]);
  const added = new Map([...tensors, ["another", { type: "float32", shape: [2] }] as const]);
  const nodes = new Map([[3, [{ ...model.graph.nodes[3]! }]]]);
  const edit = { tensors: added, nodes, strip: true, anonymous: true, metadata: new Map() };
  const data = (name: string): Uint8Array => model.graph.initializers.get(name)?.read() ?? new Uint8Array(8);
  const written = await rewritten(context, model, edit, {}, data);
  checkGraph(written.graph);
  const ends = new Set([...model.graph.inputs, ...model.graph.outputs].map(({ name }) => name));
  const inner = (graph: OnnxGraph): string[] => [
    ...graph.initializers.keys(),
    ...[...graph.inputs, ...graph.outputs].map(({ name }) => name),
    ...graph.nodes.flatMap((node) => [
      node.name,
      ...node.inputs,
      ...node.outputs,
      ...[...node.attributes.values()].flatMap((attribute) => (attribute.kind === "graph" ? inner(attribute.value) : [])),
    ]),
  ];
  for (const name of inner(written.graph)) assert.ok(name === "" || ends.has(name) || /^v\d+$/.test(name), name);
  assert.deepEqual(written.graph.inputs, model.graph.inputs);
  assert.deepEqual(written.graph.outputs, model.graph.outputs);
  assert.equal(written.graph.initializers.size, model.graph.initializers.size + 1);
  // Each value has one new name, everywhere.
  const names = new Map<string, string>();
  for (const [i, node] of model.graph.nodes.entries()) {
    for (const list of ["inputs", "outputs"] as const) {
      for (const [j, name] of node[list].entries()) {
        const now = written.graph.nodes[i]![list][j]!;
        assert.equal(names.get(name) ?? now, now);
        names.set(name, now);
      }
    }
  }
  assert.equal(new Set(names.values()).size, names.size);
});

test("nodes, inputs, outputs and metadata are replaced; replaced values lose their inner info", async (context) => {
  const model = await openEverything(context);
  const [, choose, , odd] = model.graph.nodes;
  const written = await rewritten(
    context,
    model,
    {
      tensors: new Map([["added", { type: "float32", shape: [2] }]]),
      removed: new Set(["texts", "farther"]),
      nodes: new Map([
        [0, []],
        [1, [onnxNode("Less", ["small", "small"], ["flag"]), choose!]],
        [2, [onnxNode("Identity", ["added"], ["c"])]],
        // An attribute that was read keeps what the reader does not understand.
        [3, [{ ...odd!, name: "renamed", attributes: new Map([...odd!.attributes, ["more", { kind: "ints", value: [1, -2] }]]) }]],
      ]),
      inputs: [{ name: "x", type: "float16", shape: [null, "m", 3] }],
      outputs: [...model.graph.outputs, { name: "c", type: "float32", shape: null }],
      metadata: new Map(),
    },
    {},
    () => new Uint8Array(8),
  );
  const { graph } = written;
  checkGraph(graph);
  assert.deepEqual(
    graph.nodes.map(({ operator }) => operator),
    ["Less", "If", "Identity", "Odd"],
  );
  assert.deepEqual(graph.nodes[1], choose);
  assert.deepEqual(graph.nodes[3]!.attributes.get("end"), { kind: "int", value: Number.MAX_SAFE_INTEGER });
  assert.deepEqual(graph.nodes[3]!.attributes.get("tensors"), { kind: "other" });
  assert.deepEqual(graph.nodes[3]!.attributes.get("more"), { kind: "ints", value: [1, -2] });
  assert.deepEqual([...graph.initializers.keys()], ["weight", "small", "half", "far", "added"]);
  assert.deepEqual(graph.inputs, [{ name: "x", type: "float16", shape: [null, "m", 3] }]);
  assert.deepEqual(graph.outputs, [...model.graph.outputs, { name: "c", type: "float32", shape: null }]);
  assert.equal(graph.values.size, 0);
  assert.equal(written.metadata.size, 0);
  const bytes = readFileSync(written.path);
  // 2^63 - 1 stays itself in the file.
  assert.ok(bytes.includes(Buffer.from([0x18, ...varints(2n ** 63n - 1n)])));
});

test("an attribute under another name is written under that name", () => {
  const model = decodeOnnx(everything({ external: false }));
  const odd = model.graph.nodes[3]!;
  const renamed = new Map<string, OnnxAttribute>([["g", odd.attributes.get("f")!]]);
  const written = decodeOnnx(edited(model, { nodes: new Map([[3, [{ ...odd, attributes: renamed }]]]) }));
  assert.deepEqual([...written.graph.nodes[3]!.attributes], [["g", { kind: "float", value: 0.5 }]]);
  const unknown = new Map<string, OnnxAttribute>([["g", odd.attributes.get("tensors")!]]);
  throwsWith(
    () => edited(model, { nodes: new Map([[3, [{ ...odd, attributes: unknown }]]]) }),
    "CHECKPOINT_MALFORMED",
    /cannot be written/,
  );
});

test("IR 3: edited weights stop being inputs that a host could override", needs("data/vision/mnist-cnn.onnx"), async (context) => {
  const model = await openOnnx(sharedPath("data/vision/mnist-cnn.onnx")!);
  const written = await rewritten(context, model, { tensors: unchanged(model.graph, ["Parameter5"]) });
  assert.equal(written.irVersion, 4);
  assert.deepEqual(contentOf(written.graph), contentOf(model.graph));
  const inputs = layoutOnnx(written, { tensors: new Map(), removed: new Set(written.graph.initializers.keys()) }, { fileName: "x.onnx" });
  assert.deepEqual(decodeOnnx(fill(inputs, () => assert.fail()).get("x.onnx")!).graph.inputs, model.graph.inputs);
});

test("Constant nodes and inner graphs with external data move along", async (context) => {
  const directory = temporaryDirectory(context);
  const outside = (name: string, offset: number): Rope =>
    tensorMessage(name, [2], 3, (rope) => {
      for (const [key, value] of Object.entries({ location: "old.data", offset: String(offset), length: "2" }))
        rope.bytes(13, new Rope().bytes(1, key).bytes(2, value));
      return rope.varint(14, 1);
    });
  const attribute = (name: string, type: number, field: number, value: Rope): Rope =>
    new Rope().bytes(1, name).bytes(field, value).varint(20, type);
  const inner = new Rope().bytes(5, outside("w", 2)).bytes(12, new Rope().bytes(1, "w"));
  const graph = new Rope()
    .bytes(
      1,
      new Rope()
        .bytes(2, "c")
        .bytes(4, "Constant")
        .bytes(5, attribute("value", 4, 5, outside("", 0))),
    )
    .bytes(
      1,
      new Rope()
        .bytes(1, "c")
        .bytes(2, "y")
        .bytes(4, "If")
        .bytes(5, attribute("then_branch", 5, 6, inner)),
    )
    .bytes(5, outside("plain", 4));
  writeFileSync(join(directory, "model.onnx"), bytesOf(modelMessage(graph)));
  writeFileSync(join(directory, "old.data"), Uint8Array.of(1, 2, 3, 4, 5, 6));
  const model = await openOnnx(join(directory, "model.onnx"));
  for (const edit of [
    { tensors: unchanged(model.graph, ["plain"]) },
    { ...NOTHING, strip: true },
    { ...NOTHING, nodes: new Map([[0, [{ ...model.graph.nodes[0]!, name: "named" }]]]) },
  ] satisfies OnnxEdit[]) {
    const written = await rewritten(context, model, edit);
    assert.deepEqual(namesOf(written.files), ["new.onnx", "new.onnx.data"]);
    assert.ok(!readFileSync(written.path).includes("old.data"));
    const content = contentOf(written.graph) as { nodes: { name: string }[] };
    assert.deepEqual({ ...content, nodes: content.nodes.map((node) => ({ ...node, name: "" })) }, contentOf(model.graph));
  }
});

test("a model that would pass 1.9 GB gets its tensors outside, and parts of it are never larger than a few megabytes", async (context) => {
  const path = join(temporaryDirectory(context), "model.onnx");
  writeFileSync(
    path,
    encodeOnnx({
      nodes: [],
      inputs: [],
      outputs: [],
      initializers: new Map([
        ["small", floats("small", [1], [7])],
        ["w", floats("w", [300], Array<number>(300).fill(1))],
      ]),
    }),
  );
  const model = await openOnnx(path);
  const tensors = new Map([["large", { type: "float32", shape: [2 ** 10, 2 ** 19] }]] as const);
  const layout = layoutOnnx(model, { tensors }, { fileName: "new.onnx" });
  assert.deepEqual(
    layout.files.map(({ name }) => name),
    ["new.onnx", "new.onnx.data"],
  );
  assert.deepEqual(layout.locations.get("large"), {
    file: "new.onnx.data",
    offset: 4096,
    bytes: 2 ** 31,
    type: "float32",
    shape: [2 ** 10, 2 ** 19],
  });
  assert.equal(layout.files[1]!.bytes, 4096 + 2 ** 31);
  const structure = fill(
    { ...layout, files: [layout.files[0]!], pieces: layout.pieces.filter(({ file }) => file === "new.onnx"), locations: new Map() },
    () => assert.fail(),
  );
  assert.ok(structure.get("new.onnx")!.length < 1000);
  throwsWith(() => layoutOnnx(model, { tensors }, { fileName: "new.onnx", externalAbove: Infinity }), "CHECKPOINT_TOO_LARGE");
});

test("a large unchanged tensor is copied in pieces", async (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, "model.onnx");
  const bytes = 40_000_000;
  writeFileSync(
    path,
    encodeOnnx({
      nodes: [],
      inputs: [],
      outputs: [],
      initializers: new Map([["w", floats("w", [bytes / 4], Array<number>(bytes / 4).fill(3))]]),
    }),
  );
  const layout = layoutOnnx(await openOnnx(path), { ...NOTHING, strip: true }, { fileName: "new.onnx" });
  assert.ok(layout.pieces.length >= 9);
  const largest = Math.max(...layout.pieces.map((piece) => piece.read().length));
  assert.ok(largest <= 4 * 2 ** 20, String(largest));
  writeOnnx(layout, temporaryDirectory(context), () => assert.fail());
});

test("a data file of more than 4 GB is planned and its places read", async (context) => {
  const directory = temporaryDirectory(context);
  const data = openSync(join(directory, "d"), "w");
  ftruncateSync(data, 5e9);
  writeSync(data, Uint8Array.of(1, 2, 3), 0, 3, 5e9 - 3);
  closeSync(data);
  const outside = (name: string, elements: number, offset: number): Rope =>
    tensorMessage(name, [elements], 3, (rope) => {
      for (const [key, value] of Object.entries({ location: "d", offset: String(offset) }))
        rope.bytes(13, new Rope().bytes(1, key).bytes(2, value));
      return rope.varint(14, 1);
    });
  writeFileSync(
    join(directory, "model.onnx"),
    bytesOf(modelMessage(new Rope().bytes(5, outside("big", 4.9e9, 0)).bytes(5, outside("end", 3, 5e9 - 3)))),
  );
  const model = await openOnnx(join(directory, "model.onnx"));
  assert.deepEqual(model.graph.initializers.get("end")!.read(), Uint8Array.of(1, 2, 3));
  const layout = layoutOnnx(model, { tensors: unchanged(model.graph, ["big"]) }, { fileName: "new.onnx" });
  const last = layout.pieces.findLast(({ file }) => file === "new.onnx.data")!;
  assert.deepEqual(last.read().subarray(-3), Uint8Array.of(1, 2, 3));
  assert.equal(last.offset + last.read().length, layout.files[1]!.bytes);
});

test("edits of what is not there are defects of the caller", () => {
  const model = decodeOnnx(everything({ external: false }));
  const plan = (edit: Partial<OnnxEdit>, of: OnnxModel = model): unknown =>
    layoutOnnx(of, { ...NOTHING, ...edit }, { fileName: "new.onnx" });
  assert.throws(() => plan({ removed: new Set(["absent"]) }), /"absent" cannot be left out/);
  assert.throws(() => plan({ nodes: new Map([[4, []]]) }), /no node 4/);
  assert.throws(() => plan({}, { ...model }), /not a copy/);
  throwsWith(() => plan({ tensors: new Map([["weight", { type: "other", shape: [2] }]]) }), "CHECKPOINT_DTYPE_UNSUPPORTED");
  throwsWith(() => plan({ tensors: new Map([["a\nb", { type: "float32", shape: [2] }]]) }), "CHECKPOINT_MALFORMED");
  throwsWith(() => plan({ tensors: new Map([["weight", { type: "float32", shape: [-2] }]]) }), "CHECKPOINT_MALFORMED");
});

test("writing refuses existing files and data of a wrong size", async (context) => {
  const model = decodeOnnx(everything({ external: false }));
  const directory = join(temporaryDirectory(context), "out");
  mkdirSync(directory);
  const layout = layoutOnnx(model, { tensors: unchanged(model.graph, ["half"]) }, { fileName: "new.onnx" });
  assert.throws(() => writeOnnx(layout, directory, () => new Uint8Array(5)), /must have 6 bytes, got 5/);
  throwsWith(() => writeOnnx(layout, directory, () => new Uint8Array(6)), "OUTPUT_EXISTS");
  assert.equal(basename(layout.files[0]!.name), "new.onnx");
});
