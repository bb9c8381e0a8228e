/**
 * The embedded database: PostgreSQL compiled to WebAssembly, in a directory, for one process at a time.
 *
 * A commit is in the files when its statement returns, so it outlives the process (`kill -9`). It is not forced to the disk's surface:
 * PGlite has no fsync. Who must survive a power failure to the last commit uses a PostgreSQL server.
 * @module
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { explainSystemError } from "@unseen/core/errors.ts";
import type { Database, Queries } from "./database.ts";
import { lockDirectory } from "./process-lock.ts";

/**
 * Opens or creates the database in `directory`.
 * @throws UnseenError CONFLICT where another process has it, PERMISSION_DENIED, DISK_FULL
 */
export async function openPglite(directory: string): Promise<Database> {
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw explainSystemError(error, directory);
  });
  const lock = lockDirectory(directory);
  try {
    const engine = await PGlite.create(join(directory, "pglite"), { relaxedDurability: false });
    const queriesOf = (source: Pick<PGlite, "query">): Queries => ({
      async query<Row extends object>(statement: string, values: readonly unknown[] = []) {
        return (await source.query<Row>(statement, [...values])).rows;
      },
    });
    return {
      ...queriesOf(engine),
      transaction: (body) => engine.transaction((inner) => body(queriesOf(inner as unknown as Pick<PGlite, "query">))),
      async close() {
        await engine.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw explainSystemError(error, directory);
  }
}
