/**
 * Opens a file for reading at any place: regular files only, complete reads only.
 * @module
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { basename } from "node:path";
import { UnseenError, explainSystemError } from "../errors.ts";
import { tooLarge, truncated } from "./checks.ts";

/** A file open for reading. */
export interface OpenFile {
  readonly path: string;
  /** The last part of the path, for messages. */
  readonly name: string;
  readonly bytes: number;
  /** Fills `into` from `offset` on. Throws `CHECKPOINT_TRUNCATED`. */
  read(offset: number, into: Uint8Array): void;
  close(): void;
}

/** Throws `CHECKPOINT_NOT_FOUND` (also for a directory, a pipe or a device), `PERMISSION_DENIED`. */
export function openFile(path: string): OpenFile {
  let descriptor: number;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer forever.
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw explainSystemError(error, path);
  }
  const status = fstatSync(descriptor);
  if (!status.isFile()) {
    closeSync(descriptor);
    throw new UnseenError("CHECKPOINT_NOT_FOUND", `${path} is not a regular file.`, { hint: "Give the path of a model file." });
  }
  const name = basename(path);
  return {
    path,
    name,
    bytes: status.size,
    read(offset, into) {
      for (let done = 0; done < into.length;) {
        const count = readSync(descriptor, into, done, into.length - done, offset + done);
        if (count === 0) throw truncated(`${name} ends at byte ${offset + done}, expected ${offset + into.length}.`);
        done += count;
      }
    },
    close: () => closeSync(descriptor),
  };
}

/** All bytes of a file of at most `limit`. Throws `CHECKPOINT_TOO_LARGE` and as {@link openFile}. */
export function readWhole(path: string, limit: number): Uint8Array {
  const file = openFile(path);
  try {
    if (file.bytes > limit) throw tooLarge(`${file.name}: its ${file.bytes} bytes exceed the limit of ${limit}.`);
    const content = new Uint8Array(file.bytes);
    file.read(0, content);
    return content;
  } finally {
    file.close();
  }
}

/** The hint for a file whose first bytes are not those of a model. */
export function hintFor(start: Uint8Array): string {
  // "version https://git-lfs...": what a clone without Git LFS leaves in place of every large file.
  return Buffer.from(start).toString("latin1").startsWith("version ")
    ? "This is a Git LFS pointer: run `git lfs pull`, or download the file itself."
    : "The file is damaged or not what its name says; download it again.";
}
