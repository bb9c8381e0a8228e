/**
 * safetensors checkpoints, one file or shards with an index: reads headers, plans new files.
 *
 * A file is an 8-byte little-endian length, a JSON header of that length, then the data of all tensors without a gap
 * (https://huggingface.co/docs/safetensors). The sharding is that of `transformers`.
 * @module
 */
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { UnseenError, explainSystemError } from "../errors.ts";
import { MAXIMUM_TENSORS, checkName, malformed, quote, tensorBytes, tooLarge } from "./checks.ts";
import { blockSize } from "./format.ts";
import { readWhole } from "./open-file.ts";
import { MAXIMUM_HEADER_BYTES, SAFETENSORS_FORMATS, readHeader } from "./safetensors-header.ts";
import { parseStrictJson, type StrictJson, type StrictJsonLimits, type StrictJsonObject } from "./strict-json.ts";
import type { Format, TensorLocation } from "./tensor.ts";
import type { FilePlan } from "./writer.ts";

/** Bytes of `model.safetensors.index.json` (CWE-770). */
export const MAXIMUM_INDEX_BYTES = 100_000_000;
/** Files of one checkpoint (CWE-770). */
export const MAXIMUM_SHARDS = 10_000;
const INDEX_LIMITS: StrictJsonLimits = { depth: 8, values: 2 * MAXIMUM_TENSORS };

/** The headers of a checkpoint. */
export interface Safetensors {
  /** By name, file by file, in the order of the data. */
  readonly tensors: Map<string, TensorLocation>;
  /** `__metadata__` of the first file. */
  readonly metadata: Record<string, string>;
  /** Absolute paths. */
  readonly files: string[];
}

/**
 * Reads the headers of a checkpoint.
 *
 * @param path a `.safetensors` file, an `.index.json` file, or a directory with `model.safetensors`,
 *   `model.safetensors.index.json` or a single other `.safetensors` file (in this order)
 * @throws UnseenError `CHECKPOINT_NOT_FOUND`, `CHECKPOINT_TRUNCATED`, `CHECKPOINT_MALFORMED`, `CHECKPOINT_TOO_LARGE`,
 *   `CHECKPOINT_OVERLAP`, `CHECKPOINT_DUPLICATE`, `CHECKPOINT_MISSING_SHARD`, `CHECKPOINT_MISSING_TENSOR`,
 *   `CHECKPOINT_DTYPE_UNSUPPORTED`, `PERMISSION_DENIED`
 */
export async function openSafetensors(path: string): Promise<Safetensors> {
  const entry = await findEntry(path);
  if (entry.endsWith(".json")) return openShards(entry);
  const { tensors, metadata } = readHeader(entry);
  return { tensors: byName(tensors), metadata, files: [entry] };
}

/** The absolute path of the file to start with. */
async function findEntry(path: string): Promise<string> {
  const status = await stat(path).catch((error: unknown) => {
    throw explainSystemError(error, path);
  });
  const absolute = await realpath(path);
  // A file may be named through any link: whoever named it chose so.
  if (!status.isDirectory()) return path.endsWith(".json") ? absoluteIndex(path) : absolute;
  const names = (await readdir(absolute)).filter((name) => name.endsWith(".safetensors") || name.endsWith(".safetensors.index.json"));
  const others = names.filter((name) => name.endsWith(".safetensors"));
  const name =
    ["model.safetensors", "model.safetensors.index.json"].find((candidate) => names.includes(candidate)) ??
    (others.length === 1 ? others[0]! : null);
  if (name === null) {
    throw new UnseenError(
      "CHECKPOINT_NOT_FOUND",
      `${path} holds ${others.length} .safetensors files, but neither model.safetensors nor model.safetensors.index.json.`,
      {
        hint:
          others.length > 0
            ? "Give the path of one file."
            : "Download the safetensors weights; pickled .bin and .pt files are never opened.",
      },
    );
  }
  await checkInside(absolute, name);
  return join(absolute, name);
}

async function absoluteIndex(path: string): Promise<string> {
  return join(await realpath(dirname(path)), basename(path));
}

async function openShards(indexFile: string): Promise<Safetensors> {
  const directory = dirname(indexFile);
  const shards = readIndex(indexFile);
  const files: string[] = [];
  const parts: TensorLocation[][] = []; // (shards, tensors)
  let metadata: Record<string, string> | undefined;
  for (const [shard, expected] of shards) {
    await checkInside(directory, shard);
    const file = join(directory, shard);
    const header = readHeader(file);
    const found = new Set(header.tensors.map(({ name }) => name));
    for (const name of expected) {
      if (!found.has(name))
        throw new UnseenError("CHECKPOINT_MISSING_TENSOR", `the index places tensor ${name} in ${shard}, which does not have it.`, {
          hint: "Index and shards are of different downloads; download all of them again.",
        });
    }
    for (const name of found)
      if (!expected.has(name))
        throw malformed(
          `${shard} has a tensor ${name} that the index does not place there.`,
          "Index and shards are of different downloads; download all of them again.",
        );
    metadata ??= header.metadata;
    files.push(file);
    parts.push(header.tensors);
  }
  return { tensors: byName(parts.flat()), metadata: metadata ?? {}, files };
}

/** The tensors that the index places in each shard; shards in the order of their names. */
function readIndex(file: string): Map<string, Set<string>> {
  const where = basename(file);
  const weightMap = parseStrictJson(readWhole(file, MAXIMUM_INDEX_BYTES), where, INDEX_LIMITS).get("weight_map");
  if (!(weightMap instanceof Map)) throw malformed(`${where}: expected an object "weight_map".`);
  const shards = new Map<string, Set<string>>();
  for (const [name, shard] of weightMap as StrictJsonObject) {
    checkName(name, where);
    const tensors = shards.get(checkShardName(shard, where));
    if (tensors) tensors.add(name);
    else shards.set(shard as string, new Set([name]));
    if (shards.size > MAXIMUM_SHARDS) throw tooLarge(`${where} names more than ${MAXIMUM_SHARDS} shards.`);
  }
  if (shards.size === 0) throw malformed(`${where}: "weight_map" is empty.`);
  return new Map([...shards].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** A shard lies beside its index: no path leads out of the directory (CWE-22). */
function checkShardName(shard: StrictJson, where: string): string {
  if (typeof shard !== "string") throw malformed(`${where}: expected the names of shards, got ${typeof shard}.`);
  if (!/^[\w-][\w.-]*\.safetensors$/.test(shard))
    throw malformed(`${where}: expected a shard's plain file name ending in .safetensors, got ${quote(shard)}.`);
  return checkName(shard, where);
}

/**
 * A file that a directory offers must lie in it even when links are followed (CWE-59), or where the hub's
 * download cache keeps the content of a snapshot: `snapshots/REVISION/NAME -> ../../blobs/HASH`.
 */
async function checkInside(directory: string, name: string): Promise<void> {
  const actual = await realpath(join(directory, name)).catch((cause: unknown) => {
    throw new UnseenError("CHECKPOINT_MISSING_SHARD", `${name} is not in ${directory}.`, { hint: "Download the missing file.", cause });
  });
  const inside = (root: string): boolean => actual.startsWith(root.endsWith(sep) ? root : root + sep);
  const snapshots = dirname(directory);
  if (inside(directory) || (basename(snapshots) === "snapshots" && inside(join(dirname(snapshots), "blobs")))) return;
  throw malformed(`${name} is a link that leads out of ${directory}.`, "Give the directory that holds the files themselves.");
}

/** No name comes twice: strict JSON sees it inside a header, and the index places each name in one shard. */
function byName(tensors: readonly TensorLocation[]): Map<string, TensorLocation> {
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

/** A tensor to write. */
export interface PlannedTensor {
  readonly name: string;
  readonly format: Format;
  readonly shape: readonly number[];
}

/** New files, ready for `createFiles`. */
export interface SafetensorsLayout {
  readonly files: FilePlan[];
  /** The content of `model.safetensors.index.json`; null for a single file. */
  readonly index: { metadata: { total_size: number }; weight_map: Record<string, string> } | null;
  /** By name; `file` is relative to the output directory. */
  readonly locations: Map<string, TensorLocation>;
}

/**
 * Plans the files of a checkpoint: `model.safetensors`, or shards named and indexed as `transformers` does.
 *
 * Tensors keep the given order, except that inside a file wider number formats come first, because loaders map the data
 * and want each tensor at a multiple of its number's size.
 * @throws UnseenError `CHECKPOINT_DUPLICATE`; `CHECKPOINT_DTYPE_UNSUPPORTED` for formats of GGUF;
 *   `CHECKPOINT_MALFORMED`, `CHECKPOINT_TOO_LARGE` for names, shapes and counts that the reader would refuse
 */
export function layoutSafetensors(
  tensors: readonly PlannedTensor[],
  { metadata = {}, maximumShardBytes = 5e9 }: { metadata?: Readonly<Record<string, string>>; maximumShardBytes?: number } = {},
): SafetensorsLayout {
  const shards = shard(measure(tensors), maximumShardBytes);
  if (shards.length > MAXIMUM_SHARDS) throw tooLarge(`${shards.length} shards exceed the limit of ${MAXIMUM_SHARDS}.`);
  const names = shards.map((_, index) =>
    shards.length === 1 ? "model.safetensors" : `model-${padded(index + 1)}-of-${padded(shards.length)}.safetensors`,
  );
  const files: FilePlan[] = [];
  const locations = new Map<string, TensorLocation>();
  for (const [index, part] of shards.entries()) {
    const file = names[index]!;
    const { header, places, bytes } = layoutFile(part, metadata);
    files.push({ name: file, header, bytes });
    for (const { name, format, shape, offset, bytes: size } of places)
      locations.set(name, { name, format, shape, file, offset, bytes: size });
  }
  if (shards.length === 1) return { files, index: null, locations };
  const total = shards.flat().reduce((sum, tensor) => sum + tensor.bytes, 0);
  const weightMap = Object.fromEntries(tensors.map(({ name }) => [name, locations.get(name)!.file]));
  return { files, index: { metadata: { total_size: total }, weight_map: weightMap }, locations };
}

const padded = (number: number): string => String(number).padStart(5, "0");

type MeasuredTensor = PlannedTensor & { readonly bytes: number };

function measure(tensors: readonly PlannedTensor[]): MeasuredTensor[] {
  const names = new Set<string>();
  return tensors.map(({ name, format, shape }) => {
    const where = `the checkpoint to write: tensor ${name}`;
    checkName(name, "the checkpoint to write");
    if (name === "__metadata__" || names.has(name)) throw new UnseenError("CHECKPOINT_DUPLICATE", `${where}: the name is taken.`);
    if (!SAFETENSORS_FORMATS.has(format))
      throw new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", `${where}: safetensors cannot hold ${format}.`, {
        hint: "Write GGUF, or F16 or BF16.",
      });
    names.add(name);
    return { name, format, shape, bytes: tensorBytes(format, shape, where) };
  });
}

/** Cuts before the tensor that would not fit; one that never fits gets a file of its own. */
function shard(tensors: readonly MeasuredTensor[], maximumBytes: number): MeasuredTensor[][] {
  const shards: MeasuredTensor[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    if (bytes > 0 && bytes + tensor.bytes > maximumBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(tensor);
    bytes += tensor.bytes;
  }
  return shards;
}

function layoutFile(
  tensors: readonly MeasuredTensor[],
  metadata: Readonly<Record<string, string>>,
): { header: Uint8Array; places: (MeasuredTensor & { offset: number })[]; bytes: number } {
  const entries = Object.keys(metadata).length > 0 ? [`"__metadata__":${JSON.stringify(metadata)}`] : [];
  const ordered = tensors.toSorted((a, b) => blockSize(b.format).bytes - blockSize(a.format).bytes);
  let end = 0;
  const places = ordered.map((tensor) => {
    const begin = end;
    end += tensor.bytes;
    entries.push(
      `${JSON.stringify(tensor.name)}:${JSON.stringify({ dtype: tensor.format, shape: tensor.shape, data_offsets: [begin, end] })}`,
    );
    return { ...tensor, offset: begin };
  });
  const json = Buffer.from(`{${entries.join(",")}}`);
  if (json.length > MAXIMUM_HEADER_BYTES) throw tooLarge(`a header of ${json.length} bytes exceeds the limit of ${MAXIMUM_HEADER_BYTES}.`);
  // The data begin at a multiple of 8, so that mapped tensors are aligned.
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, " ");
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  return { header, places: places.map((place) => ({ ...place, offset: header.length + place.offset })), bytes: header.length + end };
}
