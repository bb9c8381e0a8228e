/**
 * Labelled pictures that an attacker may have: public data sets, or a directory of files, at the size of the model's input.
 * @module
 */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { permutation } from "@unseen/core/algebra/random.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { fitPicture } from "@unseen/client/pictures/fit.ts";
import type { Picture } from "@unseen/client/pictures/resample.ts";
import { sizeOf, type Shape } from "@unseen/fhe/layer.ts";
import { seeded } from "../seed.ts";
import { openDirectory } from "./sources/directory.ts";
import { openIdx } from "./sources/idx.ts";
import { openNpz } from "./sources/npz.ts";

/** One thing that is known about each picture, as a class number. */
export interface Labels {
  readonly name: string;
  /** (pictures) */
  readonly values: Int32Array;
}

/** Pictures of one size. */
export interface PictureSet {
  readonly count: number;
  /** (count, channels, height, width) */
  readonly bytes: Uint8Array;
  readonly labels: readonly Labels[];
}

/** What an inverter learns from and is tested on. */
export interface LabelledPictures {
  /** Where they come from, for the report. */
  readonly data: string;
  readonly shape: Shape;
  readonly train: PictureSet;
  readonly test: PictureSet;
}

/** Pictures in a file or directory, of any size, read one at a time. */
export interface PictureSource {
  readonly count: number;
  readonly labels: readonly Labels[];
  /** (height, width, channels) */
  read(index: number): Picture | Promise<Picture>;
}

/** Training pictures, and those set apart for the test where the data set says so. */
export interface PictureSources {
  readonly train: PictureSource;
  readonly test: PictureSource | null;
}

/** How many pictures of each kind at most; which ones, the seed decides. */
export interface PictureCounts {
  readonly train: number;
  readonly test: number;
  readonly seed: number;
}

/**
 * Reads a `.npz` as MedMNIST lays it out, an IDX file as MNIST's (`NAME-images-idx3-ubyte.gz`, with its labels beside it), or a directory
 * of PNG and JPEG files, and brings them to (channels, height, width).
 *
 * @throws UnseenError CHECKPOINT_NOT_FOUND, CHECKPOINT_MALFORMED, CHECKPOINT_TRUNCATED, CHECKPOINT_TOO_LARGE, REQUEST_INVALID and
 *   REQUEST_TOO_LARGE for damaged or hostile files, USAGE for another kind of file or too few pictures
 */
export async function readPictures(path: string, shape: Shape, counts: PictureCounts): Promise<LabelledPictures> {
  let sources: PictureSources;
  try {
    sources = (await stat(path)).isDirectory() ? await openDirectory(path) : await openFile(path);
  } catch (error) {
    throw explainSystemError(error, basename(path));
  }
  const { train, test } = choose(sources, counts);
  if (train.length === 0 || test.length === 0)
    throw new UnseenError("USAGE", `${basename(path)}: expected pictures to learn from and to test on, got too few.`, {
      hint: "Give a directory of PNG or JPEG files, or a larger data set.",
    });
  return {
    data: basename(path),
    shape,
    train: await load(sources.train, train, shape),
    test: await load(sources.test ?? sources.train, test, shape),
  };
}

function openFile(path: string): Promise<PictureSources> {
  if (/\.npz$/i.test(path)) return openNpz(path);
  if (/idx3[-.]ubyte(\.gz)?$/i.test(path)) return openIdx(path);
  throw new UnseenError("USAGE", `${basename(path)}: expected a .npz, an idx3-ubyte file or a directory of pictures.`, {
    hint: "Put PNG or JPEG files into a directory, one subdirectory per class.",
  });
}

/** Without a test part a fifth is set apart. */
function choose({ train, test }: PictureSources, counts: PictureCounts): { train: Uint32Array; test: Uint32Array } {
  const random = seeded(counts.seed, "leak/pictures");
  const order = permutation(random, train.count);
  if (test !== null) return { train: order.slice(0, counts.train), test: permutation(random, test.count).slice(0, counts.test) };
  const apart = Math.min(counts.test, Math.floor(train.count / 5));
  return { train: order.slice(apart, apart + counts.train), test: order.slice(0, apart) };
}

async function load(source: PictureSource, indices: Uint32Array, shape: Shape): Promise<PictureSet> {
  const bytes = new Uint8Array(indices.length * sizeOf(shape));
  for (const [at, index] of indices.entries()) bytes.set(fitPicture(await source.read(index), shape), at * sizeOf(shape));
  const labels = source.labels.map(({ name, values }) => ({ name, values: Int32Array.from(indices, (index) => values[index] as number) }));
  return { count: indices.length, bytes, labels };
}
