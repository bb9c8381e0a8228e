/**
 * Who has uploaded a blob. Whoever relies on a blob and whoever deletes it wait for each other at its row.
 * @module
 */
import type { Queries } from "./database.ts";
import { Refusal } from "./refusal.ts";

/** Makes or finds a blob's row and locks it until the transaction ends. */
export async function lockBlob(queries: Queries, sha256: string, length: number): Promise<void> {
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
  const rows = await queries.query<{ sha256: string }>("SELECT sha256 FROM blobs WHERE sha256 = ANY($1) ORDER BY sha256 FOR SHARE", [
    blobs,
  ]);
  const locked = rows.map(({ sha256 }) => sha256);
  const owned = new Set(
    (await queries.query<{ sha256: string }>("SELECT sha256 FROM blob_owners WHERE owner = $1 AND sha256 = ANY($2)", [owner, locked])).map(
      ({ sha256 }) => sha256,
    ),
  );
  const missing = blobs.find((sha256) => !owned.has(sha256));
  if (missing !== undefined)
    throw new Refusal("REQUEST_INVALID", `blob ${missing}: expected it to be uploaded as a whole by this account.`, {
      hint: "Upload it, then send the request again.",
    });
}
