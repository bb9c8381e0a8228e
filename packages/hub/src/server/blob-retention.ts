/**
 * When blobs go: some time after their last use. The record of a job stays, what was sealed for it does not.
 * @module
 */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { lockBlob } from "./blob-owners.ts";
import type { Database } from "./database.ts";
import { blobPath, uploadPath, uploadsPath, type UploadName } from "./upload-file.ts";

const BATCH = 100;

/** An owner `o` whose blob neither a job that it supplied it to nor a version of its own names. */
const UNUSED = `NOT EXISTS (SELECT 1 FROM job_blobs j WHERE j.sha256 = o.sha256 AND j.supplier = o.owner)
  AND NOT EXISTS (SELECT 1 FROM version_blobs v JOIN versions USING (version) JOIN models m ON m.name = versions.model
                  WHERE v.sha256 = o.sha256 AND m.creator = o.owner)`;

/**
 * Deletes what has been of no use for some seconds: blobs that neither a job nor a version names, and uploads that stopped.
 * @param directory the data directory
 */
export async function sweepBlobs(database: Database, directory: string, seconds: number): Promise<void> {
  for (let more = true; more;) {
    // The row first: an upload that goes on at this moment keeps its file.
    const stopped = await database.query<UploadName>(
      `DELETE FROM uploads WHERE (owner, sha256) IN
         (SELECT owner, sha256 FROM uploads WHERE updated < now() - make_interval(secs => $1) LIMIT ${BATCH})
       AND updated < now() - make_interval(secs => $1) RETURNING owner, sha256`,
      [seconds],
    );
    for (const name of stopped) {
      await rm(uploadPath(directory, name), { force: true });
      await collect(database, directory, name.sha256, seconds);
    }
    const unused = await database.query<{ sha256: string }>(
      `SELECT DISTINCT sha256 FROM blob_owners o WHERE used < now() - make_interval(secs => $1) AND ${UNUSED} LIMIT ${BATCH}`,
      [seconds],
    );
    for (const { sha256 } of unused) await collect(database, directory, sha256, seconds);
    more = stopped.length === BATCH || unused.length === BATCH;
  }
  await tidyUploads(directory, seconds);
}

/** Gives up owners without a use, and the file with the last of them. */
async function collect(database: Database, directory: string, sha256: string, seconds: number): Promise<void> {
  await database.transaction(async (queries) => {
    await lockBlob(queries, sha256, 0);
    await queries.query(`DELETE FROM blob_owners o WHERE sha256 = $1 AND used < now() - make_interval(secs => $2) AND ${UNUSED}`, [
      sha256,
      seconds,
    ]);
    const owners = await queries.query("SELECT 1 FROM blob_owners WHERE sha256 = $1 LIMIT 1", [sha256]);
    if (owners.length > 0) return;
    await queries.query("DELETE FROM blobs WHERE sha256 = $1", [sha256]);
    await rm(blobPath(directory, sha256), { force: true });
  });
}

/** Files that a hub which died left behind, which no row knows. */
async function tidyUploads(directory: string, seconds: number): Promise<void> {
  const uploads = uploadsPath(directory);
  const names = await readdir(uploads).catch(() => []);
  for (const name of names) {
    const path = join(uploads, name);
    const modified = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity,
    );
    if (modified < Date.now() - 2 * seconds * 1000 - 60_000) await rm(path, { force: true });
  }
}
