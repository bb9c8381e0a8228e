/**
 * Blobs as files, `blobs/aa/SHA-256` in the data directory, and the rows that say whose they are. The hub cannot open them: they are
 * sealed, or public.
 *
 * An upload comes in parts. What has been acknowledged is on the disk (fsync), what has not does not count, and nothing has a blob's name
 * before its hash is right. The same blob of two accounts is stored once, but each of them had to send it.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, truncate, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { limits } from "../protocol.ts";
import type { Database, Queries } from "./database.ts";
import { Refusal } from "./refusal.ts";
import type { HubSettings } from "./settings.ts";

/** How far an upload is, in bytes; whole where both are equal. */
export interface Progress {
  readonly received: number;
  readonly length: number;
}

/** Whose upload of what. */
export interface UploadName {
  readonly owner: string;
  readonly sha256: string;
}

/** One part of an upload. */
export interface Part extends UploadName {
  readonly length: number;
  readonly offset: number;
  readonly body: AsyncIterable<Uint8Array>;
}

const COPY_BYTES = 1024 * 1024;

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
    return join(this.#directory, "blobs", sha256.slice(0, 2), sha256);
  }

  #uploadPath({ owner, sha256 }: UploadName): string {
    return join(this.#directory, "uploads", `${owner}.${sha256}`);
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
    const { written, error } = await this.#write(part, Math.min(limits.chunkBytes, length - offset));
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

  /** Writes what comes and forces it to the disk. An error is returned beside what was written before it. */
  async #write(part: Part, maximum: number): Promise<{ written: number; error: unknown }> {
    const path = this.#uploadPath(part);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    let written = 0;
    let error: unknown = null;
    try {
      try {
        for await (const bytes of part.body) {
          if (written + bytes.length > maximum)
            throw new Refusal("REQUEST_TOO_LARGE", `the part: expected at most ${maximum} bytes.`, {
              hint: "Send it in parts, and no more than the length that was announced.",
            });
          await writeAll(file, bytes, part.offset + written);
          written += bytes.length;
        }
      } catch (thrown) {
        error = thrown;
      }
      // Full disks are found here at the latest; then nothing of this part counts, and its room is given back.
      await file.sync();
      if (isSystemError(error)) throw error;
    } catch (thrown) {
      await truncate(path, part.offset).catch(() => {});
      return { written: 0, error: thrown };
    } finally {
      await file.close();
    }
    return { written: error instanceof Refusal ? 0 : written, error };
  }

  /** Checks a whole upload and gives it its name; how far it is then. */
  async #finish(name: UploadName, length: number): Promise<number> {
    const { owner, sha256 } = name;
    const path = this.#uploadPath(name);
    const copy = join(this.#directory, "uploads", `.${randomBytes(16).toString("hex")}`);
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

  /** Deletes what has been of no use for the retention time: blobs that neither a job nor a version names, and uploads that stopped. */
  async sweep(): Promise<void> {
    const seconds = this.#settings.retentionSeconds;
    const stopped = await this.#database.query<UploadName>(
      `SELECT owner, sha256 FROM uploads WHERE updated < now() - make_interval(secs => $1) LIMIT 100`,
      [seconds],
    );
    for (const name of stopped) {
      await rm(this.#uploadPath(name), { force: true });
      await this.#database.query("DELETE FROM uploads WHERE owner = $1 AND sha256 = $2", [name.owner, name.sha256]);
      await this.#collect(name.sha256, seconds);
    }
    const unused = await this.#database.query<{ sha256: string }>(
      `SELECT DISTINCT sha256 FROM blob_owners o WHERE created < now() - make_interval(secs => $1) AND ${UNUSED} LIMIT 100`,
      [seconds],
    );
    for (const { sha256 } of unused) await this.#collect(sha256, seconds);
    await this.#tidyUploads(seconds);
  }

  /** Gives up owners without a use, and the file with the last of them. */
  async #collect(sha256: string, seconds: number): Promise<void> {
    await this.#database.transaction(async (queries) => {
      await lockBlob(queries, sha256, 0);
      await queries.query(
        `DELETE FROM blob_owners o WHERE sha256 = $1 AND created < now() - make_interval(secs => $2) AND ${UNUSED}`,
        [sha256, seconds],
      );
      const owners = await queries.query("SELECT 1 FROM blob_owners WHERE sha256 = $1 LIMIT 1", [sha256]);
      if (owners.length > 0) return;
      await queries.query("DELETE FROM blobs WHERE sha256 = $1", [sha256]);
      await rm(this.path(sha256), { force: true });
    });
  }

  /** Files that a hub which died left behind, which no row knows. */
  async #tidyUploads(seconds: number): Promise<void> {
    const directory = join(this.#directory, "uploads");
    const names = await readdir(directory).catch(() => []);
    for (const name of names) {
      const path = join(directory, name);
      const modified = await stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => Infinity,
      );
      if (modified < Date.now() - 2 * seconds * 1000 - 60_000) await rm(path, { force: true });
    }
  }
}

/** An owner `o` whose blob neither a job that it supplied it to nor a version of its own names. */
const UNUSED = `NOT EXISTS (SELECT 1 FROM job_blobs j WHERE j.sha256 = o.sha256 AND j.supplier = o.owner)
  AND NOT EXISTS (SELECT 1 FROM version_blobs v JOIN versions USING (version) JOIN models m ON m.name = versions.model
                  WHERE v.sha256 = o.sha256 AND m.creator = o.owner)`;

/** Makes or finds a blob's row and locks it: who adds an owner and who deletes the file wait for each other. */
async function lockBlob(queries: Queries, sha256: string, length: number): Promise<void> {
  await queries.query("INSERT INTO blobs (sha256, length) VALUES ($1, $2) ON CONFLICT (sha256) DO UPDATE SET sha256 = EXCLUDED.sha256", [
    sha256,
    length,
  ]);
}

/**
 * Requires that an account owns blobs, and keeps them from being deleted until the transaction ends.
 * @throws UnseenError REQUEST_INVALID naming the first that is missing
 */
export async function requireOwned(queries: Queries, owner: string, blobs: readonly string[]): Promise<void> {
  const rows = await queries.query<{ sha256: string }>("SELECT sha256 FROM blobs WHERE sha256 = ANY($1) ORDER BY sha256 FOR SHARE", [blobs]);
  const locked = rows.map(({ sha256 }) => sha256);
  const owned = new Set(
    (
      await queries.query<{ sha256: string }>("SELECT sha256 FROM blob_owners WHERE owner = $1 AND sha256 = ANY($2)", [owner, locked])
    ).map(({ sha256 }) => sha256),
  );
  const missing = blobs.find((sha256) => !owned.has(sha256));
  if (missing !== undefined)
    throw new Refusal("REQUEST_INVALID", `blob ${missing}: expected it to be uploaded as a whole by this account.`, {
      hint: "Upload it, then send the request again.",
    });
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

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Copies a file and forces the copy to the disk; the SHA-256 of what was copied, null where there is no such file. */
async function copyHashed(source: string, target: string): Promise<string | null> {
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
      for (let position = 0; ; ) {
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

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Of the disk, not of a connection. */
function isSystemError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.syscall === "write";
}
