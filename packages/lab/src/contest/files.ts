/**
 * A contest's directory: `public/` may be published as a whole, `private/` stays with the organiser.
 * @module
 */
import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createFileAtomically, ensureDirectory } from "@unseen/client/atomic-file.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { checkContest, malformed, type Contest } from "./contest.ts";
import type { MadeContest } from "./make-contest.ts";
import { checkSolution, solutionFile, type Solution } from "./solution.ts";

/** Bytes of `contest.json` or `solution.json` (CWE-770). */
const MAXIMUM_FILE_BYTES = 32 * 1024 * 1024;

/** Where the files of a contest lie. */
export interface ContestFiles {
  readonly contest: string;
  readonly solution: string;
  /** Participants and submissions. */
  readonly database: string;
}

/** The files of a contest's directory. */
export function contestFiles(directory: string): ContestFiles {
  return {
    contest: join(directory, "public", "contest.json"),
    solution: join(directory, "private", "solution.json"),
    database: join(directory, "private", "contest.sqlite"),
  };
}

/** Writes both halves of a contest; what is in `private/` is readable by its owner alone. Throws `OUTPUT_EXISTS`, `DISK_FULL`, `PERMISSION_DENIED`. */
export async function writeContest(directory: string, { contest, solution }: MadeContest): Promise<ContestFiles> {
  const files = contestFiles(directory);
  await mkdir(join(directory, "public"), { recursive: true }).catch((error: unknown) => {
    throw explainSystemError(error, directory);
  });
  await ensureDirectory(join(directory, "private"));
  // The solution first: what was published can always be scored.
  for (const [path, value, mode] of [
    [files.solution, solutionFile(solution), 0o600],
    [files.contest, contest, 0o644],
  ] as const) {
    if (await createFileAtomically(path, `${JSON.stringify(value, null, 2)}\n`, mode)) continue;
    throw new UnseenError("OUTPUT_EXISTS", `${path} already exists.`, { hint: "Choose another --out; a contest is never replaced." });
  }
  return files;
}

/** Reads a `contest.json`. Throws `CHECKPOINT_*`. */
export async function readContest(path: string): Promise<Contest> {
  return checkContest(await readJson(path), path);
}

/** Reads a `solution.json`. Throws `CHECKPOINT_*`. */
export async function readSolution(path: string): Promise<Solution> {
  return checkSolution(await readJson(path), path);
}

/** The bytes of a file or pipe, one more than `maximum` where there are more. Throws `CHECKPOINT_NOT_FOUND`, `PERMISSION_DENIED`. */
export async function readAtMost(path: string, maximum: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  try {
    for await (const part of createReadStream(path, { end: maximum })) parts.push(part as Uint8Array);
  } catch (error) {
    throw explainSystemError(error, path);
  }
  return Buffer.concat(parts);
}

async function readJson(path: string): Promise<unknown> {
  const content = await readAtMost(path, MAXIMUM_FILE_BYTES);
  if (content.length > MAXIMUM_FILE_BYTES)
    throw new UnseenError("CHECKPOINT_TOO_LARGE", `${path}: expected at most ${MAXIMUM_FILE_BYTES} bytes.`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
  } catch {
    throw malformed(path, { path: [], message: "expected JSON" });
  }
}
