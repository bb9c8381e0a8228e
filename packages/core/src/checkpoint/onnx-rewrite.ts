/**
 * Changes ONNX messages without understanding all of them: what is not changed keeps its bytes, unknown fields included.
 * @module
 */
import { dirname } from "node:path";
import { tooLarge } from "./checks.ts";
import { ExternalFiles } from "./onnx-external.ts";
import { readTensor } from "./onnx-tensor.ts";
import { readName } from "./onnx-text.ts";
import { TensorField, elementNumber } from "./onnx-types.ts";
import type { OnnxTensor, OnnxType } from "./onnx.ts";
import { Rope, encodeVarints, type Hole } from "./protobuf-write.ts";
import { FieldBudget, fields, type Field, type Slice } from "./protobuf.ts";

/** Messages inside messages (CWE-674); a graph inside a graph takes three. */
const MAXIMUM_MESSAGE_DEPTH = 64;

export type MessageKind =
  | "graph"
  | "node"
  | "attribute"
  | "tensor"
  | "sparseTensor"
  | "value"
  | "type"
  | "tensorType"
  | "elementType"
  | "mapType"
  | "shape"
  | "dimension"
  | "function"
  | "training"
  | "opset";

/** What a stripped message keeps, and the messages inside it. */
interface Schema {
  /** Fields that the computation depends on. All others may name people, paths or data, and unknown ones anything. */
  readonly kept: ReadonlySet<number>;
  readonly inner: ReadonlyMap<number, MessageKind>;
}

const schema = (kept: readonly number[], inner: Readonly<Record<number, MessageKind>> = {}): Schema => {
  const messages = Object.entries(inner).map(([number, kind]) => [Number(number), kind] as const);
  return { kept: new Set([...kept, ...messages.map(([number]) => number)]), inner: new Map(messages) };
};

/** By `onnx.proto` of IR version 13. */
const SCHEMAS: Readonly<Record<MessageKind, Schema>> = {
  graph: schema([2], { 1: "node", 5: "tensor", 11: "value", 12: "value", 15: "sparseTensor" }),
  node: schema([1, 2, 3, 4, 7, 8], { 5: "attribute" }),
  attribute: schema([1, 2, 3, 4, 7, 8, 9, 20, 21], {
    5: "tensor",
    6: "graph",
    10: "tensor",
    11: "graph",
    14: "type",
    15: "type",
    22: "sparseTensor",
    23: "sparseTensor",
  }),
  tensor: schema([1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14]),
  sparseTensor: schema([3], { 1: "tensor", 2: "tensor" }),
  value: schema([1], { 2: "type" }),
  type: schema([7], { 1: "tensorType", 4: "elementType", 5: "mapType", 8: "tensorType", 9: "elementType" }),
  tensorType: schema([1], { 2: "shape" }),
  elementType: schema([], { 1: "type" }),
  mapType: schema([1], { 2: "type" }),
  shape: schema([], { 1: "dimension" }),
  dimension: schema([1, 2]),
  function: schema([1, 4, 5, 6, 10, 13], { 7: "node", 9: "opset", 11: "attribute" }),
  training: schema([], { 1: "graph", 2: "graph" }),
  opset: schema([1, 2]),
};

const NODE_NAME = 3;
/** Fields that hold names of values. */
const VALUE_NAMES: Readonly<Partial<Record<MessageKind, readonly number[]>>> = { node: [1, 2], tensor: [8], value: [1], function: [4, 5] };

/** How messages change. */
export interface Rewriting {
  /** New names of values, and none for nodes; null = those that they have. */
  readonly rename: ((name: string) => string) | null;
  /** Whether to leave out everything that the computation does not depend on. */
  readonly strip: boolean;
  /** The new form of a tensor; null = as {@link Rewriting.strip} says. */
  tensor(message: Slice): Rope | null;
}

/** A changed message; null where nothing changes. Throws `CHECKPOINT_TOO_LARGE` for messages nested too deeply, and as `fields`. */
export function rewrite(message: Slice, kind: MessageKind, rewriting: Rewriting, depth = 0): Rope | null {
  if (depth > MAXIMUM_MESSAGE_DEPTH)
    throw tooLarge(`${message.source.name}: messages inside messages exceed the limit of ${MAXIMUM_MESSAGE_DEPTH}.`);
  const changed = kind === "tensor" ? rewriting.tensor(message) : null;
  if (changed) return changed;
  const { kept, inner } = SCHEMAS[kind];
  return rewriteFields(message, (field) => {
    if (rewriting.strip && !kept.has(field.number)) return [];
    if (rewriting.rename && kind === "node" && field.number === NODE_NAME) return [];
    if (rewriting.rename && VALUE_NAMES[kind]?.includes(field.number)) return [renamed(field, rewriting.rename)];
    const innerKind = inner.get(field.number);
    const innerMessage = innerKind ? rewrite(field.slice(), innerKind, rewriting, depth + 1) : null;
    return innerMessage ? [innerMessage] : null;
  });
}

function renamed(field: Field, rename: (name: string) => string): Rope {
  return new Rope().add(Buffer.from(rename(readName(field))));
}

/**
 * A message with some fields replaced.
 *
 * @param replace the contents that take a field's place, [] to leave it out; null keeps it
 * @returns null where all are kept
 */
export function rewriteFields(message: Slice, replace: (field: Field) => readonly Rope[] | null): Rope | null {
  const rope = new Rope();
  let changed = false;
  for (const field of fields(message)) {
    const contents = replace(field);
    if (contents === null) rope.add(field.raw());
    else {
      changed = true;
      for (const content of contents) rope.bytes(field.number, content);
    }
  }
  return changed ? rope : null;
}

/** Where the data of a tensor are from now on. */
export type TensorData =
  | { readonly raw: Uint8Array | Slice | Hole }
  | { readonly external: { readonly location: string; readonly offset: number; readonly length: number } };

const DATA: ReadonlySet<number> = new Set([
  TensorField.segment,
  TensorField.floatData,
  TensorField.int32Data,
  TensorField.stringData,
  TensorField.int64Data,
  TensorField.doubleData,
  TensorField.uint64Data,
  TensorField.rawData,
  TensorField.externalData,
  TensorField.dataLocation,
]);

/** A tensor whose data lie elsewhere, maybe of another type and shape; the rest of its fields stay. */
export function rewriteTensor(
  message: Slice,
  data: TensorData,
  {
    change,
    strip = false,
    rename = null,
  }: {
    readonly change?: { readonly type: OnnxType; readonly shape: readonly number[] };
    readonly strip?: boolean;
    readonly rename?: Rewriting["rename"];
  } = {},
): Rope {
  const rope = new Rope();
  if (change) addTypeAndShape(rope, change.type, change.shape, message.source.name);
  for (const field of fields(message)) {
    if (DATA.has(field.number) || (strip && !SCHEMAS.tensor.kept.has(field.number))) continue;
    if (change && (field.number === TensorField.dims || field.number === TensorField.dataType)) continue;
    if (rename && field.number === TensorField.name) rope.bytes(TensorField.name, renamed(field, rename));
    else rope.add(field.raw());
  }
  return addData(rope, data);
}

/** A new tensor. Throws `CHECKPOINT_DTYPE_UNSUPPORTED`. */
export function newTensor(name: string, type: OnnxType, shape: readonly number[], data: TensorData): Rope {
  const rope = addTypeAndShape(new Rope(), type, shape, name);
  if (name) rope.bytes(TensorField.name, name);
  return addData(rope, data);
}

function addTypeAndShape(rope: Rope, type: OnnxType, shape: readonly number[], where: string): Rope {
  if (shape.length > 0) rope.bytes(TensorField.dims, encodeVarints(shape.map(BigInt)));
  return rope.varint(TensorField.dataType, elementNumber(type, where));
}

function addData(rope: Rope, data: TensorData): Rope {
  if ("raw" in data) return rope.bytes(TensorField.rawData, data.raw);
  for (const [key, value] of Object.entries(data.external))
    rope.bytes(TensorField.externalData, new Rope().bytes(1, key).bytes(2, String(value)));
  return rope.varint(TensorField.dataLocation, 1);
}

/** Whether a tensor's data lie in another file. */
export function isExternal(message: Slice): boolean {
  for (const field of fields(message)) if (field.number === TensorField.dataLocation) return field.integer() === 1;
  return false;
}

/** Reads a tensor of an opened model again. Throws as `readTensor`. */
export function rereadTensor(message: Slice): OnnxTensor {
  const { path, name } = message.source;
  return readTensor(message, { budget: new FieldBudget(), external: path === null ? null : new ExternalFiles(dirname(path), name) });
}
