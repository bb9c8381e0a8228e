/**
 * Files that are either whole or absent, whatever interrupts the writer.
 * @module
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, link, mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { explainSystemError } from "@unseen/core/errors.ts";

/** Creates a directory and its parents, readable by their owner alone. */
export async function ensureDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw explainSystemError(error, path);
  });
}

/** Writes or replaces a file. @throws UnseenError DISK_FULL, PERMISSION_DENIED; the old file is then untouched */
export async function writeFileAtomically(path: string, content: Uint8Array | string, mode = 0o600): Promise<void> {
  await viaTemporary(path, content, mode, (temporary) => rename(temporary, path));
}

/** Writes a file that must not exist yet; false, and nothing written, where it does. */
export async function createFileAtomically(path: string, content: Uint8Array | string, mode = 0o600): Promise<boolean> {
  let created = true;
  await viaTemporary(path, content, mode, async (temporary) => {
    // link() is the one rename that refuses to replace.
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
      created = false;
    });
    await rm(temporary);
  });
  return created;
}

async function viaTemporary(
  path: string,
  content: Uint8Array | string,
  mode: number,
  publish: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}`);
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await publish(temporary);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw explainSystemError(error, path);
  }
}

/** Makes renames inside a directory survive a power cut, where the system can. */
async function syncDirectory(path: string): Promise<void> {
  let directory: FileHandle | undefined;
  try {
    directory = await open(path, "r");
    await directory.sync();
  } catch {
    // Windows cannot open directories; the rename itself has happened.
  } finally {
    await directory?.close();
  }
}
