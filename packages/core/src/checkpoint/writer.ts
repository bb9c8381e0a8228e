/**
 * Writes files of known size in ranges, so that several worker threads fill one file at once.
 * @module
 */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { UnseenError, explainSystemError } from "../errors.ts";

/** A file to make: its first bytes are the header, the rest up to `bytes` is filled later. */
export interface FilePlan {
  /** A name without directories. */
  readonly name: string;
  readonly header: Uint8Array;
  /** Size of the whole file. */
  readonly bytes: number;
}

/** An open file that takes bytes at any place. */
export interface PositionalWriter {
  /** Writes all of `bytes` at `offset`. Throws `DISK_FULL`. */
  write(offset: number, bytes: Uint8Array): void;
  close(): void;
}

/**
 * Makes new files in a directory, each in its final size with its header written.
 * Throws `OUTPUT_EXISTS`, `DISK_FULL`, `PERMISSION_DENIED`; `INTERNAL` for a plan that contradicts itself.
 */
export function createFiles(directory: string, files: readonly FilePlan[]): void {
  for (const { name, header, bytes } of files) {
    if (name !== basename(name) || name === "" || name === "." || name === "..")
      throw new UnseenError("INTERNAL", `a file to write must have a plain name, got ${JSON.stringify(name)}.`);
    if (!Number.isSafeInteger(bytes) || bytes < header.length)
      throw new UnseenError("INTERNAL", `${name}: expected at least ${header.length} bytes for the header, got a size of ${bytes}.`);
    const path = join(directory, name);
    const writer = open(path, "wx");
    try {
      attempt(path, () => ftruncateSync(writer.descriptor, bytes));
      writer.write(0, header);
    } finally {
      writer.close();
    }
  }
}

/** Opens an existing file to fill ranges of it. Throws `CHECKPOINT_NOT_FOUND`, `PERMISSION_DENIED`. */
export function openForWriting(file: string): PositionalWriter {
  return open(file, "r+");
}

/** Writes one range of an existing file. Throws `CHECKPOINT_NOT_FOUND`, `DISK_FULL`, `PERMISSION_DENIED`. */
export function writeAt(file: string, offset: number, bytes: Uint8Array): void {
  const writer = openForWriting(file);
  try {
    writer.write(offset, bytes);
  } finally {
    writer.close();
  }
}

function open(path: string, flags: "wx" | "r+"): PositionalWriter & { readonly descriptor: number } {
  const descriptor = attempt(path, () => openSync(path, flags));
  return {
    descriptor,
    write(offset, bytes) {
      attempt(path, () => {
        for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done, bytes.length - done, offset + done);
      });
    },
    close: () => closeSync(descriptor),
  };
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") {
      throw new UnseenError("OUTPUT_EXISTS", `${path} already exists.`, { hint: "Choose another --out or remove it first.", cause: error });
    }
    throw explainSystemError(error, path);
  }
}
