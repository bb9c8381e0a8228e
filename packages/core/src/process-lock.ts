/**
 * One process at a time in a directory.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** SQLite's result code for a lock that another connection holds. */
const BUSY = 5;

/** A lock that is held. */
export interface ProcessLock {
  release(): void;
}

/** What a directory is locked for. */
export interface ProcessLockOptions {
  /** Of the files `NAME.lock` and `NAME.pid` in it. */
  readonly name: string;
  /** What to throw while another process holds the lock. */
  readonly refuse: (process: string, cause: unknown) => Error;
}

/**
 * Locks a directory for this process. The kernel holds the lock and drops it when the process ends, however it ends, so that a lock
 * is never stale and a process id that was given away again cannot be mistaken for its owner. Node has no call for such locks; SQLite has.
 * @throws whatever `refuse` makes; SQLite's error where the file cannot be made
 */
export function lockDirectory(directory: string, { name, refuse }: ProcessLockOptions): ProcessLock {
  const pidFile = join(directory, `${name}.pid`);
  const file = new DatabaseSync(join(directory, `${name}.lock`));
  try {
    file.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (error) {
    file.close();
    throw (error as { errcode?: number }).errcode === BUSY ? refuse(ownerOf(pidFile), error) : error;
  }
  try {
    writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  } catch {
    // A full disk costs the other side the number, not the lock.
  }
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
