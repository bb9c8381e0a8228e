/**
 * `.npz` files as MedMNIST lays them out: `train_images`, `train_labels`, `test_images`, `test_labels`.
 * Source: https://medmnist.com, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 * @module
 */
import { basename } from "node:path";
import { unzipSync } from "fflate";
import { malformed, tooLarge, truncated } from "@unseen/core/checkpoint/checks.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Labels, PictureSource, PictureSources } from "../pictures.ts";
import { MAXIMUM_ARRAY_BYTES, MAXIMUM_CLASSES, MAXIMUM_LABELS, readBounded } from "./limits.ts";

/** Bytes of the description before an array's numbers (CWE-770). */
const MAXIMUM_HEADER = 4096;

/** An array of whole numbers, row-major. */
export interface NpyArray {
  readonly shape: readonly number[];
  /** Bytes per number, and whether it has a sign. */
  readonly size: number;
  readonly signed: boolean;
  readonly bytes: Uint8Array;
}

/** @throws UnseenError CHECKPOINT_MALFORMED, CHECKPOINT_TRUNCATED, CHECKPOINT_TOO_LARGE */
export async function openNpz(path: string): Promise<PictureSources> {
  const where = basename(path);
  const arrays = unzipArrays(await readBounded(path), where);
  const train = sourceOf(arrays, "train", where);
  if (train === null) throw malformed(`${where}: expected an array train_images.`, "Give a file as MedMNIST lays it out.");
  return { train, test: sourceOf(arrays, "test", where) };
}

/** The arrays of pictures and labels; other entries are not unpacked. */
export function unzipArrays(file: Uint8Array, where: string): ReadonlyMap<string, NpyArray> {
  let entries: Readonly<Record<string, Uint8Array>>;
  let total = 0;
  try {
    entries = unzipSync(file, {
      filter: ({ name, originalSize }) => {
        if (!/^(?:train|test)_(?:images|labels)\.npy$/.test(name)) return false;
        total += originalSize;
        if (total > MAXIMUM_ARRAY_BYTES) throw tooLarge(`${where}: arrays of more than ${MAXIMUM_ARRAY_BYTES} bytes exceed the limit.`); // CWE-409
        return true;
      },
    });
  } catch (error) {
    if (UnseenError.isInstance(error)) throw error;
    throw malformed(`${where}: expected a zip archive, which it is not or not a whole one.`);
  }
  return new Map(Object.entries(entries).map(([name, bytes]) => [name.slice(0, -4), readNpy(bytes, `${where}: ${name}`)]));
}

/** One `.npy`. @throws UnseenError CHECKPOINT_MALFORMED, CHECKPOINT_TRUNCATED, CHECKPOINT_TOO_LARGE */
export function readNpy(file: Uint8Array, where: string): NpyArray {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 12) throw truncated(`${where}: expected the head of an array, got ${file.length} bytes.`);
  const magic = Buffer.from(file.subarray(0, 6)).toString("latin1");
  const version = file[6] as number;
  if (magic !== "\x93NUMPY" || version < 1 || version > 3) throw malformed(`${where}: expected a NumPy array of version 1 to 3.`);
  const start = version === 1 ? 10 : 12;
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAXIMUM_HEADER) throw tooLarge(`${where}: a description of ${length} bytes exceeds the limit of ${MAXIMUM_HEADER}.`);
  if (start + length > file.length) throw truncated(`${where}: it ends inside its description.`);
  const header = Buffer.from(file.subarray(start, start + length)).toString("latin1");
  const type = /'descr':\s*'[|<]([ui])([1248])'/.exec(header);
  const list = /'shape':\s*\(([0-9, ]*)\)/.exec(header);
  if (type === null || list === null || !/'fortran_order':\s*False/.test(header))
    throw malformed(`${where}: expected whole numbers in row order.`, "Save the array with numpy.savez as uint8.");
  const shape = (list[1] as string).split(",").map((part) => part.trim()).filter((part) => part !== "").map(Number); // prettier-ignore
  const size = Number(type[2]);
  const expected = shape.reduce((product, count) => product * count, size);
  const bytes = file.subarray(start + length);
  if (!Number.isSafeInteger(expected) || expected > MAXIMUM_ARRAY_BYTES)
    throw tooLarge(`${where}: an array of ${expected} bytes exceeds the limit of ${MAXIMUM_ARRAY_BYTES}.`); // CWE-190
  if (bytes.length < expected) throw truncated(`${where}: expected ${expected} bytes of numbers, got ${bytes.length}.`);
  return { shape, size, signed: type[1] === "i", bytes: bytes.subarray(0, expected) };
}

function sourceOf(arrays: ReadonlyMap<string, NpyArray>, part: string, where: string): PictureSource | null {
  const images = arrays.get(`${part}_images`);
  if (images === undefined) return null;
  const [count, height, width, channels = 1] = images.shape as [number, number, number, number?];
  const fits = images.shape.length === 3 || (images.shape.length === 4 && (channels === 1 || channels === 3));
  if (!fits || images.size !== 1 || images.signed || height < 1 || width < 1)
    throw malformed(`${where}: expected ${part}_images of bytes (pictures, height, width, 1 or 3), got (${images.shape.join(", ")}).`);
  const labels = arrays.get(`${part}_labels`);
  const size = height * width * channels;
  return {
    count,
    labels: labels === undefined ? [] : readLabels(labels, count, `${where}: ${part}_labels`),
    read: (index) => ({ width, height, channels, pixels: images.bytes.subarray(index * size, (index + 1) * size) }),
  };
}

/** (pictures) or (pictures, labels). */
function readLabels({ shape, size, signed, bytes }: NpyArray, count: number, where: string): Labels[] {
  const columns = shape.length === 1 ? 1 : (shape[1] ?? 0);
  if (shape.length < 1 || shape.length > 2 || shape[0] !== count || columns < 1)
    throw malformed(`${where}: expected one row for each of ${count} pictures, got (${shape.join(", ")}).`);
  if (columns > MAXIMUM_LABELS) throw tooLarge(`${where}: ${columns} labels per picture exceed the limit of ${MAXIMUM_LABELS}.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = (at: number): number => {
    if (size === 8) return Number(view.getBigInt64(at * 8, true));
    if (size === 4) return view.getInt32(at * 4, true);
    if (size === 2) return signed ? view.getInt16(at * 2, true) : view.getUint16(at * 2, true);
    return signed ? view.getInt8(at) : view.getUint8(at);
  };
  return Array.from({ length: columns }, (_, column) => ({
    name: columns === 1 ? "label" : `label ${column + 1}`,
    values: Int32Array.from({ length: count }, (_, row) => checkClass(value(row * columns + column), where)),
  }));
}

function checkClass(value: number, where: string): number {
  if (value >= 0 && value < MAXIMUM_CLASSES) return value;
  throw malformed(`${where}: expected classes from 0 to ${MAXIMUM_CLASSES - 1}, got ${value}.`);
}
