/**
 * GGUF files, as llama.cpp reads them: opens headers, plans new files.
 *
 * Version 2 or 3, little-endian: magic, counts, typed metadata, tensor infos, padding, data
 * (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Dimensions lie innermost first in the file, outermost first here.
 * @module
 */
import { realpath } from "node:fs/promises";
import { UnseenError, explainSystemError } from "../errors.ts";
import { MAXIMUM_TENSORS, checkName, malformed, orderRegions, quote, tensorBytes, tooLarge } from "./checks.ts";
import { NUMBERS, TENSOR_TYPES, VALUE_TYPES, WireReader, WireWriter, type GgufNumberType, type GgufScalarType } from "./gguf-wire.ts";
import { hintFor, openFile, type OpenFile } from "./open-file.ts";
import type { Format, TensorLocation } from "./tensor.ts";

/** Metadata entries (CWE-770); files have about 40. */
export const MAXIMUM_METADATA_ENTRIES = 65_536;
/** Items of one metadata array (CWE-770); the largest known list of merges has about 515,000. */
export const MAXIMUM_ARRAY_ITEMS = 2 ** 22;
/** Bytes of a metadata key (the specification's limit). */
export const MAXIMUM_KEY_BYTES = 65_535;
/** Bytes that tensors may be aligned to. */
export const MAXIMUM_ALIGNMENT = 65_536;
/** Dimensions of a GGUF tensor (`GGML_MAX_DIMS`). */
export const MAXIMUM_GGUF_RANK = 4;
/** Bytes of a tensor's name that llama.cpp accepts (`GGML_MAX_NAME` with its final zero). */
export const MAXIMUM_GGUF_NAME_BYTES = 63;

const MAGIC = 0x46554747; // "GGUF"
const DEFAULT_ALIGNMENT = 32;

/** A metadata value with its type, so that writing it gives the bytes that were read. */
export type GgufValue =
  | { readonly type: GgufNumberType; readonly value: number }
  | { readonly type: "u64" | "i64"; readonly value: bigint }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | GgufArray;

/** An array of scalars; arrays of arrays do not occur and are refused, as llama.cpp does. */
export type GgufArray =
  | { readonly type: "array"; readonly of: GgufNumberType; readonly value: readonly number[] }
  | { readonly type: "array"; readonly of: "u64" | "i64"; readonly value: readonly bigint[] }
  | { readonly type: "array"; readonly of: "bool"; readonly value: readonly boolean[] }
  | { readonly type: "array"; readonly of: "string"; readonly value: readonly string[] };

/** The header of a GGUF file. */
export interface Gguf {
  /** In the order of the file. */
  readonly metadata: Map<string, GgufValue>;
  /** By name, in the order of the data. */
  readonly tensors: Map<string, TensorLocation>;
  /** Absolute path. */
  readonly file: string;
  readonly alignment: number;
}

/**
 * Reads the header of a GGUF file. Quantised tensors get a format `GGML_...`, so that a caller can name what it refuses.
 *
 * @throws UnseenError `CHECKPOINT_NOT_FOUND`, `CHECKPOINT_TRUNCATED`, `CHECKPOINT_MALFORMED`, `CHECKPOINT_TOO_LARGE`,
 *   `CHECKPOINT_OVERLAP`, `CHECKPOINT_DUPLICATE`, `CHECKPOINT_DTYPE_UNSUPPORTED`, `CHECKPOINT_MISSING_SHARD` for one part of
 *   a split file, `PERMISSION_DENIED`
 */
export async function openGguf(path: string): Promise<Gguf> {
  const absolute = await realpath(path).catch((error: unknown) => {
    throw explainSystemError(error, path);
  });
  const file = openFile(absolute);
  try {
    return readHeader(file);
  } finally {
    file.close();
  }
}

function readHeader(file: OpenFile): Gguf {
  const reader = new WireReader(file);
  if (file.bytes >= 4 && reader.u32() !== MAGIC) {
    const start = new Uint8Array(Math.min(8, file.bytes));
    file.read(0, start);
    throw malformed(`${file.name}: expected a file that begins with "GGUF".`, hintFor(start));
  }
  const version = reader.u32();
  if (version !== 2 && version !== 3) {
    const bigEndian = version !== 0 && (version & 0xffff) === 0;
    throw malformed(
      `${file.name}: expected GGUF version 2 or 3, little-endian, got ${bigEndian ? "a big-endian file" : `version ${version}`}.`,
      "Convert the model again with a current converter.",
    );
  }
  const tensorCount = reader.count("tensors", 24, MAXIMUM_TENSORS);
  const entryCount = reader.count("metadata entries", 13, MAXIMUM_METADATA_ENTRIES);
  const metadata = readMetadata(reader, entryCount, file.name);
  requireWhole(metadata, file.name);
  const alignment = alignmentOf(metadata, file.name);
  const infos = Array.from({ length: tensorCount }, () => readTensorInfo(reader, file.name));
  const data = Math.ceil(reader.position / alignment) * alignment;
  // A file without tensors (a vocabulary) may end where its header does.
  const bytes = Math.max(0, file.bytes - data);
  const tensors = new Map<string, TensorLocation>();
  for (const { begin, end } of infos)
    if (begin % alignment !== 0)
      throw malformed(`${file.name}: expected tensors at multiples of ${alignment}, got offset ${begin} (to ${end}).`);
  for (const { name, format, shape, begin, end } of orderRegions(infos, bytes, alignment, file.name)) {
    if (tensors.has(name)) throw duplicate(file.name, "tensor", name);
    tensors.set(name, { name, format, shape, file: file.path, offset: data + begin, bytes: end - begin });
  }
  return { metadata, tensors, file: file.path, alignment };
}

function readMetadata(reader: WireReader, count: number, file: string): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let index = 0; index < count; index++) {
    const key = checkName(reader.string("a metadata key", MAXIMUM_KEY_BYTES), file);
    if (metadata.has(key)) throw duplicate(file, "metadata key", key);
    metadata.set(key, readValue(reader, `${file}: ${key}`));
  }
  return metadata;
}

function readValue(reader: WireReader, where: string): GgufValue {
  const type = readType(reader, where);
  if (type !== "array") return { type, value: readScalar(reader, type, where) } as GgufValue;
  const of = readType(reader, where);
  if (of === "array") throw malformed(`${where}: expected an array of scalars, got an array of arrays.`);
  const count = reader.count(`items of ${where}`, minimumBytes(of), MAXIMUM_ARRAY_ITEMS);
  const value: unknown[] = [];
  for (let index = 0; index < count; index++) value.push(readScalar(reader, of, where));
  return { type, of, value } as GgufValue;
}

function readType(reader: WireReader, where: string): GgufScalarType | "array" {
  const id = reader.u32();
  const type = VALUE_TYPES[id];
  if (!type) throw malformed(`${where}: expected a value type below ${VALUE_TYPES.length}, got ${id}.`);
  return type;
}

function readScalar(reader: WireReader, type: GgufScalarType, where: string): number | bigint | boolean | string {
  switch (type) {
    case "string":
      return reader.string(where);
    case "bool": {
      const byte = reader.take(1).getUint8(0);
      if (byte > 1) throw malformed(`${where}: expected a boolean of 0 or 1, got ${byte}.`);
      return byte === 1;
    }
    case "u64":
      return reader.u64();
    case "i64":
      return reader.i64();
    default:
      return NUMBERS[type].read(reader.take(NUMBERS[type].bytes), 0);
  }
}

function minimumBytes(type: GgufScalarType): number {
  if (type === "bool") return 1;
  return type === "string" || type === "u64" || type === "i64" ? 8 : NUMBERS[type].bytes;
}

/** `llama-gguf-split` spreads a model over files that each hold a part of the tensors. */
function requireWhole(metadata: ReadonlyMap<string, GgufValue>, file: string): void {
  const parts = metadata.get("split.count");
  if (parts === undefined || Number(parts.value) <= 1) return;
  throw new UnseenError("CHECKPOINT_MISSING_SHARD", `${file} is one of ${quote(String(parts.value))} parts of a model.`, {
    hint: "Join them first: llama-gguf-split --merge FIRST-PART WHOLE.gguf.",
  });
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, file: string): number {
  const value = metadata.get("general.alignment");
  if (value === undefined) return DEFAULT_ALIGNMENT;
  if (value.type !== "u32") throw malformed(`${file}: expected general.alignment of type u32, got ${value.type}.`);
  return checkAlignment(value.value, file);
}

function checkAlignment(alignment: number, where: string): number {
  if (alignment < 1 || alignment > MAXIMUM_ALIGNMENT || !Number.isInteger(Math.log2(alignment))) {
    throw malformed(`${where}: expected general.alignment to be a power of two up to ${MAXIMUM_ALIGNMENT}, got ${alignment}.`);
  }
  return alignment;
}

interface TensorInfo {
  readonly name: string;
  readonly format: Format;
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

function readTensorInfo(reader: WireReader, file: string): TensorInfo {
  const name = checkName(reader.string("a tensor's name", MAXIMUM_KEY_BYTES), file);
  const where = `${file}: tensor ${name}`;
  const rank = reader.u32();
  if (rank > MAXIMUM_GGUF_RANK) throw tooLarge(`${where}: ${rank} dimensions exceed the limit of ${MAXIMUM_GGUF_RANK}.`);
  const shape = Array.from({ length: rank }, () => Number(reader.u64())).toReversed();
  if (shape.includes(0)) throw malformed(`${where}: expected positive dimensions, got 0.`);
  const type = reader.u32();
  const format = TENSOR_TYPES.get(type);
  if (!format)
    throw new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", `${where}: unknown ggml type ${type}.`, {
      hint: "Start from the F16, BF16, F32 or Q8_0 file of the same model.",
    });
  const bytes = tensorBytes(format, shape, where);
  const begin = Number(reader.u64());
  // From 2^53 on Number() rounds; such an offset lies beyond any file (CWE-190).
  if (!Number.isSafeInteger(begin + bytes)) throw tooLarge(`${where}: offset ${begin} exceeds 2^53.`);
  return { name, format, shape, begin, end: begin + bytes };
}

function duplicate(file: string, what: string, name: string): UnseenError {
  return new UnseenError("CHECKPOINT_DUPLICATE", `${file}: ${what} ${name} occurs twice.`, {
    hint: "The file is damaged or hostile; download it again.",
  });
}

/** A new file: header, size, and where the tensors' data go. */
export interface GgufLayout {
  /** Everything before the data, padded. */
  readonly header: Uint8Array;
  /** Size of the file. */
  readonly bytes: number;
  readonly locations: Map<string, Omit<TensorLocation, "file">>;
}

/**
 * Plans a GGUF file of version 3 with metadata and tensors in the given order.
 *
 * @param options.alignment default: `general.alignment` of the metadata, else 32
 * @throws UnseenError `CHECKPOINT_DUPLICATE`; `CHECKPOINT_DTYPE_UNSUPPORTED` for a format that GGUF lacks;
 *   `CHECKPOINT_MALFORMED`, `CHECKPOINT_TOO_LARGE` for names, shapes and values that a reader would refuse
 */
export function layoutGguf(
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly { readonly name: string; readonly format: Format; readonly shape: readonly number[] }[],
  options: { readonly alignment?: number } = {},
): GgufLayout {
  const where = "the GGUF file to write";
  const entries = new Map(metadata);
  const alignment = checkAlignment(options.alignment ?? alignmentOf(metadata, where), where);
  if (alignment !== alignmentOf(metadata, where)) entries.set("general.alignment", { type: "u32", value: alignment });
  const writer = new WireWriter();
  writer.u32(MAGIC);
  writer.u32(3);
  writer.u64(tensors.length);
  writer.u64(entries.size);
  for (const [key, value] of entries) {
    writer.string(checkName(key, where));
    writeValue(writer, value, `${where}: ${key}`);
  }
  const locations = new Map<string, Omit<TensorLocation, "file">>();
  let end = 0;
  for (const { name, format, shape } of tensors) {
    const bytes = writeTensorInfo(writer, { name, format, shape, begin: end }, `${where}: tensor ${name}`);
    if (locations.has(name)) throw duplicate(where, "tensor", name);
    locations.set(name, { name, format, shape, offset: end, bytes });
    end = Math.ceil((end + bytes) / alignment) * alignment;
  }
  writer.align(alignment);
  const header = writer.bytes();
  for (const [name, location] of locations) locations.set(name, { ...location, offset: header.length + location.offset });
  return { header, bytes: header.length + end, locations };
}

const TYPE_NUMBERS: ReadonlyMap<Format, number> = new Map([...TENSOR_TYPES].map(([number, format]) => [format, number]));

function writeTensorInfo(
  writer: WireWriter,
  tensor: { name: string; format: Format; shape: readonly number[]; begin: number },
  where: string,
): number {
  const { name, format, shape, begin } = tensor;
  checkName(name, where);
  if (Buffer.byteLength(name) > MAXIMUM_GGUF_NAME_BYTES)
    throw tooLarge(`${where}: the name exceeds the limit of ${MAXIMUM_GGUF_NAME_BYTES} bytes.`);
  if (shape.length > MAXIMUM_GGUF_RANK) throw tooLarge(`${where}: ${shape.length} dimensions exceed the limit of ${MAXIMUM_GGUF_RANK}.`);
  if (shape.includes(0)) throw malformed(`${where}: expected positive dimensions, got 0.`);
  const type = TYPE_NUMBERS.get(format);
  if (type === undefined)
    throw new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", `${where}: GGUF cannot hold ${format}.`, { hint: "Use F32, F16, BF16 or Q8_0." });
  const bytes = tensorBytes(format, shape, where);
  writer.string(name);
  writer.u32(shape.length);
  for (const size of shape.toReversed()) writer.u64(size);
  writer.u32(type);
  writer.u64(begin);
  return bytes;
}

function writeValue(writer: WireWriter, entry: GgufValue, where: string): void {
  writer.u32(VALUE_TYPES.indexOf(entry.type));
  if (entry.type !== "array") return writeScalar(writer, entry.type, entry.value, where);
  if (entry.value.length > MAXIMUM_ARRAY_ITEMS)
    throw tooLarge(`${where}: ${entry.value.length} items exceed the limit of ${MAXIMUM_ARRAY_ITEMS}.`);
  writer.u32(VALUE_TYPES.indexOf(entry.of));
  writer.u64(entry.value.length);
  for (const item of entry.value) writeScalar(writer, entry.of, item, where);
}

function writeScalar(writer: WireWriter, type: GgufScalarType, value: number | bigint | boolean | string, where: string): void {
  if (type === "string" && typeof value === "string" && value.isWellFormed()) return writer.string(value);
  if (type === "bool" && typeof value === "boolean") return writer.grow(1).setUint8(0, value ? 1 : 0);
  if (type === "u64" && typeof value === "bigint" && BigInt.asUintN(64, value) === value) return writer.u64(value);
  if (type === "i64" && typeof value === "bigint" && BigInt.asIntN(64, value) === value) return writer.grow(8).setBigInt64(0, value, true);
  if (typeof value === "number" && type in NUMBERS) {
    const codec = NUMBERS[type as GgufNumberType];
    if (codec.holds(value)) return codec.write(writer.grow(codec.bytes), 0, value);
  }
  throw malformed(
    `${where}: ${typeof value === "string" ? "the text" : String(value)} does not fit type ${type}.`,
    "Correct the metadata.",
  );
}
