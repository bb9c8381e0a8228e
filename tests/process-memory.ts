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

/** Every writable region of a process's memory, piece by piece with an overlap. */
export function* memoryOf(process_: number): Generator<Buffer> {
  const file = openSync(`/proc/${process_}/mem`, "r");
  try {
    const piece = 4 << 20;
    const buffer = Buffer.alloc(piece);
    for (const line of readFileSync(`/proc/${process_}/maps`, "utf8").split("\n")) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (!match) continue;
      const [start, end] = [Number.parseInt(match[1] as string, 16), Number.parseInt(match[2] as string, 16)];
      for (let at = start; at < end; at += piece - 256) {
        let read = 0;
        try {
          read = readSync(file, buffer, 0, Math.min(piece, end - at), at);
        } catch {
          break; // a guard page, or a region that is gone
        }
        yield buffer.subarray(0, read);
      }
    }
  } finally {
    closeSync(file);
  }
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
