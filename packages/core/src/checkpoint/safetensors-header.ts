/**
 * The header of one safetensors file, checked against the format and the size of the file.
 * @module
 */
import { basename } from "node:path";
import { UnseenError } from "../errors.ts";
import { MAXIMUM_TENSORS, checkName, malformed, orderRegions, quote, tensorBytes, tooLarge, truncated } from "./checks.ts";
import { hintFor, openFile } from "./open-file.ts";
import { parseStrictJson, type StrictJson, type StrictJsonLimits, type StrictJsonObject } from "./strict-json.ts";
import type { Format, TensorLocation } from "./tensor.ts";

/** Bytes of one file's JSON header, as in the reference implementation (CWE-770). */
export const MAXIMUM_HEADER_BYTES = 100_000_000;
const HEADER_LIMITS: StrictJsonLimits = { depth: 3, values: 16 * MAXIMUM_TENSORS };
/** The number formats that a safetensors header may name. */
export const SAFETENSORS_FORMATS: ReadonlySet<string> = new Set<Format>([
  "F64",
  "F32",
  "F16",
  "BF16",
  "F8_E4M3",
  "F8_E5M2",
  "I64",
  "I32",
  "I16",
  "I8",
  "U64",
  "U32",
  "U16",
  "U8",
  "BOOL",
]);

/** What one file says. */
export interface SafetensorsHeader {
  /** In the order of the data. */
  readonly tensors: TensorLocation[];
  readonly metadata: Record<string, string>;
}

/** Reads the header of one file. Throws as `openSafetensors`. */
export function readHeader(path: string): SafetensorsHeader {
  const file = openFile(path);
  try {
    if (file.bytes < 8) throw truncated(`${file.name}: ${file.bytes} bytes are too few for a safetensors file.`);
    const start = new Uint8Array(8);
    file.read(0, start);
    const claimed = new DataView(start.buffer).getBigUint64(0, true);
    if (claimed > MAXIMUM_HEADER_BYTES) {
      throw new UnseenError(
        "CHECKPOINT_TOO_LARGE",
        `${file.name}: a header of ${claimed} bytes exceeds the limit of ${MAXIMUM_HEADER_BYTES}.`,
        { hint: hintFor(start) },
      );
    }
    const length = Number(claimed);
    if (8 + length > file.bytes) throw truncated(`${file.name}: its header takes ${length} bytes, but only ${file.bytes - 8} follow.`);
    const header = new Uint8Array(length);
    file.read(8, header);
    // The reference implementation wants the brace first, so that nothing can hide before it.
    if (header[0] !== 0x7b) throw malformed(`${file.name}: expected a header that begins with "{".`, hintFor(start));
    return parseHeader(parseStrictJson(header, `${file.name}: the header`, HEADER_LIMITS), path, 8 + length, file.bytes - 8 - length);
  } finally {
    file.close();
  }
}

/** `data` is the first byte of the data, `bytes` how many there are. */
function parseHeader(header: StrictJsonObject, path: string, data: number, bytes: number): SafetensorsHeader {
  const file = basename(path);
  if (header.size > MAXIMUM_TENSORS) throw tooLarge(`${file}: ${header.size} tensors exceed the limit of ${MAXIMUM_TENSORS}.`);
  let metadata: Record<string, string> = {};
  const claims = [];
  for (const [name, value] of header) {
    if (name === "__metadata__") metadata = parseMetadata(value, file);
    else claims.push(parseTensor(checkName(name, file), value, file));
  }
  const tensors = orderRegions(claims, bytes, 1, file).map(({ name, format, shape, begin, end }): TensorLocation => ({
    name,
    format,
    shape,
    file: path,
    offset: data + begin,
    bytes: end - begin,
  }));
  return { tensors, metadata };
}

function parseMetadata(value: StrictJson, file: string): Record<string, string> {
  if (!(value instanceof Map)) throw malformed(`${file}: expected "__metadata__" to be an object.`);
  const metadata: Record<string, string> = {};
  for (const [key, text] of value as StrictJsonObject) {
    if (typeof text !== "string")
      throw malformed(`${file}: expected "__metadata__" to hold strings only, got another value for ${quote(key)}.`);
    metadata[key] = text;
  }
  return metadata;
}

function parseTensor(
  name: string,
  value: StrictJson,
  file: string,
): { name: string; format: Format; shape: number[]; begin: number; end: number } {
  const where = `${file}: tensor ${name}`;
  if (!(value instanceof Map)) throw malformed(`${where}: expected an object.`);
  const entry = value as StrictJsonObject;
  for (const key of entry.keys())
    if (key !== "dtype" && key !== "shape" && key !== "data_offsets") throw malformed(`${where}: unknown field ${quote(key)}.`);
  const format = entry.get("dtype");
  if (typeof format !== "string") throw malformed(`${where}: expected a string "dtype".`);
  if (!SAFETENSORS_FORMATS.has(format))
    throw new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", `${where}: unknown number format ${quote(format)}.`, {
      hint: "Convert the checkpoint to F32, F16 or BF16 first.",
    });
  const shape = counts(entry.get("shape"), `${where}: "shape"`);
  const offsets = counts(entry.get("data_offsets"), `${where}: "data_offsets"`);
  const [begin, end] = offsets;
  if (offsets.length !== 2 || begin === undefined || end === undefined || begin > end)
    throw malformed(`${where}: expected two ascending "data_offsets".`);
  const expected = tensorBytes(format as Format, shape, where);
  if (end - begin !== expected)
    throw malformed(`${where}: ${format} of shape [${shape.join(", ")}] takes ${expected} bytes, but "data_offsets" span ${end - begin}.`);
  return { name, format: format as Format, shape, begin, end };
}

function counts(value: StrictJson | undefined, where: string): number[] {
  if (
    !Array.isArray(value) ||
    !value.every((item) => typeof item === "number" && Number.isSafeInteger(item) && item >= 0 && !Object.is(item, -0))
  ) {
    throw malformed(`${where}: expected an array of non-negative integers.`);
  }
  return value as number[];
}
