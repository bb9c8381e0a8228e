/**
 * A directory of PNG and JPEG files. The class of a picture is its subdirectory, or what follows the last hyphen of its name.
 * @module
 */
import { opendir } from "node:fs/promises";
import { join } from "node:path";
import { tooLarge } from "@unseen/core/checkpoint/checks.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Labels, PictureSources } from "../pictures.ts";
import { MAXIMUM_CLASSES, readBounded } from "./limits.ts";

/** Files that are looked at (CWE-770). */
const MAXIMUM_FILES = 100_000;
const PICTURE = /\.(?:png|jpe?g)$/i;

interface Found {
  readonly path: string;
  readonly label: string | null;
}

/** @throws UnseenError CHECKPOINT_TOO_LARGE for too many files; reading a picture, what `decodePicture` throws */
export async function openDirectory(path: string): Promise<PictureSources> {
  const found = (await list(path)).toSorted((left, right) => (left.path < right.path ? -1 : 1));
  // Decoding needs a native library, which nothing else here does.
  const { decodePicture } = await import("@unseen/client/pictures/decode.ts");
  const read = async (index: number) => {
    const { path } = found[index] as Found;
    try {
      return await decodePicture(await readBounded(path));
    } catch (error) {
      if (!UnseenError.isInstance(error)) throw error;
      throw new UnseenError(error.code, `${JSON.stringify(path.slice(-80))}: ${error.message}`, {
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        cause: error,
      });
    }
  };
  return { train: { count: found.length, labels: labelsOf(found), read }, test: null };
}

/** Pictures in the directory and one level below. Links are not followed (CWE-59). */
async function list(path: string): Promise<Found[]> {
  const found: Found[] = [];
  let seen = 0;
  const visit = async (directory: string, folder: string | null): Promise<void> => {
    for await (const entry of await opendir(directory)) {
      seen += 1;
      if (seen > MAXIMUM_FILES) throw tooLarge(`a directory of more than ${MAXIMUM_FILES} files exceeds the limit.`);
      const inside = join(directory, entry.name);
      if (entry.isDirectory() && folder === null) await visit(inside, entry.name);
      else if (entry.isFile() && PICTURE.test(entry.name))
        found.push({ path: inside, label: folder ?? /-([^-]+)\.[a-z]+$/i.exec(entry.name)?.[1] ?? null });
    }
  };
  await visit(path, null);
  return found;
}

function labelsOf(found: readonly Found[]): Labels[] {
  const classes = [...new Set(found.map(({ label }) => label))].toSorted();
  // A class for every picture is a name, not a class.
  if (classes.includes(null) || classes.length < 2 || classes.length > Math.min(MAXIMUM_CLASSES, found.length / 2)) return [];
  return [{ name: "label", values: Int32Array.from(found, ({ label }) => classes.indexOf(label)) }];
}
