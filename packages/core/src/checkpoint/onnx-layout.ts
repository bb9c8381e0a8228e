/**
 * Plans and writes a changed ONNX model: new tensors, other nodes, other ends; the rest byte for byte as it was.
 * @module
 */
import { basename, join } from "node:path";
import { UnseenError } from "../errors.ts";
import { checkName, quote, tooLarge } from "./checks.ts";
import { MAXIMUM_MODEL_BYTES, encodeEntry, encodeNode, encodeValueInfo, type Keep } from "./onnx-encode.ts";
import { recall } from "./onnx-raw.ts";
import {
  isExternal,
  newTensor,
  rereadTensor,
  rewrite,
  rewriteFields,
  rewriteTensor,
  type MessageKind,
  type Rewriting,
  type TensorData,
} from "./onnx-rewrite.ts";
import { readName } from "./onnx-text.ts";
import { tensorSize } from "./onnx-types.ts";
import type { OnnxModel, OnnxNode, OnnxTensor, OnnxType, OnnxValueInfo } from "./onnx.ts";
import { Rope, joinParts, type Hole, type Part } from "./protobuf-write.ts";
import { ByteSource, Slice, fields, type Field } from "./protobuf.ts";
import { createFiles, openForWriting } from "./writer.ts";

/** A model file larger than this gets its tensors outside; parsers count in 31 bits. */
const LARGE_MODEL_BYTES = 1.9e9;
/** Then, tensors of more bytes go outside. */
const SMALL_TENSOR_BYTES = 1024;
/** External tensors begin at a page, so that engines can map them. */
const EXTERNAL_ALIGNMENT = 4096;
/** Bytes of one piece at most. */
const PIECE_BYTES = 4 * 2 ** 20;

/** What changes. */
export interface OnnxEdit {
  /** New data of initializers, by name; the caller writes the bytes at {@link OnnxLayout.locations}. Names may be new. */
  readonly tensors: ReadonlyMap<string, { readonly type: OnnxType; readonly shape: readonly number[] }>;
  /** Initializers to leave out. */
  readonly removed?: ReadonlySet<string>;
  /** What takes a node's place, by its index in the file; [] leaves it out. Nodes that were read keep their bytes. */
  readonly nodes?: ReadonlyMap<number, readonly OnnxNode[]>;
  /** Replace the graph's. */
  readonly inputs?: readonly OnnxValueInfo[];
  readonly outputs?: readonly OnnxValueInfo[];
  /** Replaces all of it. */
  readonly metadata?: ReadonlyMap<string, string>;
  /**
   * Leave out all that the computation does not depend on and that could tell where it comes from: documentation, inner value infos,
   * metadata (unless given), producer, training information, unknown fields; the graph becomes "graph".
   */
  readonly strip?: boolean;
  /** Name all values but inputs and outputs by numbers, inside inner graphs and functions too, and nodes not at all. */
  readonly anonymous?: boolean;
}

/** Where a tensor's bytes go. */
export interface OnnxLocation {
  /** Name of one of the layout's files. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  readonly type: OnnxType;
  readonly shape: readonly number[];
}

/** Files to write. */
export interface OnnxLayout {
  /** The model, then its external data. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** Everything but the edited tensors, in pieces of a few megabytes; bytes that neither names are zero. */
  readonly pieces: readonly { readonly file: string; readonly offset: number; read(): Uint8Array }[];
  /** By name: the edited tensors. */
  readonly locations: ReadonlyMap<string, OnnxLocation>;
}

export interface OnnxLayoutOptions {
  /** Name of the model file; external data go to the same name with `.data` appended. */
  readonly fileName: string;
  /** Initializers of more bytes go outside, all others inside. Default: where they were; all over 1 KiB where the model would exceed 1.9 GB. */
  readonly externalAbove?: number;
}

/**
 * Plans the files of a changed model. With nothing to change they are those that were read.
 *
 * @param model as `openOnnx` returned it
 * @throws UnseenError `CHECKPOINT_TOO_LARGE` for a structure of 2 GiB; `CHECKPOINT_DTYPE_UNSUPPORTED` and others for tensors and names that
 *   a reader would refuse; `INTERNAL` for an edit of what the model does not have
 */
export function layoutOnnx(model: OnnxModel, edit: OnnxEdit, options: OnnxLayoutOptions): OnnxLayout {
  const message = recall(model);
  if (!message) throw internal("a layout needs a model that was opened, not a copy of one.");
  checkEdit(model, edit);
  return message.source.holding(() => {
    let plan = new Plan(model, message, edit, options);
    if (plan.model.length > LARGE_MODEL_BYTES && options.externalAbove === undefined)
      plan = new Plan(model, message, edit, { ...options, externalAbove: SMALL_TENSOR_BYTES });
    if (plan.model.length > MAXIMUM_MODEL_BYTES)
      throw tooLarge(`${options.fileName}: a model file of ${plan.model.length} bytes exceeds the limit of ${MAXIMUM_MODEL_BYTES}.`);
    return plan.layout();
  });
}

/** Writes the files of a layout into a directory. Throws `OUTPUT_EXISTS`, `DISK_FULL`, `PERMISSION_DENIED`. */
export function writeOnnx(layout: OnnxLayout, directory: string, data: (name: string) => Uint8Array): void {
  createFiles(
    directory,
    layout.files.map(({ name, bytes }) => ({ name, bytes, header: new Uint8Array(0) })),
  );
  for (const { name } of layout.files) {
    const writer = openForWriting(join(directory, name));
    try {
      for (const piece of layout.pieces) if (piece.file === name) writer.write(piece.offset, piece.read());
      for (const [tensor, { file, offset, bytes }] of layout.locations) {
        if (file !== name) continue;
        const content = data(tensor);
        if (content.length !== bytes) throw internal(`tensor ${quote(tensor)} must have ${bytes} bytes, got ${content.length}.`);
        writer.write(offset, content);
      }
    } finally {
      writer.close();
    }
  }
}

function checkEdit({ graph }: OnnxModel, { tensors, removed = new Set(), nodes = new Map() }: OnnxEdit): void {
  for (const name of tensors.keys()) checkName(name, "the model to write");
  for (const name of removed)
    if (!graph.initializers.has(name) || tensors.has(name))
      throw internal(`tensor ${quote(name)} cannot be left out: it is not there, or edited.`);
  for (const index of nodes.keys()) if (!graph.nodes[index]) throw internal(`there is no node ${index} to replace.`);
}

function internal(message: string): UnseenError {
  return new UnseenError("INTERNAL", message);
}

/** One way of laying out the files. */
class Plan {
  readonly model: Rope;
  readonly #data = new Rope();
  readonly #source: OnnxModel;
  readonly #edit: OnnxEdit;
  readonly #fileName: string;
  /** Null = where they were. */
  readonly #externalAbove: number | null;
  /** External data stay in the files they were in. */
  readonly #keepsFiles: boolean;
  /** Messages must be walked for what is inside; null = they stay as they are. */
  readonly #rewriting: Rewriting | null;
  readonly #rename: Rewriting["rename"];
  /** Initializers that are no inputs from now on, though the file lists them there. */
  readonly #constants: ReadonlySet<string>;
  /** Files that were opened to take external data from, by path. */
  readonly #sources = new Map<string, ByteSource>();

  constructor(source: OnnxModel, message: Slice, edit: OnnxEdit, { fileName, externalAbove }: OnnxLayoutOptions) {
    const { tensors, removed = new Set<string>(), nodes, strip = false } = edit;
    this.#source = source;
    this.#edit = edit;
    this.#fileName = fileName;
    this.#externalAbove = externalAbove ?? null;
    this.#keepsFiles = externalAbove === undefined && !strip && tensors.size + removed.size + (nodes?.size ?? 0) === 0;
    // IR 3 lists all initializers as inputs, which whoever runs the model may override; IR 4 made that a choice.
    const all = edit.inputs || (source.irVersion < 4 && tensors.size + removed.size > 0);
    this.#constants = new Set([...(all ? source.graph.initializers.keys() : []), ...tensors.keys(), ...removed]);
    const movesFiles = !this.#keepsFiles && source.files.length > 1;
    const rename = edit.anonymous ? numbering(source, edit) : null;
    const tensor: Rewriting["tensor"] = (inner) =>
      movesFiles && isExternal(inner) ? rewriteTensor(inner, this.#moveOut(rereadTensor(inner)), { strip, rename }) : null;
    this.#rewriting = strip || rename || movesFiles ? { strip, rename, tensor } : null;
    this.#rename = rename;
    this.#sources.set(source.path, message.source);
    this.model = this.#rewriteModel(message);
  }

  layout(): OnnxLayout {
    const files = [{ name: this.#fileName, rope: this.model }];
    if (this.#data.length > 0) files.push({ name: this.#dataName, rope: this.#data });
    if (this.#keepsFiles) for (const path of this.#source.files.slice(1)) files.push({ name: basename(path), rope: this.#wholeFile(path) });
    if (new Set(files.map(({ name }) => name)).size < files.length)
      throw internal(`${quote(this.#fileName)} is the name of the model's external data.`);
    const pieces: { file: string; offset: number; read(): Uint8Array }[] = [];
    const locations = new Map<string, OnnxLocation>();
    for (const { name: file, rope } of files) {
      for (const { offset, content } of cut(rope)) {
        if (Array.isArray(content)) pieces.push({ file, offset, read: () => joinParts(content) });
        else locations.set(content.name, { file, offset, bytes: content.length, ...this.#edit.tensors.get(content.name)! });
      }
    }
    return { files: files.map(({ name, rope }) => ({ name, bytes: rope.length })), pieces, locations };
  }

  get #dataName(): string {
    return `${this.#fileName}.data`;
  }

  #rewriteModel(message: Slice): Rope {
    const { strip, metadata } = this.#edit;
    const raises = this.#source.irVersion < 4 && this.#constants.size > 0;
    const changed = rewriteFields(message, (field) => {
      switch (field.number) {
        case 1:
          return raises ? [] : null;
        case 7:
          return list(this.#rewriteGraph(field.slice()));
        case 8:
          return this.#rewrite(field, "opset");
        case 14:
          return metadata || strip ? [] : null;
        case 25:
          return this.#rewrite(field, "function");
        case 20:
          return strip ? [] : this.#rewrite(field, "training");
        default:
          return strip ? [] : null;
      }
    });
    const rope = new Rope();
    if (raises) rope.varint(1, 4);
    rope.append(changed ?? message);
    for (const [key, value] of metadata ?? []) rope.bytes(14, encodeEntry(key, value));
    return rope;
  }

  #rewriteGraph(message: Slice): Rope | null {
    const { strip, inputs, outputs, tensors } = this.#edit;
    const { initializers } = this.#source.graph;
    const places = new Map([...initializers.values()].map((tensor) => [recall(tensor)!.begin, tensor]));
    const stale = this.#staleNames();
    let index = 0;
    const kept = rewriteFields(message, (field) => {
      switch (field.number) {
        case 1:
          return this.#rewriteNode(field, index++);
        case 2:
          return strip ? [new Rope().add(Buffer.from("graph"))] : null;
        case 5:
          return this.#rewriteInitializer(field, places.get(field.begin)!);
        case 11:
          return inputs || this.#constants.has(valueName(field)) ? [] : this.#rewrite(field, "value");
        case 12:
          return outputs ? [] : this.#rewrite(field, "value");
        case 13:
          return strip || stale.has(valueName(field)) ? [] : this.#rewrite(field, "value");
        default:
          return strip ? [] : null;
      }
    });
    const added = new Rope();
    for (const [name, { type, shape }] of tensors)
      if (!initializers.has(name))
        added.bytes(5, newTensor(this.#rename?.(name) ?? name, type, shape, this.#hole(name, type, shape, null)));
    for (const info of inputs ?? []) added.bytes(11, encodeValueInfo(info, this.#keep));
    for (const info of outputs ?? []) added.bytes(12, encodeValueInfo(info, this.#keep));
    if (kept === null && added.length === 0) return null;
    return new Rope().append(kept ?? message).append(added);
  }

  /** Values of which an inner value info may now be wrong. */
  #staleNames(): Set<string> {
    const { tensors, removed = [], nodes = [] } = this.#edit;
    const { graph } = this.#source;
    const reshaped = [...tensors].filter(([name, { type, shape }]) => {
      const old = graph.initializers.get(name);
      return old?.type !== type || String(old.shape) !== String(shape);
    });
    return new Set([...reshaped.map(([name]) => name), ...removed, ...[...nodes].flatMap(([index]) => graph.nodes[index]!.outputs)]);
  }

  #rewriteNode(field: Field, index: number): readonly Rope[] | null {
    const replacement = this.#edit.nodes?.get(index);
    return replacement ? replacement.map((node) => this.#encodeNode(node)) : this.#rewrite(field, "node");
  }

  #encodeNode(node: OnnxNode): Rope {
    const rename = this.#rename;
    if (!rename || recall(node)) return encodeNode(node, this.#keep);
    return encodeNode({ ...node, name: "", inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) }, this.#keep);
  }

  #rewriteInitializer(field: Field, tensor: OnnxTensor): readonly Rope[] | null {
    const { tensors, removed, strip = false } = this.#edit;
    const { name } = tensor;
    if (removed?.has(name)) return [];
    const change = tensors.get(name);
    if (change)
      return [rewriteTensor(field.slice(), this.#hole(name, change.type, change.shape, tensor), { change, strip, rename: this.#rename })];
    const outside = this.#goesOutside(tensor.bytes, tensor);
    if (this.#keepsFiles || tensor.type === "string" || (!outside && !this.#isOutside(tensor))) return this.#rewrite(field, "tensor");
    return [rewriteTensor(field.slice(), outside ? this.#moveOut(tensor) : { raw: this.#dataOf(tensor) }, { strip, rename: this.#rename })];
  }

  /** The place of a tensor that the caller writes. */
  #hole(name: string, type: OnnxType, shape: readonly number[], old: OnnxTensor | null): TensorData {
    const length = tensorSize(type, shape, `tensor ${quote(name)}`);
    const hole = { name, length };
    return this.#goesOutside(length, old) ? this.#putOutside(hole) : { raw: hole };
  }

  #goesOutside(bytes: number, old: OnnxTensor | null): boolean {
    if (this.#externalAbove !== null) return bytes > this.#externalAbove;
    return old ? this.#isOutside(old) : this.#source.files.length > 1 && bytes > SMALL_TENSOR_BYTES;
  }

  #isOutside({ location }: OnnxTensor): boolean {
    return location !== null && location.file !== this.#source.path;
  }

  #moveOut(tensor: OnnxTensor): TensorData {
    return this.#putOutside(this.#dataOf(tensor));
  }

  #putOutside(part: Part): TensorData {
    this.#data.add(new Uint8Array((EXTERNAL_ALIGNMENT - (this.#data.length % EXTERNAL_ALIGNMENT)) % EXTERNAL_ALIGNMENT));
    const offset = this.#data.length;
    this.#data.add(part);
    return { external: { location: this.#dataName, offset, length: part.length } };
  }

  /** The bytes of an unchanged tensor: their place, or what typed fields unpack to. */
  #dataOf({ location, bytes, read }: OnnxTensor): Uint8Array | Slice {
    return location ? new Slice(this.#sourceOf(location.file), location.offset, location.offset + bytes) : read();
  }

  #sourceOf(path: string): ByteSource {
    const source = this.#sources.get(path) ?? ByteSource.file(path);
    this.#sources.set(path, source);
    return source;
  }

  #wholeFile(path: string): Rope {
    const source = this.#sourceOf(path);
    return new Rope().add(new Slice(source, 0, source.bytes));
  }

  readonly #keep: Keep = (message, kind) => (this.#rewriting && rewrite(message, kind, this.#rewriting)) ?? new Rope().add(message);

  #rewrite(field: Field, kind: MessageKind): readonly Rope[] | null {
    return this.#rewriting && list(rewrite(field.slice(), kind, this.#rewriting));
  }
}

function list(rope: Rope | null): readonly Rope[] | null {
  return rope && [rope];
}

/** New names in the order in which they are met: v0, v1, ... */
function numbering({ graph }: OnnxModel, { inputs = graph.inputs, outputs = graph.outputs }: OnnxEdit): (name: string) => string {
  const kept = new Set(["", ...[...inputs, ...outputs].map(({ name }) => name)]);
  const names = new Map<string, string>();
  let count = 0;
  return (name) => {
    const known = kept.has(name) ? name : names.get(name);
    if (known !== undefined) return known;
    let next = `v${count++}`;
    while (kept.has(next)) next = `v${count++}`;
    names.set(name, next);
    return next;
  };
}

/** The name of a `ValueInfoProto`. */
function valueName(field: Field): string {
  for (const inner of fields(field.slice())) if (inner.number === 1) return readName(inner);
  return "";
}

/** A rope as holes and as runs of parts between them, each of {@link PIECE_BYTES} at most. */
function* cut(rope: Rope): Generator<{ readonly offset: number; readonly content: Hole | Part[] }> {
  let offset = 0; // where `run` begins
  let run: Part[] = [];
  let length = 0;
  for (const part of rope.parts) {
    if ("name" in part) {
      if (length > 0) yield { offset, content: run };
      yield { offset: offset + length, content: part };
      offset += length + part.length;
      [run, length] = [[], 0];
      continue;
    }
    for (let begin = 0; begin < part.length;) {
      const end = Math.min(part.length, begin + PIECE_BYTES - length);
      run.push(part instanceof Slice ? new Slice(part.source, part.begin + begin, part.begin + end) : part.subarray(begin, end));
      length += end - begin;
      begin = end;
      if (length < PIECE_BYTES) continue;
      yield { offset, content: run };
      offset += length;
      [run, length] = [[], 0];
    }
  }
  if (length > 0) yield { offset, content: run };
}
