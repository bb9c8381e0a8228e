/**
 * Where jobs read and write: paths that a page names must exist, and places that jobs make must be free.
 * @module
 */
import { lstat, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";

/** Tries at a free name. */
const MAXIMUM_TRIES = 1000;

/** The absolute path of something that is there; `~` is the user's directory. Throws `REQUEST_INVALID`, `CHECKPOINT_NOT_FOUND`, `PERMISSION_DENIED`. */
export async function existingPath(given: string): Promise<string> {
  const path = given === "~" || given.startsWith("~/") ? join(homedir(), given.slice(1)) : given;
  if (!isAbsolute(path))
    throw new UnseenError("REQUEST_INVALID", `${given.slice(0, 200)} is not a whole path.`, {
      hint: "Give it from the beginning, as in /home/me/model.",
    });
  await stat(path).catch((error: unknown) => {
    throw explainSystemError(error, path);
  });
  return resolve(path);
}

/** `PATH`, or `PATH-2`, `PATH-3`, ...: the first that is neither there, nor being made, nor taken. Throws `OUTPUT_EXISTS`. */
export async function freePath(directory: string, name: string, extension: string, taken: ReadonlySet<string>): Promise<string> {
  for (let number = 1; number <= MAXIMUM_TRIES; number++) {
    const path = join(directory, `${name}${number === 1 ? "" : `-${number}`}${extension}`);
    if (!taken.has(path) && !(await isThere(path)) && !(await isThere(`${path}.partial`))) return path;
  }
  throw new UnseenError("OUTPUT_EXISTS", `${join(directory, name)}: expected a free name, got ${MAXIMUM_TRIES} that are taken.`, {
    hint: "Remove some of them, or give another name.",
  });
}

/** A name of a file from any text: no part of it leads elsewhere (CWE-22) or is hidden. */
export function fileName(text: string): string {
  return text.replaceAll(/[^\w.-]+/g, "-").replace(/^[.-]+/, "").slice(0, 100) || "model"; // prettier-ignore
}

/** A link that leads nowhere is there too. */
async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
