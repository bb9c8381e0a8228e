/**
 * Reads a `TensorProto`: raw bytes, typed fields or external data, each checked against type and shape.
 * @module
 */
import { malformed, quote, tooLarge, truncated } from "./checks.ts";
import type { ExternalFiles } from "./onnx-external.ts";
import { remember } from "./onnx-raw.ts";
import { TensorField, elementCount, elementType, packedBytes, tensorSize, type ElementType } from "./onnx-types.ts";
import type { OnnxTensor, OnnxType } from "./onnx.ts";
import { Wire, eachVarint, fields, fixedRange, Slice, signed, type Field, type FieldBudget } from "./protobuf.ts";
import { MAXIMUM_TEXT_BYTES, readEntries, readName } from "./onnx-text.ts";

const DATA_FIELDS: ReadonlySet<number> = new Set([
  TensorField.floatData,
  TensorField.int32Data,
  TensorField.stringData,
  TensorField.int64Data,
  TensorField.doubleData,
  TensorField.uint64Data,
]);

/** What surrounds a tensor. */
export interface TensorContext {
  readonly budget: FieldBudget;
  /** Null where a model may not have external data. */
  readonly external: ExternalFiles | null;
}

/** The fields of a tensor, its data not yet looked at. */
interface TensorHeader {
  readonly name: string;
  readonly shape: number[];
  readonly element: ElementType;
  readonly raw: Slice | null;
  /** The typed field that occurs; 0 = none. */
  readonly dataField: number;
  readonly external: ReadonlyMap<string, string> | null;
}

/** Throws `CHECKPOINT_MALFORMED`, `CHECKPOINT_TRUNCATED`, `CHECKPOINT_TOO_LARGE`, `CHECKPOINT_DTYPE_UNSUPPORTED`, `CHECKPOINT_MISSING_SHARD`. */
export function readTensor(message: Slice, context: TensorContext): OnnxTensor {
  const header = readHeader(message, context);
  const where = `${message.source.name}: tensor ${quote(header.name)}`;
  if (header.element.type === "string") return readTexts(message, header, where);
  const { name, shape, element } = header;
  const { type } = element;
  const bytes = packedBytes(element.bits, shape, where);
  const { location, read } = header.external
    ? readExternal(header.external, bytes, context.external, where)
    : header.raw && (header.raw.length > 0 || header.dataField === 0)
      ? readRaw(header, header.raw, bytes, where)
      : readTyped(message, header, bytes, where);
  return remember({ name, type, shape, bytes, location, read }, message);
}

function readHeader(message: Slice, { budget }: TensorContext): TensorHeader {
  const single = new Map<number, Field>();
  const external: Field[] = [];
  const shape: number[] = [];
  let dataField = 0;
  for (const field of fields(message)) {
    // Unpacked data are a field per number: those are counted against the shape instead.
    if (DATA_FIELDS.has(field.number)) {
      if (dataField !== 0 && dataField !== field.number)
        throw malformed(`${field.where}: a tensor has data in fields ${dataField} and ${field.number}.`);
      dataField = field.number;
      continue;
    }
    budget.spend(message.source);
    if (field.number === TensorField.dims) {
      eachVarint(field, (low, high) => {
        if (shape.length >= 64) throw tooLarge(`${field.where}: more than 64 dimensions.`);
        shape.push(Number(signed(low, high)));
      });
    } else if (field.number === TensorField.externalData) external.push(field);
    else if (field.number === TensorField.segment) throw malformed(`${field.where}: tensors in segments are not part of any known model.`);
    else if (
      field.number === TensorField.dataType ||
      field.number === TensorField.name ||
      field.number === TensorField.rawData ||
      field.number === TensorField.dataLocation
    ) {
      if (single.has(field.number)) throw malformed(`${field.where}: a tensor has it twice.`);
      single.set(field.number, field);
    }
  }
  const name = readName(single.get(TensorField.name) ?? null);
  const element = elementType(single.get(TensorField.dataType)?.integer() ?? 0, `${message.source.name}: tensor ${quote(name)}`);
  const isExternal = single.get(TensorField.dataLocation)?.integer() === 1;
  const raw = single.get(TensorField.rawData)?.slice() ?? null;
  if (isExternal && ((raw?.length ?? 0) > 0 || dataField !== 0))
    throw malformed(`${message.source.name}: tensor ${quote(name)} has both external and own data.`);
  return { name, shape, element, raw, dataField, external: isExternal ? readEntries(external, budget) : null };
}

type Data = Pick<OnnxTensor, "location" | "read">;

function readRaw({ dataField }: TensorHeader, raw: Slice, bytes: number, where: string): Data {
  if (dataField !== 0) throw malformed(`${where} has both raw and typed data.`);
  checkBytes(raw.length, bytes, where);
  return { location: locate(raw), read: () => raw.read() };
}

function locate(slice: Slice): OnnxTensor["location"] {
  return slice.source.path === null ? null : { file: slice.source.path, offset: slice.begin };
}

function checkBytes(got: number, expected: number, where: string): void {
  if (got !== expected) throw malformed(`${where}: expected ${expected} bytes for its shape, got ${got}.`);
}

function readTyped(message: Slice, { element, dataField }: TensorHeader, bytes: number, where: string): Data {
  if (dataField !== 0 && dataField !== element.field)
    throw malformed(`${where}: expected data of ${element.type} in field ${element.field}, got field ${dataField}.`);
  const fixed = element.field === TensorField.floatData ? Wire.fixed32 : element.field === TensorField.doubleData ? Wire.fixed64 : null;
  let entries = 0;
  let single: Slice | null = null;
  let runs = 0;
  for (const field of dataFields(message, dataField)) {
    if (fixed === null) eachVarint(field, () => void entries++);
    else {
      single = fixedRange(field, fixed);
      entries += single.length / element.entryBytes;
      if (single.length > 0) runs++;
    }
  }
  checkBytes(entries * element.entryBytes, bytes, where);
  // One packed run of floats lies as raw data would.
  const whole = runs === 1 && single !== null && single.length === bytes ? single : null;
  if (whole) return { location: locate(whole), read: () => whole.read() };
  return { location: null, read: () => message.source.holding(() => unpack(message, element, bytes)) };
}

function* dataFields(message: Slice, number: number): Generator<Field> {
  if (number !== 0) for (const field of fields(message)) if (field.number === number) yield field;
}

/** Typed numbers as packed little-endian bytes: the low bits of each, as the reference implementation casts them. */
function unpack(message: Slice, { field: number, entryBytes }: ElementType, bytes: number): Uint8Array {
  const into = new Uint8Array(bytes);
  const view = new DataView(into.buffer);
  let at = 0;
  for (const field of dataFields(message, number)) {
    if (number === TensorField.floatData || number === TensorField.doubleData) {
      const range = fixedRange(field, number === TensorField.floatData ? Wire.fixed32 : Wire.fixed64);
      range.source.fill(range.begin, into.subarray(at, at + range.length));
      at += range.length;
    } else {
      eachVarint(field, (low, high) => {
        if (entryBytes === 1) view.setUint8(at, low & 0xff);
        else if (entryBytes === 2) view.setUint16(at, low & 0xffff, true);
        else view.setUint32(at, low, true);
        if (entryBytes === 8) view.setUint32(at + 4, high, true);
        at += entryBytes;
      });
    }
  }
  return into;
}

function readExternal(entries: ReadonlyMap<string, string>, bytes: number, files: ExternalFiles | null, where: string): Data {
  if (!files) throw malformed(`${where} lies in another file, which a model in memory may not need.`, "Store its data inside the model.");
  const location = entries.get("location");
  if (location === undefined) throw malformed(`${where} lies in another file, but does not name it.`);
  const file = files.find(location);
  const offset = count(entries.get("offset") ?? "0", `${where}: offset`);
  const length = entries.get("length");
  if (length !== undefined) checkBytes(count(length, `${where}: length`), bytes, where);
  if (offset + bytes > file.bytes)
    throw truncated(`${where} takes bytes ${offset} to ${offset + bytes} of ${quote(file.name)}, which has ${file.bytes}.`);
  const slice = new Slice(file, offset, offset + bytes);
  return { location: locate(slice), read: () => slice.read() };
}

function count(text: string, where: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw malformed(`${where}: expected a count of bytes, got ${quote(text)}.`);
  return value;
}

function readTexts(message: Slice, { name, shape, dataField, raw, external }: TensorHeader, where: string): OnnxTensor {
  if (raw || external || (dataField !== 0 && dataField !== TensorField.stringData)) throw malformed(`${where}: expected texts in field 6.`);
  let bytes = 0;
  let texts = 0;
  for (const field of dataFields(message, dataField)) {
    const { length } = field.slice();
    if (length > MAXIMUM_TEXT_BYTES) throw tooLarge(`${where}: ${length} bytes of text exceed the limit of ${MAXIMUM_TEXT_BYTES}.`);
    bytes += length;
    texts++;
  }
  const expected = elementCount(shape, where);
  if (texts !== expected) throw malformed(`${where}: expected ${expected} texts for its shape, got ${texts}.`);
  const read = (): Uint8Array =>
    message.source.holding(() => {
      const into = new Uint8Array(bytes);
      let at = 0;
      for (const field of dataFields(message, dataField)) {
        into.set(field.slice().read(), at);
        at += field.end - field.begin;
      }
      return into;
    });
  return remember({ name, type: "string", shape, bytes, location: null, read }, message);
}

/** A tensor in memory. Throws as `tensorSize`; `CHECKPOINT_MALFORMED` where the bytes do not fit the shape. */
export function tensorOf(name: string, type: OnnxType, shape: readonly number[], data: Uint8Array): OnnxTensor {
  const where = `tensor ${quote(name)}`;
  const bytes = tensorSize(type, shape, where);
  checkBytes(data.length, bytes, where);
  return { name, type, shape, bytes, location: null, read: () => data.slice() };
}
