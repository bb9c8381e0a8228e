/**
 * One process at a time: the embedded database does not notice a second one and would be destroyed by it.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { lockDirectory as lock, type ProcessLock } from "@unseen/core/process-lock.ts";

/**
 * Locks a hub's directory for this process.
 * @throws UnseenError CONFLICT with the other process's id
 */
export function lockDirectory(directory: string): ProcessLock {
  return lock(directory, {
    name: "hub",
    refuse: (owner, cause) =>
      new UnseenError("CONFLICT", `expected ${directory} for one hub alone, but another hub runs there (process ${owner}).`, {
        hint: "Stop it, or give another data directory; several hubs at once need a PostgreSQL server (DATABASE_URL).",
        cause,
      }),
  });
}
