/**
 * Blobs as files, `blobs/aa/SHA-256` in the data directory, and the rows that say whose they are. The hub cannot open them: they are
 * sealed, or public.
 *
 * An upload comes in parts. What has been acknowledged is on the disk (fsync), what has not does not count, and nothing has a blob's name
 * before its hash is right. The same blob of two accounts is stored once, but each of them had to send it.
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { limits } from "../protocol.ts";
import { lockBlob } from "./blob-owners.ts";
import type { Database, Queries } from "./database.ts";
import { Refusal } from "./refusal.ts";
import type { HubSettings } from "./settings.ts";
import { blobPath, copyHashed, syncDirectory, uploadPath, uploadsPath, writePart, type UploadName } from "./upload-file.ts";

/** How far an upload is, in bytes; whole where both are equal. */
export interface Progress {
  readonly received: number;
  readonly length: number;
}

/** One part of an upload. */
export interface Part extends UploadName {
  readonly length: number;
  readonly offset: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Uploads of blobs into one data directory. */
export class BlobStore {
  readonly #database: Database;
  readonly #directory: string;
  readonly #settings: HubSettings;

  constructor(database: Database, directory: string, settings: HubSettings) {
    this.#database = database;
    this.#directory = directory;
    this.#settings = settings;
  }

  /** Where a blob is, if it is. */
  path(sha256: string): string {
    return blobPath(this.#directory, sha256);
  }

  /** How far an account's upload is; null where it has sent nothing. */
  async progress(name: UploadName): Promise<Progress | null> {
    const [row] = await this.#database.query<Progress & { whole: boolean }>(
      `SELECT length, length AS received, true AS whole FROM blob_owners JOIN blobs USING (sha256) WHERE owner = $1 AND sha256 = $2
       UNION ALL SELECT length, received, false FROM uploads WHERE owner = $1 AND sha256 = $2`,
      [name.owner, name.sha256],
    );
    if (!row) return null;
    const { length, received, whole } = row;
    // Who asks is about to use it.
    if (whole)
      await this.#database.query("UPDATE blob_owners SET used = now() WHERE owner = $1 AND sha256 = $2", [name.owner, name.sha256]);
    // A hub that died between the last byte and the check.
    if (!whole && received === length) return { length, received: await this.#finish(name, length) };
    return { length, received };
  }

  /**
   * Takes one part of an upload, from `offset` on; how far the upload is then. A connection that breaks leaves what had arrived.
   * @throws UnseenError CONFLICT (with `upload-offset`) for a part that does not begin where the upload ends, REQUEST_TOO_LARGE,
   * QUOTA_EXCEEDED, DISK_FULL, REQUEST_INVALID where the whole has another hash than its name
   */
  async append(part: Part): Promise<number> {
    const { owner, sha256, length, offset } = part;
    if (length > limits.blobBytes)
      throw new Refusal("REQUEST_TOO_LARGE", `length: expected at most ${limits.blobBytes} bytes, got ${length}.`);
    const known = await this.progress(part);
    if (known?.received === length && known.length === length) return length;
    const writer = randomBytes(16).toString("hex");
    await this.#begin(part, writer);
    const { written, error } = await writePart(
      uploadPath(this.#directory, part),
      offset,
      Math.min(limits.chunkBytes, length - offset),
      part.body,
    );
    const received = offset + written;
    const rows = await this.#database.query(
      "UPDATE uploads SET received = $4, updated = now() WHERE owner = $1 AND sha256 = $2 AND writer = $3 RETURNING received",
      [owner, sha256, writer, received],
    );
    if (error) throw error;
    if (rows.length === 0) throw overtaken(null);
    return received === length ? this.#finish(part, length) : received;
  }

  /** Makes or finds the upload, and makes this request the one that writes. */
  async #begin({ owner, sha256, length, offset }: Part, writer: string): Promise<void> {
    await this.#database.transaction(async (queries) => {
      await queries.query("SELECT 1 FROM accounts WHERE name = $1 FOR NO KEY UPDATE", [owner]);
      const [upload] = await queries.query<Progress>("SELECT length, received FROM uploads WHERE owner = $1 AND sha256 = $2", [
        owner,
        sha256,
      ]);
      if (upload && upload.length !== length)
        throw new Refusal("CONFLICT", `length: the upload began with ${upload.length}, got ${length}.`, {
          headers: { "upload-offset": String(upload.received) },
        });
      if ((upload?.received ?? 0) !== offset) throw overtaken(upload?.received ?? 0);
      if (upload) {
        await queries.query("UPDATE uploads SET writer = $3, updated = now() WHERE owner = $1 AND sha256 = $2", [owner, sha256, writer]);
        return;
      }
      await this.#requireRoom(queries, owner, length);
      await queries.query("INSERT INTO uploads (owner, sha256, length, writer) VALUES ($1, $2, $3, $4)", [owner, sha256, length, writer]);
    });
  }

  async #requireRoom(queries: Queries, owner: string, length: number): Promise<void> {
    const [used] = await queries.query<{ bytes: number; uploads: number }>(
      `SELECT (SELECT coalesce(sum(length), 0) FROM blob_owners JOIN blobs USING (sha256) WHERE owner = $1)::float8
            + (SELECT coalesce(sum(length), 0) FROM uploads WHERE owner = $1)::float8 AS bytes,
              (SELECT count(*) FROM uploads WHERE owner = $1)::int AS uploads`,
      [owner],
    );
    const { storedBytes, openUploads } = this.#settings;
    if (used!.bytes + length > storedBytes)
      throw new Refusal("QUOTA_EXCEEDED", `stored bytes: expected at most ${storedBytes} of one account, got ${used!.bytes + length}.`, {
        hint: "Blobs go some time after the jobs that use them have ended.",
        headers: { "retry-after": "60" },
      });
    if (used!.uploads >= openUploads)
      throw new Refusal("QUOTA_EXCEEDED", `unfinished uploads: expected at most ${openUploads} of one account.`, {
        hint: "Finish some first.",
        headers: { "retry-after": "60" },
      });
  }

  /** Checks a whole upload and gives it its name; how far it is then. */
  async #finish(name: UploadName, length: number): Promise<number> {
    const { owner, sha256 } = name;
    const path = uploadPath(this.#directory, name);
    const copy = join(uploadsPath(this.#directory), `.${randomBytes(16).toString("hex")}`);
    try {
      // A copy: a request that broke off may still hold the upload's file, and must not write into a blob that was checked.
      const found = await copyHashed(path, copy);
      if (found === null) return await this.#restart(name, length);
      if (found !== sha256) {
        await rm(path, { force: true });
        await this.#database.query("DELETE FROM uploads WHERE owner = $1 AND sha256 = $2", [owner, sha256]);
        throw new Refusal("REQUEST_INVALID", "the upload: expected bytes whose SHA-256 is the blob's name, got others.", {
          status: 422,
          hint: "It was deleted; send it again from the start.",
        });
      }
      const target = this.path(sha256);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      await this.#database.transaction(async (queries) => {
        await lockBlob(queries, sha256, length);
        await queries.query("INSERT INTO blob_owners (sha256, owner) VALUES ($1, $2) ON CONFLICT DO NOTHING", [sha256, owner]);
        await queries.query("DELETE FROM uploads WHERE owner = $1 AND sha256 = $2", [owner, sha256]);
        await rename(copy, target);
        await syncDirectory(dirname(target));
      });
      await rm(path, { force: true });
      return length;
    } finally {
      await rm(copy, { force: true });
    }
  }

  /** The upload's file is gone: another request finished it, or someone tidied the directory. */
  async #restart({ owner, sha256 }: UploadName, length: number): Promise<number> {
    const owned = await this.#database.query("SELECT 1 FROM blob_owners WHERE owner = $1 AND sha256 = $2", [owner, sha256]);
    if (owned.length > 0) return length;
    await this.#database.query("UPDATE uploads SET received = 0 WHERE owner = $1 AND sha256 = $2", [owner, sha256]);
    return 0;
  }
}

function overtaken(received: number | null): Refusal {
  return new Refusal(
    "CONFLICT",
    received === null
      ? "another request goes on with this upload."
      : `upload-offset: expected ${received}, where the upload ends, got another.`,
    { hint: "Ask with HEAD how far it is.", headers: received === null ? {} : { "upload-offset": String(received) } },
  );
}
