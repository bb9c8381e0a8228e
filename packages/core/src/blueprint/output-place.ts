/**
 * A place for output that appears whole or not at all: work happens in `NAME.partial`, and one rename
 * makes it `NAME`. A process that dies leaves only the `.partial`, which nothing accepts as a model.
 * @module
 */
import {
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UnseenError, explainSystemError } from "../errors.ts";

/** Names the process that writes; what has no such file is not ours to remove. */
const OWNER_FILE = ".unseen-owner";
const FLUSH_MILLISECONDS = 250;

/** Directories that this process is writing. */
const writing = new Set<string>();

export class OutputPlace {
  /** Where the finished output will be. */
  readonly path: string;
  /** Directory to write into. */
  readonly directory: string;
  /** Whether an interrupted run's leftover was removed. */
  readonly removedLeftover: boolean;
  readonly #singleFile: string | null;
  readonly #besides: readonly string[];

  /**
   * @param path the final directory, or file if `singleFile` names it
   * @param singleFile for output that is one file: its name inside `directory` until it is moved out
   * @param besides names of files that belong beside it, which get their names before it does
   * @throws UnseenError `OUTPUT_EXISTS`, `PERMISSION_DENIED`, `DISK_FULL`
   */
  constructor(path: string, singleFile: string | null = null, besides: readonly string[] = []) {
    this.path = resolve(path);
    this.directory = `${this.path}.partial`;
    this.#singleFile = singleFile;
    this.#besides = besides;
    try {
      this.#takeBack();
      this.#requireFree();
      this.removedLeftover = removeLeftover(this.directory);
      mkdirSync(dirname(this.path), { recursive: true });
      mkdirSync(this.directory, { mode: 0o700 });
    } catch (error) {
      throw explainSystemError(error, path);
    }
    writing.add(this.directory);
    try {
      writeFileSync(join(this.directory, OWNER_FILE), String(process.pid));
    } catch (error) {
      this.discard();
      throw explainSystemError(error, path);
    }
  }

  /** What a commit that died between two renames had put beside the output goes back to the rest of its leftover. */
  #takeBack(): void {
    if (this.#singleFile === null || this.#besides.length === 0 || exists(this.path)) return;
    const owner = ownerOf(this.directory);
    if (owner === null || isAlive(owner) || !exists(join(this.directory, this.#singleFile))) return;
    for (const name of this.#besides) {
      const [inside, beside] = [join(this.directory, name), join(dirname(this.path), name)];
      if (!exists(inside) && exists(beside)) renameSync(beside, inside);
    }
  }

  /** A link that leads nowhere is in the way too: a rename would replace it. */
  #requireFree(): void {
    for (const path of [this.path, ...this.#besides.map((name) => join(dirname(this.path), name))]) {
      if (exists(path))
        throw new UnseenError("OUTPUT_EXISTS", `${path} already exists.`, { hint: "Choose another --out or remove it first." });
    }
  }

  /** Fails early where `bytes` will not fit. Throws `DISK_FULL`. */
  reserve(bytes: number): void {
    const { bavail, bsize } = statfsSync(this.directory);
    if (bavail * bsize >= bytes) return;
    throw new UnseenError(
      "DISK_FULL",
      `${this.path} needs ${Math.ceil(bytes / 1e6)} MB, but only ${Math.floor((bavail * bsize) / 1e6)} MB are free.`,
      {
        hint: "Free some space or choose another --out.",
      },
    );
  }

  /**
   * Runs `work` while the disk already takes what it wrote, so that {@link commit} need not wait for all of it.
   * Costs nothing where the disk keeps up, and bounds the memory that unwritten pages hold.
   */
  async whileFlushing<T>(work: () => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const flushing = this.#flushRepeatedly(stop.signal);
    try {
      return await work();
    } finally {
      stop.abort();
      await flushing;
    }
  }

  async #flushRepeatedly(signal: AbortSignal): Promise<void> {
    const names = readdirSync(this.directory).filter((name) => name !== OWNER_FILE);
    const handles = await Promise.all(names.map((name) => open(join(this.directory, name), "r")));
    try {
      while (!signal.aborted) {
        await sleep(FLUSH_MILLISECONDS, undefined, { signal }).catch(() => {});
        if (signal.aborted) return;
        // A failing disk shows itself to the writers and to commit; this is only a head start.
        for (const handle of handles) await handle.datasync().catch(() => {});
      }
    } finally {
      await Promise.all(handles.map((handle) => handle.close()));
    }
  }

  /** Flushes every file and gives the output its name. */
  commit(): void {
    this.#requireFree();
    try {
      for (const name of readdirSync(this.directory)) flush(join(this.directory, name));
      flush(this.directory);
      if (this.#singleFile === null) {
        // As late as can be: a leftover without it has to be removed by hand.
        rmSync(join(this.directory, OWNER_FILE), { force: true });
        renameSync(this.directory, this.path);
      } else {
        for (const name of this.#besides) renameSync(join(this.directory, name), join(dirname(this.path), name));
        renameSync(join(this.directory, this.#singleFile), this.path);
        rmSync(this.directory, { recursive: true });
      }
      flush(dirname(this.path));
    } catch (error) {
      throw explainSystemError(error, this.path);
    }
    writing.delete(this.directory);
  }

  /** Removes everything written so far. */
  discard(): void {
    rmSync(this.directory, { recursive: true, force: true });
    writing.delete(this.directory);
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Removes what a dead process left; refuses what a living one is writing, and what no such process made. */
function removeLeftover(directory: string): boolean {
  if (!exists(directory)) return false;
  const owner = ownerOf(directory);
  if (owner === null && isBare(directory)) {
    // Killed between making it and signing it: nothing in it can be anybody's.
    rmSync(directory, { recursive: true });
    return true;
  }
  if (owner === null) {
    throw new UnseenError("OUTPUT_EXISTS", `${directory} is in the way, and nothing says that an interrupted run left it.`, {
      hint: "Look into it and remove it, or choose another --out.",
    });
  }
  // The number of a dead process may be this one's now, as in containers.
  if (owner === process.pid ? writing.has(directory) : isAlive(owner)) {
    throw new UnseenError("OUTPUT_EXISTS", `process ${owner} is writing ${directory}.`, {
      hint: "Wait for it, or choose another --out. If that process is not Unseen's, remove the directory.",
    });
  }
  rmSync(directory, { recursive: true, force: true });
  return true;
}

/** Whether a directory holds nothing but, at most, a signature that was never finished. */
function isBare(path: string): boolean {
  return lstatSync(path).isDirectory() && readdirSync(path).every((name) => name === OWNER_FILE);
}

function ownerOf(directory: string): number | null {
  try {
    const owner = Number(readFileSync(join(directory, OWNER_FILE), "utf8"));
    return Number.isSafeInteger(owner) && owner > 0 ? owner : null;
  } catch {
    return null;
  }
}

function isAlive(process_: number): boolean {
  try {
    process.kill(process_, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // another user's
  }
}

function flush(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
