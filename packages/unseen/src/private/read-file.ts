/**
 * Files that the command line is given.
 * @module
 */
import { readFile } from "node:fs/promises";
import { explainSystemError } from "@unseen/core/errors.ts";

/** A whole file. @throws UnseenError CHECKPOINT_NOT_FOUND, PERMISSION_DENIED, USAGE naming it */
export async function readBytes(path: string): Promise<Uint8Array> {
  return readFile(path).then(
    (bytes) => new Uint8Array(bytes),
    (error: unknown) => {
      throw explainSystemError(error, path);
    },
  );
}

/** The same as text. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path));
}
