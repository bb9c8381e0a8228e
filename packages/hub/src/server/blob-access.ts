/**
 * Who may read a blob: its owner; the party of a job that it is sealed to; attested enclaves, for the heads of published versions;
 * everybody, for the pictures of measured leaks. No more than each needs: whoever saw both ciphertexts and what was decrypted from them
 * could attack the user's key.
 * @module
 */
import type { Account } from "./accounts.ts";
import type { Queries } from "./database.ts";

/** A blob that may be read. */
export interface ReadableBlob {
  /** Bytes. */
  readonly length: number;
  /** Everybody may read it: it is a published picture. */
  readonly isPicture: boolean;
}

/** The blob if this account, or nobody in particular (null), may read it; else null, as if it were not there. */
export async function readableBlob(queries: Queries, sha256: string, account: Account | null): Promise<ReadableBlob | null> {
  const [row] = await queries.query<ReadableBlob>(
    `SELECT * FROM (
       SELECT b.length,
         EXISTS (SELECT 1 FROM version_blobs v WHERE v.sha256 = b.sha256 AND v.kind = 'picture') AS "isPicture",
         EXISTS (SELECT 1 FROM version_blobs v WHERE v.sha256 = b.sha256 AND v.kind = 'head' AND $3 = 'enclave') AS "isHead",
         EXISTS (SELECT 1 FROM blob_owners o WHERE o.sha256 = b.sha256 AND o.owner = $2) AS "isOwn",
         -- The supplier must own it: naming a hash in a job gives no access to what another account uploaded.
         EXISTS (SELECT 1 FROM job_blobs jb JOIN jobs j ON j.id = jb.job
                 JOIN blob_owners o ON o.sha256 = jb.sha256 AND o.owner = jb.supplier
                 WHERE jb.sha256 = b.sha256 AND CASE jb.kind
                   WHEN 'keys' THEN j.enclave = $2 WHEN 'input' THEN j.enclave = $2
                   WHEN 'features' THEN j.creator = $2
                   ELSE j.owner = $2 END) AS "isParty"
       FROM blobs b WHERE b.sha256 = $1) AS found
     WHERE "isPicture" OR "isHead" OR "isOwn" OR "isParty"`,
    [sha256, account?.name ?? null, account?.role ?? null],
  );
  return row ? { length: row.length, isPicture: row.isPicture } : null;
}
