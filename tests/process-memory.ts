/**
 * Reads the memory of processes, as whoever owns the machine can.
 * @module
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";

/** The process and its children. */
export function family(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      parents.set(Number(name), Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, "utf8"))?.[1]));
    } catch {
      // gone meanwhile
    }
  }
  const members = [root];
  for (const member of members) members.push(...[...parents].filter(([, parent]) => parent === member).map(([child]) => child));
  return members;
}

const PAGE = 4096;
/** Bytes that two pieces share, so that nothing shorter is cut in two. */
const OVERLAP = 256;

/** Every page in a process's writable memory, piece by piece with an overlap. Reserved pages that were never touched are left out. */
export function* memoryOf(process_: number): Generator<Buffer> {
  const memory = openSync(`/proc/${process_}/mem`, "r");
  const pagemap = openSync(`/proc/${process_}/pagemap`, "r");
  try {
    const piece = 4 << 20;
    const buffer = Buffer.alloc(piece);
    for (const line of readFileSync(`/proc/${process_}/maps`, "utf8").split("\n")) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (!match) continue;
      const [start, end] = [Number.parseInt(match[1] as string, 16), Number.parseInt(match[2] as string, 16)];
      for (const [from, to] of touchedRuns(pagemap, start, end)) {
        for (let at = from; at < to; at += piece - OVERLAP) {
          let read = 0;
          try {
            read = readSync(memory, buffer, 0, Math.min(piece, to - at), at);
          } catch {
            break; // a guard page, or a region that is gone
          }
          yield buffer.subarray(0, read);
        }
      }
    }
  } finally {
    closeSync(memory);
    closeSync(pagemap);
  }
}

/** Runs of pages that are in memory or swapped out (Linux, admin-guide/mm/pagemap: bits 63 and 62 of 8 bytes a page). */
function* touchedRuns(pagemap: number, start: number, end: number): Generator<[number, number]> {
  const entries = Buffer.alloc(8 * 65_536);
  let from: number | null = null;
  for (let at = start; at < end;) {
    const count = Math.min(65_536, (end - at) / PAGE);
    const read = readSync(pagemap, entries, 0, count * 8, (at / PAGE) * 8) / 8;
    if (read === 0) break;
    for (let page = 0; page < read; page++, at += PAGE) {
      const isTouched = (entries[page * 8 + 7]! & 0xc0) !== 0;
      if (isTouched && from === null) from = at;
      if (!isTouched && from !== null) {
        yield [from, at];
        from = null;
      }
    }
  }
  if (from !== null) yield [from, end];
}

/** Whether this user may read the memory of processes that they started. */
export function mayReadMemory(process_: number): boolean {
  try {
    closeSync(openSync(`/proc/${process_}/mem`, "r"));
    return true;
  } catch {
    return false;
  }
}
