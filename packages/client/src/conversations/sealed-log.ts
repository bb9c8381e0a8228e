/**
 * A file of sealed records that only grows: appending is one write and a flush, so that a crash tears at most the last record.
 * @module
 */
import { open, type FileHandle } from "node:fs/promises";
import { setImmediate as breathe } from "node:timers/promises";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { writeFileAtomically } from "../atomic-file.ts";
import { FILE_HEADER_BYTES, MAXIMUM_RECORD_BYTES, MAXIMUM_RECORDS, RecordCipher, RECORD_HEADER_BYTES } from "./record-cipher.ts";

/** Bytes of one file (CWE-770). */
export const MAXIMUM_LOG_BYTES = 512 * 1024 * 1024;
/** Bytes opened before others get a turn. */
const TURN_BYTES = 4 * 1024 * 1024;

/** Where a record lies. */
export interface RecordPlace {
  readonly offset: number;
  readonly number: number;
}

/** Which file, and under which key. */
export interface SealedFile {
  readonly path: string;
  readonly secret: Uint8Array;
  /** What it is for, and whose it is: {@link RecordCipher}. */
  readonly purpose: string;
}

/** One file, as far as it was read and written here. Nobody else may write it meanwhile. */
export class SealedLog {
  readonly #path: string;
  readonly #cipher: RecordCipher;
  #bytes: number;
  #records: number;

  private constructor(path: string, cipher: RecordCipher, bytes: number, records: number) {
    this.#path = path;
    this.#cipher = cipher;
    this.#bytes = bytes;
    this.#records = records;
  }

  /** Writes a new file, or puts a new one in the place of an old one, whole or not at all. @throws UnseenError DISK_FULL, PERMISSION_DENIED, REQUEST_TOO_LARGE. */
  static async create({ path, secret, purpose }: SealedFile, contents: readonly Uint8Array[]): Promise<SealedLog> {
    const cipher = RecordCipher.forNewFile(secret, purpose);
    const parts = [cipher.header, ...contents.map((content, number) => sealChecked(cipher, content, number))];
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    checkSize(bytes);
    await writeFileAtomically(path, Buffer.concat(parts)).catch(explain);
    return new SealedLog(path, cipher, bytes, contents.length);
  }

  /**
   * Reads a file from its beginning. What a crash left of its last record is cut off.
   * @param visit - Gets each record's content and place; without it the records are counted, not opened.
   * @returns null where the file is damaged: it is left alone.
   */
  static async read(file: SealedFile, visit?: (content: Uint8Array, place: RecordPlace) => void): Promise<SealedLog | null> {
    const handle = await open(file.path, "r+").catch((error: unknown) => explain(explainSystemError(error, file.path)));
    try {
      const { size } = await handle.stat();
      if (size > MAXIMUM_LOG_BYTES) return null;
      const cipher = RecordCipher.forFile(file.secret, file.purpose, await readAt(handle, 0, FILE_HEADER_BYTES));
      if (!cipher) return null;
      const whole = await walk(handle, cipher, size, visit);
      if (!whole) return null;
      if (whole.bytes < size) await handle.truncate(whole.bytes);
      return new SealedLog(file.path, cipher, whole.bytes, whole.records);
    } finally {
      await handle.close();
    }
  }

  /** Bytes of the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds a record; it is on the disk when this returns, or not in the file. One call at a time.
   * @throws UnseenError DISK_FULL, PERMISSION_DENIED, REQUEST_TOO_LARGE; CONFLICT when someone else wrote the file.
   */
  async append(content: Uint8Array): Promise<RecordPlace> {
    const place = { offset: this.#bytes, number: this.#records };
    const record = sealChecked(this.#cipher, content, place.number);
    checkSize(this.#bytes + record.length);
    const handle = await open(this.#path, "r+").catch((error: unknown) => explain(explainSystemError(error, this.#path)));
    try {
      if ((await handle.stat()).size !== this.#bytes)
        throw new UnseenError("CONFLICT", `${this.#path} was changed by another program.`, { hint: "Start the gateway again." });
      await writeAll(handle, record, this.#bytes);
      await handle.datasync();
    } catch (error) {
      // What was written of it goes, so that the next record follows the last whole one.
      if (!UnseenError.isInstance(error)) await handle.truncate(this.#bytes).catch(() => {});
      return explain(explainSystemError(error, this.#path));
    } finally {
      await handle.close();
    }
    this.#bytes += record.length;
    this.#records += 1;
    return place;
  }

  /** One record's content, or null where it is damaged. */
  async readRecord(place: RecordPlace): Promise<Uint8Array | null> {
    const handle = await open(this.#path, "r").catch((error: unknown) => explain(explainSystemError(error, this.#path)));
    try {
      const header = await readAt(handle, place.offset, RECORD_HEADER_BYTES);
      const length = header.length === RECORD_HEADER_BYTES ? this.#cipher.readLength(header, place.number) : null;
      if (length === null) return null;
      const sealed = await readAt(handle, place.offset + RECORD_HEADER_BYTES, length);
      return sealed.length === length ? this.#cipher.open(sealed, place.number) : null;
    } finally {
      await handle.close();
    }
  }
}

/** @returns How much of the file is whole records, or null where it is damaged. */
async function walk(
  handle: FileHandle,
  cipher: RecordCipher,
  size: number,
  visit: ((content: Uint8Array, place: RecordPlace) => void) | undefined,
): Promise<{ bytes: number; records: number } | null> {
  const reader = new Reader(handle, size);
  let offset = FILE_HEADER_BYTES;
  let sinceTurn = 0;
  for (let number = 0; ; number += 1) {
    const whole = { bytes: offset, records: number };
    if (offset === size) return whole;
    if (size - offset < RECORD_HEADER_BYTES) return whole;
    const length = cipher.readLength(await reader.read(offset, RECORD_HEADER_BYTES), number);
    // After a power cut the end of a file may be zeros that were never written.
    if (length === null) return (await isZero(reader, offset, size)) ? whole : null;
    const end = offset + RECORD_HEADER_BYTES + length;
    if (end > size) return whole;
    if (visit) {
      const content = cipher.open(await reader.read(offset + RECORD_HEADER_BYTES, length), number);
      if (!content) return end === size && (await isZero(reader, size - 16, size)) ? whole : null;
      visit(content, { offset, number });
      sinceTurn += length;
      if (sinceTurn > TURN_BYTES) {
        sinceTurn = 0;
        await breathe();
      }
    }
    offset = end;
  }
}

/** Reads ahead, because most records are short. */
class Reader {
  static readonly #AHEAD = 1024 * 1024;
  readonly #handle: FileHandle;
  readonly #size: number;
  #start = 0;
  #bytes = new Uint8Array(0);

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.#size = size;
  }

  /** Valid until the next call. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset < this.#start || offset + length > this.#start + this.#bytes.length) {
      this.#bytes = await readAt(this.#handle, offset, Math.max(length, Math.min(Reader.#AHEAD, this.#size - offset)));
      this.#start = offset;
    }
    return this.#bytes.subarray(offset - this.#start, offset - this.#start + length);
  }
}

async function isZero(reader: Reader, start: number, end: number): Promise<boolean> {
  for (let offset = start; offset < end; offset += TURN_BYTES) {
    const part = await reader.read(offset, Math.min(TURN_BYTES, end - offset));
    if (part.some((byte) => byte !== 0)) return false;
  }
  return true;
}

async function readAt(handle: FileHandle, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0;
  // One write is the rule; a nearly full disk may take less.
  while (written < bytes.length) written += (await handle.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
}

function sealChecked(cipher: RecordCipher, content: Uint8Array, number: number): Uint8Array {
  if (content.length > MAXIMUM_RECORD_BYTES || number >= MAXIMUM_RECORDS) throw tooLarge();
  return cipher.seal(content, number);
}

function checkSize(bytes: number): void {
  if (bytes > MAXIMUM_LOG_BYTES) throw tooLarge();
}

function tooLarge(): UnseenError {
  return new UnseenError("REQUEST_TOO_LARGE", `a conversation's file would exceed ${MAXIMUM_LOG_BYTES / 1024 / 1024} MiB.`, {
    hint: "Go on in a new conversation.",
  });
}

/** The command line's advice, to choose another path, helps nobody here. */
function explain(error: unknown): never {
  if (!UnseenError.isInstance(error) || error.code !== "DISK_FULL") throw error;
  throw new UnseenError("DISK_FULL", "the disk is full: the conversation could not be saved.", {
    hint: "Free some space; what was saved before is kept.",
    cause: error,
  });
}
