/**
 * IDX files as MNIST's: `NAME-images-idx3-ubyte.gz` with `NAME-labels-idx1-ubyte.gz` beside it, packed or not.
 * Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998.
 * @module
 */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { malformed, tooLarge, truncated } from "@unseen/core/checkpoint/checks.ts";
import type { Labels, PictureSources } from "../pictures.ts";
import { MAXIMUM_ARRAY_BYTES, readBounded } from "./limits.ts";

const IMAGES = 0x0803;
const LABELS = 0x0801;

/** @throws UnseenError CHECKPOINT_MALFORMED, CHECKPOINT_TRUNCATED, CHECKPOINT_TOO_LARGE */
export async function openIdx(path: string): Promise<PictureSources> {
  const where = basename(path);
  const { sizes, bytes } = readIdx(unpack(await readBounded(path), where), IMAGES, where);
  const [count, height, width] = sizes as [number, number, number];
  const labelsPath = join(dirname(path), where.replace("images", "labels").replace("idx3", "idx1"));
  const labels: Labels[] = [];
  if (labelsPath !== path && existsSync(labelsPath)) {
    const beside = readIdx(unpack(await readBounded(labelsPath), basename(labelsPath)), LABELS, basename(labelsPath));
    if (beside.sizes[0] !== count) throw malformed(`${basename(labelsPath)}: expected ${count} labels, got ${beside.sizes[0]}.`);
    labels.push({ name: "label", values: Int32Array.from(beside.bytes) });
  }
  const size = height * width;
  const read = (index: number) => ({ width, height, channels: 1, pixels: bytes.subarray(index * size, (index + 1) * size) });
  return { train: { count, labels, read }, test: null };
}

function unpack(file: Uint8Array, where: string): Uint8Array {
  if (file[0] !== 0x1f || file[1] !== 0x8b) return file;
  try {
    return gunzipSync(file, { maxOutputLength: MAXIMUM_ARRAY_BYTES }); // CWE-409
  } catch (error) {
    if ((error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE")
      throw tooLarge(`${where}: it unpacks to more than the limit of ${MAXIMUM_ARRAY_BYTES} bytes.`);
    throw malformed(`${where}: expected a gzip file, which it is not or not a whole one.`);
  }
}

/** @throws UnseenError CHECKPOINT_MALFORMED, CHECKPOINT_TRUNCATED, CHECKPOINT_TOO_LARGE */
export function readIdx(file: Uint8Array, kind: number, where: string): { readonly sizes: readonly number[]; readonly bytes: Uint8Array } {
  const rank = kind & 0xff;
  const start = 4 + 4 * rank;
  if (file.length < start) throw truncated(`${where}: expected ${start} bytes before the data, got ${file.length}.`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.getUint32(0) !== kind) throw malformed(`${where}: expected an IDX file of bytes with ${rank} dimensions.`);
  const sizes = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const expected = sizes.reduce((product, size) => product * size, 1);
  if (sizes.includes(0)) throw malformed(`${where}: expected sizes above 0, got (${sizes.join(", ")}).`);
  if (expected > MAXIMUM_ARRAY_BYTES) throw tooLarge(`${where}: ${expected} bytes exceed the limit of ${MAXIMUM_ARRAY_BYTES}.`); // CWE-190
  if (file.length - start < expected) throw truncated(`${where}: expected ${expected} bytes of data, got ${file.length - start}.`);
  return { sizes, bytes: file.subarray(start, start + expected) };
}
