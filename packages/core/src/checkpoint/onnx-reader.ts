/**
 * Reads `ModelProto` and what it holds (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
 * @module
 */
import { UnseenError } from "../errors.ts";
import { MAXIMUM_TENSORS, malformed, tooLarge } from "./checks.ts";
import type { ExternalFiles } from "./onnx-external.ts";
import { remember } from "./onnx-raw.ts";
import { hintFor } from "./open-file.ts";
import { readTensor, type TensorContext } from "./onnx-tensor.ts";
import { MAXIMUM_TEXT_BYTES, duplicate, readEntries, readName, readText } from "./onnx-text.ts";
import { elementType } from "./onnx-types.ts";
import type { OnnxAttribute, OnnxFunction, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from "./onnx.ts";
import { FieldBudget, Message, Slice, Wire, clamp, eachVarint, fixedRange, type ByteSource, type Field } from "./protobuf.ts";

/** Graphs inside graphs (CWE-674). */
export const MAXIMUM_GRAPH_DEPTH = 8;
/** Nodes of a model, those of inner graphs included (CWE-770). */
export const MAXIMUM_NODES = 1_000_000;
/** Dimensions of a value. */
export const MAXIMUM_VALUE_RANK = 64;
/** Format versions that are read. */
export const IR_VERSIONS = { least: 3, most: 13 } as const;
/** Versions of ONNX's operators that are read. */
export const OPSETS = { least: 7, most: 23 } as const;

interface Context extends TensorContext {
  nodes: number;
}

/** Reads a model's structure. Throws as `openOnnx`. */
export function readModel(source: ByteSource, external: ExternalFiles | null): OnnxModel {
  const context: Context = { budget: new FieldBudget(), external, nodes: 0 };
  const slice = new Slice(source, 0, source.bytes);
  const start = source.copy(0, Math.min(8, source.bytes));
  if (Buffer.from(start).toString("latin1") === "version ") throw malformed(`${source.name}: expected an ONNX model.`, hintFor(start));
  const message = new Message(slice, "the model", context.budget);
  const irVersion = message.one(1)?.integer() ?? 0;
  if (irVersion < IR_VERSIONS.least || irVersion > IR_VERSIONS.most)
    throw malformed(
      `${source.name}: expected an ONNX model of IR version ${IR_VERSIONS.least} to ${IR_VERSIONS.most}, got ${irVersion}.`,
      "Export the model again with a current exporter.",
    );
  const graph = message.one(7);
  if (!graph) throw without(source, "a graph");
  return remember(
    {
      path: source.path ?? "",
      irVersion,
      opsets: readOpsets(message, context),
      producer: readText(message.one(2)),
      metadata: readEntries(message.all(14), context.budget),
      graph: readGraph(graph.slice(), context, 0),
      functions: message.all(25).map((field) => readFunction(field.slice(), context)),
      files: [...(source.path === null ? [] : [source.path]), ...(external?.paths ?? [])],
    },
    slice,
  );
}

/** `FunctionProto`. Throws as `readModel`. */
function readFunction(slice: Slice, context: Context): OnnxFunction {
  const entry = new Message(slice, "a function", context.budget);
  context.nodes += entry.all(7).length;
  if (context.nodes > MAXIMUM_NODES) throw tooLarge(`${slice.source.name}: ${context.nodes} nodes exceed the limit of ${MAXIMUM_NODES}.`);
  return {
    domain: readDomain(entry.one(10)),
    name: readName(entry.one(1)),
    inputs: entry.all(4).map(readName),
    outputs: entry.all(5).map(readName),
    nodes: entry.all(7).map((field) => readNode(field.slice(), context, 0)),
    defaults: readAttributes(entry.all(11), entry.slice, context, 0, "a function"),
    opsets: readOpsetsOf(entry.all(9), slice.source.name, context),
  };
}

function without(source: ByteSource, what: string): UnseenError {
  return malformed(`${source.name}: expected an ONNX model with ${what}.`);
}

function readOpsetsOf(fields: readonly Field[], where: string, { budget }: Context): Map<string, number> {
  const opsets = new Map<string, number>();
  for (const field of fields) {
    const entry = new Message(field.slice(), "an operator set", budget);
    const domain = readDomain(entry.one(1));
    if (opsets.has(domain)) throw duplicate(where, "operator set", domain);
    opsets.set(domain, entry.one(2)?.integer() ?? 0);
  }
  return opsets;
}

function readOpsets(model: Message, context: Context): Map<string, number> {
  const { source } = model.slice;
  const opsets = readOpsetsOf(model.all(8), source.name, context);
  const version = opsets.get("");
  if (version === undefined) throw without(source, "an operator set");
  if (version < OPSETS.least || version > OPSETS.most)
    throw malformed(
      `${source.name}: expected operators of version ${OPSETS.least} to ${OPSETS.most}, got ${version}.`,
      `Export the model with opset 17, or convert it with onnx.version_converter.`,
    );
  return opsets;
}

/** Both spellings mean ONNX's own operators. */
function readDomain(field: Field | null): string {
  const domain = readName(field);
  return domain === "ai.onnx" ? "" : domain;
}

function readGraph(slice: Slice, context: Context, depth: number): OnnxGraph {
  const { source } = slice;
  if (depth > MAXIMUM_GRAPH_DEPTH) throw tooLarge(`${source.name}: graphs inside graphs exceed the limit of ${MAXIMUM_GRAPH_DEPTH}.`);
  const message = new Message(slice, "a graph", context.budget);
  if (message.all(15).length > 0)
    throw new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", `${source.name}: the graph has sparse initializers.`, {
      hint: "Export the model with dense weights.",
    });
  context.nodes += message.all(1).length;
  if (context.nodes > MAXIMUM_NODES) throw tooLarge(`${source.name}: ${context.nodes} nodes exceed the limit of ${MAXIMUM_NODES}.`);
  const initializers = readInitializers(message, context);
  const infos = (number: number): OnnxValueInfo[] => message.all(number).map((field) => readValueInfo(field.slice(), context));
  const graph: OnnxGraph = {
    name: readText(message.one(2)),
    nodes: message.all(1).map((field) => readNode(field.slice(), context, depth)),
    initializers,
    inputs: infos(11).filter(({ name }) => !initializers.has(name)),
    outputs: infos(12),
    values: new Map(infos(13).map((info) => [info.name, info])),
  };
  return remember(graph, slice);
}

function readInitializers(graph: Message, context: Context): Map<string, OnnxTensor> {
  const { source } = graph.slice;
  const fields = graph.all(5);
  if (fields.length > MAXIMUM_TENSORS) throw tooLarge(`${source.name}: ${fields.length} tensors exceed the limit of ${MAXIMUM_TENSORS}.`);
  const initializers = new Map<string, OnnxTensor>();
  for (const field of fields) {
    const tensor = readTensor(field.slice(), context);
    if (tensor.name === "") throw malformed(`${field.where}: expected an initializer with a name.`);
    if (initializers.has(tensor.name)) throw duplicate(source.name, "tensor", tensor.name);
    initializers.set(tensor.name, tensor);
  }
  return initializers;
}

function readNode(slice: Slice, context: Context, depth: number): OnnxNode {
  const message = new Message(slice, "a node", context.budget);
  const operator = readName(message.one(4));
  if (operator === "") throw malformed(`${slice.source.name}: the node at byte ${slice.begin} has no operator.`);
  const attributes = readAttributes(message.all(5), slice, context, depth, `a node of ${operator}`);
  return remember(
    {
      name: readName(message.one(3)),
      operator,
      domain: readDomain(message.one(7)),
      inputs: message.all(1).map(readName),
      outputs: message.all(2).map(readName),
      attributes,
    },
    slice,
  );
}

function readAttributes(
  fields: readonly Field[],
  { source }: Slice,
  context: Context,
  depth: number,
  where: string,
): Map<string, OnnxAttribute> {
  const attributes = new Map<string, OnnxAttribute>();
  for (const field of fields) {
    const entry = new Message(field.slice(), "an attribute", context.budget);
    const name = readName(entry.one(1));
    if (attributes.has(name)) throw duplicate(`${source.name}: ${where}`, "attribute", name);
    attributes.set(name, remember(readAttribute(entry, context, depth), entry.slice));
  }
  return attributes;
}

/** `AttributeProto.AttributeType`, and the field that holds each. */
const ATTRIBUTE_FIELDS: ReadonlyMap<number, number> = new Map([
  [1, 2],
  [2, 3],
  [3, 4],
  [4, 5],
  [5, 6],
  [6, 7],
  [7, 8],
  [8, 9],
  [9, 10],
  [10, 11],
  [11, 22],
  [12, 23],
  [13, 14],
  [14, 15],
]);

function readAttribute(entry: Message, context: Context, depth: number): OnnxAttribute {
  const { source } = entry.slice;
  const present = [...ATTRIBUTE_FIELDS].filter(([, field]) => entry.all(field).length > 0).map(([type]) => type);
  const type = entry.one(20)?.integer() ?? 0;
  // Old files have no type: the one field that is there tells it. A value of zero may be left out.
  const kind = type === 0 && present.length === 1 ? present[0]! : type;
  if (entry.one(21)) return { kind: "other", reference: readName(entry.one(21)) };
  if (!ATTRIBUTE_FIELDS.has(kind) || present.some((other) => other !== kind))
    throw malformed(
      `${source.name}: the attribute at byte ${entry.slice.begin} has type ${type} and values of types [${present.join(", ")}].`,
    );
  const field = ATTRIBUTE_FIELDS.get(kind)!;
  switch (kind) {
    case 1:
      return { kind: "float", value: entry.one(field)?.float32() ?? 0 };
    case 2:
      return { kind: "int", value: entry.one(field)?.clamped() ?? 0 };
    case 3:
      return { kind: "string", value: readBytes(entry.one(field)) };
    case 4:
      return { kind: "tensor", value: readTensor(required(entry, field).slice(), context) };
    case 5:
      return { kind: "graph", value: readGraph(required(entry, field).slice(), context, depth + 1) };
    case 6:
      return { kind: "floats", value: entry.all(field).flatMap(readFloats) };
    case 7:
      return { kind: "ints", value: readIntegers(entry.all(field)) };
    case 8:
      return { kind: "strings", value: entry.all(field).map(readBytes) };
    default:
      return { kind: "other" };
  }
}

function required(entry: Message, number: number): Field {
  const field = entry.one(number);
  if (!field) throw malformed(`${entry.slice.source.name}: the attribute at byte ${entry.slice.begin} has no value.`);
  return field;
}

function readBytes(field: Field | null): Uint8Array {
  const slice = field?.slice();
  if (!slice) return new Uint8Array(0);
  if (slice.length > MAXIMUM_TEXT_BYTES)
    throw tooLarge(`${field!.where}: ${slice.length} bytes exceed the limit of ${MAXIMUM_TEXT_BYTES}.`);
  return slice.read();
}

function readFloats(field: Field): number[] {
  const range = fixedRange(field, Wire.fixed32);
  if (range.length > MAXIMUM_TEXT_BYTES) throw tooLarge(`${field.where}: ${range.length} bytes exceed the limit of ${MAXIMUM_TEXT_BYTES}.`);
  return [...new Float32Array(range.read().buffer)];
}

function readIntegers(fields: readonly Field[]): number[] {
  const values: number[] = [];
  for (const field of fields) {
    if (field.end - field.begin > MAXIMUM_TEXT_BYTES)
      throw tooLarge(`${field.where}: ${field.end - field.begin} bytes exceed the limit of ${MAXIMUM_TEXT_BYTES}.`);
    eachVarint(field, (low, high) => void values.push(clamp(low, high)));
  }
  return values;
}

function readValueInfo(slice: Slice, { budget }: Context): OnnxValueInfo {
  const { source } = slice;
  const message = new Message(slice, "a value", budget);
  const name = readName(message.one(1));
  if (name === "") throw malformed(`${source.name}: the value at byte ${slice.begin} has no name.`);
  const type = message.one(2);
  const tensor = type ? new Message(type.slice(), "a type", budget).one(1) : null;
  if (!tensor) return remember({ name, type: null, shape: null }, slice);
  const fields = new Message(tensor.slice(), "a tensor type", budget);
  const number = fields.one(1)?.integer() ?? 0;
  const shape = fields.one(2);
  const element = number === 0 ? null : elementType(number, `${source.name}: the value at byte ${slice.begin}`).type;
  if (!shape) return remember({ name, type: element, shape: null }, slice);
  const dimensions = new Message(shape.slice(), "a shape", budget).all(1);
  if (dimensions.length > MAXIMUM_VALUE_RANK)
    throw tooLarge(`${shape.where}: ${dimensions.length} dimensions exceed the limit of ${MAXIMUM_VALUE_RANK}.`);
  return remember({ name, type: element, shape: dimensions.map((field) => readDimension(field, budget)) }, slice);
}

function readDimension(field: Field, budget: FieldBudget): number | string | null {
  const dimension = new Message(field.slice(), "a dimension", budget);
  const size = dimension.one(1);
  const name = dimension.one(2);
  if (size && name) throw malformed(`${field.where}: expected a size or a name, got both.`);
  // Old exporters write -1 for a size that they do not know.
  if (size) return size.integer() < 0 ? null : size.integer();
  return readText(name) === "" ? null : readName(name);
}
