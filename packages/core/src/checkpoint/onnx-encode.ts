/**
 * Writes ONNX messages from scratch: a whole model, or the nodes, values and tensors of one.
 * @module
 */
import { checkName, malformed, quote, tooLarge } from "./checks.ts";
import { recall } from "./onnx-raw.ts";
import { elementNumber } from "./onnx-types.ts";
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxValueInfo } from "./onnx.ts";
import { isExternal, newTensor, rereadTensor, rewrite, rewriteTensor, type MessageKind, type Rewriting } from "./onnx-rewrite.ts";
import { Rope, joinParts } from "./protobuf-write.ts";
import { fields, type Slice } from "./protobuf.ts";
import { readName } from "./onnx-text.ts";

/** Bytes of a file; parsers count in 31 bits. Larger models keep their tensors outside. */
export const MAXIMUM_MODEL_BYTES = 2 ** 31 - 1;

/** A model to build. */
export interface OnnxParts {
  /** Default "graph". */
  readonly name?: string;
  readonly nodes: readonly OnnxNode[];
  /** By name; `tensorOf` makes them. */
  readonly initializers?: ReadonlyMap<string, OnnxTensor>;
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly values?: ReadonlyMap<string, OnnxValueInfo>;
  /** Default 8. */
  readonly irVersion?: number;
  /** Default: version 17 of ONNX's own. */
  readonly opsets?: ReadonlyMap<string, number>;
  readonly producer?: string;
  readonly metadata?: ReadonlyMap<string, string>;
}

/**
 * The bytes of a model file without external data.
 *
 * @throws UnseenError `CHECKPOINT_TOO_LARGE` from 2 GiB on; `CHECKPOINT_DTYPE_UNSUPPORTED`, `CHECKPOINT_MALFORMED` for what a reader would refuse
 * @example
 * ```ts
 * const bytes = encodeOnnx({ nodes: [onnxNode("Relu", ["x"], ["y"])], inputs: [{ name: "x", type: "float32", shape: [2] }], outputs: [...] });
 * ```
 */
export function encodeOnnx(parts: OnnxParts): Uint8Array {
  const graph = encodeGraph({ name: "graph", initializers: new Map(), values: new Map(), ...parts });
  const model = new Rope().varint(1, parts.irVersion ?? 8);
  if (parts.producer) model.bytes(2, parts.producer);
  model.bytes(7, graph);
  for (const [domain, version] of parts.opsets ?? new Map([["", 17]])) model.bytes(8, encodeOpset(domain, version));
  for (const [key, value] of parts.metadata ?? []) model.bytes(14, encodeEntry(key, value));
  return joinModel(model);
}

/** All bytes of a model whose tensors are inside. Throws `CHECKPOINT_TOO_LARGE`. */
export function joinModel(model: Rope): Uint8Array {
  if (model.length > MAXIMUM_MODEL_BYTES)
    throw tooLarge(`an ONNX file of ${model.length} bytes exceeds the limit of ${MAXIMUM_MODEL_BYTES}.`);
  return joinParts(model.parts);
}

/** What becomes of a message that was read from a file: its bytes, changed where they must be. */
export type Keep = (message: Slice, kind: MessageKind) => Rope;

/** Keeps messages as they are, but brings external data inside. */
export const keepInside: Keep = (message, kind) => rewrite(message, kind, INSIDE) ?? new Rope().add(message);

const INSIDE: Rewriting = {
  strip: false,
  rename: null,
  tensor: (message) => (isExternal(message) ? rewriteTensor(message, { raw: rereadTensor(message).read() }) : null),
};

/** A node; attributes as in {@link OnnxNode}. */
export function onnxNode(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, OnnxAttribute>> = {},
  { name = "", domain = "" }: { readonly name?: string; readonly domain?: string } = {},
): OnnxNode {
  return { name, operator, domain, inputs, outputs, attributes: new Map(Object.entries(attributes)) };
}

/** `GraphProto`. What was read from a file and not changed passes through `keep`. */
export function encodeGraph(graph: OnnxGraph, keep: Keep = keepInside): Rope {
  const original = recall(graph);
  if (original) return keep(original, "graph");
  const rope = new Rope();
  for (const node of graph.nodes) rope.bytes(1, encodeNode(node, keep));
  rope.bytes(2, graph.name);
  for (const [name, tensor] of graph.initializers) rope.bytes(5, encodeTensor(tensor, keep, name));
  for (const info of graph.inputs) rope.bytes(11, encodeValueInfo(info, keep));
  for (const info of graph.outputs) rope.bytes(12, encodeValueInfo(info, keep));
  for (const info of graph.values.values()) rope.bytes(13, encodeValueInfo(info, keep));
  return rope;
}

/** `NodeProto`, as {@link encodeGraph}; attributes that were read from a file pass through `keep` one by one. */
export function encodeNode(node: OnnxNode, keep: Keep = keepInside): Rope {
  const original = recall(node);
  if (original) return keep(original, "node");
  const rope = new Rope();
  for (const input of node.inputs) rope.bytes(1, input);
  for (const output of node.outputs) rope.bytes(2, output);
  if (node.name) rope.bytes(3, node.name);
  rope.bytes(4, checkName(node.operator, "the node to write"));
  for (const [name, attribute] of node.attributes) rope.bytes(5, encodeAttribute(name, attribute, keep));
  if (node.domain) rope.bytes(7, node.domain);
  return rope;
}

function encodeAttribute(name: string, attribute: OnnxAttribute, keep: Keep): Rope {
  const original = recall(attribute);
  if (original && nameIn(original) === name) return keep(original, "attribute");
  const rope = new Rope().bytes(1, checkName(name, "the attribute to write"));
  switch (attribute.kind) {
    case "float":
      return rope.float32(2, attribute.value).varint(20, 1);
    case "int":
      return rope.varint(3, integer(attribute.value, name)).varint(20, 2);
    case "string":
      return rope.bytes(4, attribute.value).varint(20, 3);
    case "tensor":
      return rope.bytes(5, encodeTensor(attribute.value, keep)).varint(20, 4);
    case "graph":
      return rope.bytes(6, encodeGraph(attribute.value, keep)).varint(20, 5);
    case "floats":
      for (const value of attribute.value) rope.float32(7, value);
      return rope.varint(20, 6);
    case "ints":
      for (const value of attribute.value) rope.varint(8, integer(value, name));
      return rope.varint(20, 7);
    case "strings":
      for (const value of attribute.value) rope.bytes(9, value);
      return rope.varint(20, 8);
    case "other":
      throw malformed(`attribute ${quote(name)} has a kind that cannot be written.`, "Keep the node that it was read from.");
  }
}

function nameIn(attribute: Slice): string | undefined {
  for (const field of fields(attribute)) if (field.number === 1) return readName(field);
  return undefined;
}

function integer(value: number, name: string): bigint {
  if (!Number.isSafeInteger(value))
    throw malformed(`attribute ${quote(name)}: expected an integer, got ${value}.`, "Correct the attribute.");
  return BigInt(value);
}

/** `TensorProto` under a name, its own unless given. */
export function encodeTensor(tensor: OnnxTensor, keep: Keep = keepInside, name = tensor.name): Rope {
  const original = recall(tensor);
  if (original && tensor.name === name) return keep(original, "tensor");
  return newTensor(name, tensor.type, tensor.shape, { raw: tensor.read() });
}

/** `ValueInfoProto`, as {@link encodeGraph}. */
export function encodeValueInfo(info: OnnxValueInfo, keep: Keep = keepInside): Rope {
  const original = recall(info);
  if (original) return keep(original, "value");
  const rope = new Rope().bytes(1, checkName(info.name, "the value to write"));
  if (info.type === null) return rope;
  const tensor = new Rope().varint(1, elementNumber(info.type, `value ${quote(info.name)}`));
  if (info.shape) {
    const shape = new Rope();
    for (const size of info.shape) {
      const dimension = new Rope();
      if (typeof size === "number") dimension.varint(1, size);
      else if (size !== null) dimension.bytes(2, size);
      shape.bytes(1, dimension);
    }
    tensor.bytes(2, shape);
  }
  return rope.bytes(2, new Rope().bytes(1, tensor));
}

/** `OperatorSetIdProto`. */
export function encodeOpset(domain: string, version: number): Rope {
  const rope = new Rope();
  if (domain) rope.bytes(1, domain);
  return rope.varint(2, version);
}

/** `StringStringEntryProto`. */
export function encodeEntry(key: string, value: string): Rope {
  return new Rope().bytes(1, checkName(key, "the metadata to write")).bytes(2, value);
}
