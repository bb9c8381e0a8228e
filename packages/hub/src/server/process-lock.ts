/**
 * One process at a time: the embedded database does not notice a second one and would be destroyed by it.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { UnseenError } from "@unseen/core/errors.ts";

/** A lock that is held. */
export interface ProcessLock {
  release(): void;
}

/**
 * Locks a directory for this process. The kernel holds the lock and drops it when the process ends, however it ends, so that a lock
 * is never stale and a process id that was given away again cannot be mistaken for its owner. Node has no call for such locks; SQLite has.
 * @throws UnseenError CONFLICT with the other process's id
 */
export function lockDirectory(directory: string): ProcessLock {
  const pidFile = join(directory, "hub.pid");
  const file = new DatabaseSync(join(directory, "hub.lock"));
  try {
    file.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (error) {
    file.close();
    throw new UnseenError(
      "CONFLICT",
      `expected ${directory} for one hub alone, but another hub runs there (process ${ownerOf(pidFile)}).`,
      {
        hint: "Stop it, or give another data directory; several hubs at once need a PostgreSQL server (DATABASE_URL).",
        cause: error,
      },
    );
  }
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  return {
    release() {
      file.exec("ROLLBACK");
      file.close();
    },
  };
}

function ownerOf(pidFile: string): string {
  try {
    return /^\d{1,10}$/m.exec(readFileSync(pidFile, "utf8"))?.[0] ?? "unknown";
  } catch {
    return "unknown";
  }
}
