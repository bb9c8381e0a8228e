/**
 * For tests: small ONNX models that use every part of the format that is read.
 * @module
 */
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { UnseenError, type ErrorCode } from "../errors.ts";
import { encodeNode, onnxNode } from "./onnx-encode.ts";
import { layoutOnnx, type OnnxEdit, type OnnxLayout } from "./onnx-layout.ts";
import { tensorOf } from "./onnx-tensor.ts";
import type { OnnxGraph, OnnxModel, OnnxTensor, OnnxType } from "./onnx.ts";
import { Rope, encodeVarints, joinParts } from "./protobuf-write.ts";

/** Float32 values as a tensor. */
export function floats(name: string, shape: readonly number[], values: readonly number[]): OnnxTensor {
  return tensorOf(name, "float32", shape, new Uint8Array(Float32Array.from(values).buffer));
}

/** Int64 values as a tensor of one axis. */
export function integers(name: string, values: readonly number[]): OnnxTensor {
  return tensorOf(name, "int64", [values.length], new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer));
}

/** `TensorProto` with any fields behind name, shape and type number. */
export function tensorMessage(name: string, shape: readonly number[], type: number, data: (rope: Rope) => Rope): Rope {
  const rope = new Rope();
  for (const size of shape) rope.varint(1, size);
  return data(rope.varint(2, type).bytes(8, name));
}

/** Packed numbers of base 128. */
export function varints(...values: (number | bigint)[]): Uint8Array {
  return encodeVarints(values.map(BigInt));
}

/** `ValueInfoProto` of float32. */
export function valueMessage(name: string, shape: readonly (number | string)[]): Rope {
  const dimensions = new Rope();
  for (const size of shape) dimensions.bytes(1, typeof size === "number" ? new Rope().varint(1, size) : new Rope().bytes(2, size));
  return new Rope().bytes(1, name).bytes(2, new Rope().bytes(1, new Rope().varint(1, 1).bytes(2, dimensions)));
}

/** `AttributeProto` of a name and a type number. */
export function attributeMessage(name: string, type: number, value: (rope: Rope) => Rope): Rope {
  return value(new Rope().bytes(1, name)).varint(20, type);
}

/** `ModelProto` around the fields of a graph. */
export function modelMessage(graph: Rope, { irVersion = 8, opset = 17 }: { irVersion?: number; opset?: number } = {}): Rope {
  return new Rope().varint(1, irVersion).bytes(2, "a secret producer").bytes(7, graph).bytes(8, new Rope().bytes(1, "").varint(2, opset));
}

export function bytesOf(rope: Rope): Uint8Array {
  return joinParts(rope.parts);
}

/** A model with each kind of tensor, attribute and message, unknown fields, and `secret` in all that a stripped model leaves out. */
export function everything({ external }: { external: boolean }): Uint8Array {
  const documentation = "a secret remark";
  const entry = (key: string, value: string): Rope => new Rope().bytes(1, key).bytes(2, value);
  const inner = new Rope()
    .bytes(1, new Rope().bytes(1, "x").bytes(1, "weight").bytes(2, "inner").bytes(4, "MatMul").bytes(6, documentation))
    .bytes(2, "branch")
    .bytes(12, valueMessage("inner", ["n", 2]));
  const choose = new Rope()
    .bytes(1, "flag")
    .bytes(2, "chosen")
    .bytes(3, "choose")
    .bytes(4, "If")
    .bytes(
      5,
      attributeMessage("then_branch", 5, (rope) => rope.bytes(6, inner)),
    )
    .bytes(
      5,
      attributeMessage("else_branch", 5, (rope) =>
        rope.bytes(
          6,
          bytesOf(inner).map((byte) => byte),
        ),
      ),
    )
    .bytes(9, entry("pkg.source", "secret.py"));
  const constant = attributeMessage("value", 4, (rope) =>
    rope
      .bytes(
        5,
        tensorMessage("c", [2], 1, (tensor) => tensor.bytes(4, new Uint8Array(Float32Array.of(1, 2).buffer)).bytes(12, documentation)),
      )
      .bytes(13, documentation),
  );
  const odd = new Rope()
    .bytes(1, "chosen")
    .bytes(1, "")
    .bytes(1, "c")
    .bytes(2, "y")
    .bytes(4, "Odd")
    .bytes(7, "com.example")
    .bytes(
      5,
      attributeMessage("f", 1, (rope) => rope.float32(2, 0.5)),
    )
    .bytes(
      5,
      attributeMessage("end", 2, (rope) => rope.varint(3, 2n ** 63n - 1n)),
    )
    .bytes(
      5,
      attributeMessage("s", 3, (rope) => rope.bytes(4, "text")),
    )
    .bytes(
      5,
      attributeMessage("floats", 6, (rope) => rope.float32(7, 1).float32(7, -2)),
    )
    .bytes(
      5,
      attributeMessage("ints", 7, (rope) => rope.bytes(8, varints(1, -1, 300)).varint(8, 5)),
    )
    .bytes(
      5,
      attributeMessage("strings", 8, (rope) => rope.bytes(9, "a").bytes(9, "")),
    )
    .bytes(
      5,
      attributeMessage("tensors", 9, (rope) =>
        rope.bytes(
          10,
          tensorMessage("", [], 7, (tensor) => tensor.varint(7, -1)),
        ),
      ),
    );
  const outside = (location: string, offset: number, length: number) => (tensor: Rope) =>
    tensor
      .bytes(13, entry("location", location))
      .bytes(13, entry("offset", String(offset)))
      .bytes(13, entry("length", String(length)))
      .bytes(12, documentation)
      .varint(14, 1);
  const graph = new Rope()
    .bytes(1, encodeNode(onnxNode("Less", ["small", "small"], ["flag"])))
    .bytes(1, choose)
    .bytes(1, new Rope().bytes(2, "c").bytes(4, "Constant").bytes(5, constant))
    .bytes(1, odd)
    .bytes(2, "a secret graph")
    .bytes(
      5,
      tensorMessage("weight", [2, 2], 1, (tensor) =>
        tensor.bytes(9, new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer)).bytes(12, documentation),
      ),
    )
    .bytes(
      5,
      tensorMessage("small", [], 7, (tensor) => tensor.varint(7, 3)),
    )
    .bytes(
      5,
      tensorMessage("half", [3], 10, (tensor) => tensor.bytes(5, varints(0x3c00, 0, 0x8000)).bytes(16, entry("a", "secret"))),
    )
    .bytes(
      5,
      tensorMessage("texts", [2], 8, (tensor) => tensor.bytes(6, "ab").bytes(6, "cde")),
    )
    .bytes(10, documentation)
    .bytes(11, valueMessage("x", ["n", 2]))
    .bytes(11, valueMessage("weight", [2, 2]))
    .bytes(12, valueMessage("y", ["n", 2]))
    .bytes(13, valueMessage("chosen", ["n", "secret"]))
    .bytes(16, entry("origin", "secret"))
    .bytes(99, "an unknown secret");
  if (external) {
    graph.bytes(5, tensorMessage("far", [4], 1, outside("model.data", 16, 16)));
    graph.bytes(5, tensorMessage("farther", [3], 3, outside("model.data", 4, 3)));
  }
  return bytesOf(
    modelMessage(graph)
      .bytes(8, new Rope().bytes(1, "com.example").varint(2, 1))
      .bytes(14, entry("author", "secret"))
      .bytes(
        25,
        new Rope()
          .bytes(1, "Odd")
          .bytes(4, "a")
          .bytes(5, "b")
          .bytes(7, encodeNode(onnxNode("Neg", ["a"], ["b"])))
          .bytes(8, documentation)
          .bytes(10, "com.example"),
      )
      .bytes(77, "an unknown secret"),
  );
}

/** The content of `model.data`. */
export const EXTERNAL_DATA = Uint8Array.from({ length: 40 }, (_, index) => index);

/** All files of a layout, by name. */
export function fill(layout: OnnxLayout, data: (name: string) => Uint8Array): Map<string, Uint8Array> {
  const files = new Map(layout.files.map(({ name, bytes }) => [name, new Uint8Array(bytes)]));
  for (const piece of layout.pieces) files.get(piece.file)!.set(piece.read(), piece.offset);
  for (const [name, { file, offset, bytes }] of layout.locations) {
    assert.equal(data(name).length, bytes);
    files.get(file)!.set(data(name), offset);
  }
  return files;
}

/** The model file of an edit that leaves no external data. */
export function edited(model: OnnxModel, edit: Partial<OnnxEdit>, data: (name: string) => Uint8Array = () => assert.fail()): Uint8Array {
  const files = fill(layoutOnnx(model, { tensors: new Map(), ...edit }, { fileName: "model.onnx" }), data);
  assert.deepEqual([...files.keys()], ["model.onnx"]);
  return files.get("model.onnx")!;
}

/** An edit that names these tensors as they are. */
export function unchanged(graph: OnnxGraph, names: Iterable<string>): Map<string, { type: OnnxType; shape: readonly number[] }> {
  return new Map([...names].map((name) => [name, graph.initializers.get(name)!]));
}

/** A graph as plain data, that of tensors included: to compare what two files say. */
export function contentOf(graph: OnnxGraph): unknown {
  const tensor = ({ name, type, shape, read }: OnnxTensor): unknown => ({ name, type, shape, data: Buffer.from(read()).toString("hex") });
  return {
    nodes: graph.nodes.map((node) => ({
      ...node,
      attributes: [...node.attributes].map(([name, attribute]) => {
        if (attribute.kind === "tensor") return [name, tensor(attribute.value)];
        return [name, attribute.kind === "graph" ? contentOf(attribute.value) : attribute];
      }),
    })),
    initializers: [...graph.initializers.values()].map(tensor),
    inputs: graph.inputs,
    outputs: graph.outputs,
  };
}

/** Asserts that an action fails with a code, in one line, with something to do next. */
export function throwsWith(action: () => unknown, code: ErrorCode, pattern = /./): void {
  assert.throws(action, (error) => {
    assert.ok(UnseenError.isInstance(error), `expected an UnseenError, got ${String(error)}`);
    assert.equal(error.code, code, error.message);
    assert.match(error.line, /^[\x20-\x7e]+$/);
    assert.match(error.message, pattern);
    assert.ok(error.hint);
    return true;
  });
}

/** Names of files without their directory. */
export function namesOf(paths: readonly string[]): string[] {
  return paths.map((path) => basename(path));
}

export function inside(directory: string, ...names: string[]): string[] {
  return names.map((name) => join(directory, name));
}
