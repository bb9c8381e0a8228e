/**
 * The files of uploads: written where the last request stopped, copied and hashed when they are whole.
 * @module
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Refusal } from "./refusal.ts";

/** Whose upload of what. */
export interface UploadName {
  readonly owner: string;
  readonly sha256: string;
}

const COPY_BYTES = 1024 * 1024;

/** Where a blob is, in a data directory. */
export function blobPath(directory: string, sha256: string): string {
  return join(directory, "blobs", sha256.slice(0, 2), sha256);
}

/** Where uploads are, in a data directory. */
export function uploadsPath(directory: string): string {
  return join(directory, "uploads");
}

/** Where an upload's bytes gather. Names of accounts and blobs are safe in paths. */
export function uploadPath(directory: string, { owner, sha256 }: UploadName): string {
  return join(uploadsPath(directory), `${owner}.${sha256}`);
}

/**
 * Writes what comes to a file, from `offset` on and `maximum` bytes at most, and forces it to the disk. Bytes that are on the disk count
 * although the connection broke after them: the error is returned beside their number.
 */
export async function writePart(
  path: string,
  offset: number,
  maximum: number,
  part: AsyncIterable<Uint8Array>,
): Promise<{ written: number; error: unknown }> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  let written = 0;
  let refusal: Refusal | null = null;
  try {
    const body = part[Symbol.asyncIterator]();
    for (;;) {
      const next = await body.next().catch(() => null);
      if (next === null) refusal = brokenOff();
      if (!next || next.done) break;
      if (written + next.value.length > maximum) {
        refusal = tooLarge(maximum);
        written = 0;
        await body.return?.();
        break;
      }
      await writeAll(file, next.value, offset + written);
      written += next.value.length;
    }
    await file.sync();
    return { written, error: refusal };
  } catch (error) {
    // A full disk, at the latest in sync(): nothing of this part counts, and its room is given back.
    await file.truncate(offset).catch(() => {});
    return { written: 0, error };
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Copies a file and forces the copy to the disk; the SHA-256 of what was copied, null where there is no such file. */
export async function copyHashed(source: string, target: string): Promise<string | null> {
  const from = await open(source, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (from === null) return null;
  try {
    const to = await open(target, "wx", 0o600);
    try {
      const hash = createHash("sha256");
      const buffer = Buffer.alloc(COPY_BYTES);
      for (let position = 0; ;) {
        const { bytesRead } = await from.read(buffer, 0, buffer.length, position);
        if (bytesRead === 0) break;
        hash.update(buffer.subarray(0, bytesRead));
        await writeAll(to, buffer.subarray(0, bytesRead), position);
        position += bytesRead;
      }
      await to.sync();
      return hash.digest("hex");
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

/** Makes a rename within a directory survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function tooLarge(maximum: number): Refusal {
  return new Refusal("REQUEST_TOO_LARGE", `the part: expected at most ${maximum} bytes.`, {
    hint: "Send no more than the length that was announced, in parts.",
  });
}

/** Hardly anyone is there to read it. */
function brokenOff(): Refusal {
  return new Refusal("REQUEST_INVALID", "the part: broke off.", { hint: "Ask with HEAD how far the upload is, and go on there." });
}
