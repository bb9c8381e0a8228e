/**
 * Looks for a picture in bytes, in every form that a program would hold it in.
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { family, memoryOf } from "./process-memory.ts";

/** Pixels of a run that is looked for: long enough to be no chance, short enough to be in one piece. */
const RUN = 12;
/** Different greys that a run must have, or it is found in any black border. */
const GREYS = 6;
/** Runs that are looked for, from all over the picture. */
const RUNS = 3;

/** A name and the bytes that it stands for. */
export type Needle = readonly [string, Buffer];

/** Runs of a picture (bytes, row by row) in the forms that memory, files and messages have. */
export function needlesOf(picture: Uint8Array, width: number): Needle[] {
  const runs: Uint8Array[] = [];
  for (let at = 0; at + RUN <= picture.length; at += RUN) {
    if (Math.floor(at / width) !== Math.floor((at + RUN - 1) / width)) continue;
    const run = picture.slice(at, at + RUN);
    if (new Set(run).size >= GREYS) runs.push(run);
  }
  if (runs.length < RUNS) throw new RangeError("the picture has too little detail to be looked for");
  const chosen = Array.from({ length: RUNS }, (_, index) => runs[Math.floor((index * runs.length) / RUNS)]!);
  return chosen.flatMap((run, index) => formsOf(run).map(([form, bytes]): Needle => [`run ${index} as ${form}`, bytes]));
}

function formsOf(run: Uint8Array): Needle[] {
  const share = Float64Array.from(run, (byte) => byte / 255);
  const bytes = Buffer.from(run);
  // A base64 text depends on where its triples begin: whole triples of each beginning, without the first and last ones.
  const base64 = [0, 1, 2].map((start): Needle => {
    const whole = bytes.subarray(start, start + 3 * Math.floor((bytes.length - start) / 3));
    return [`base64 from ${start}`, Buffer.from(whole.toString("base64"))];
  });
  return [
    ["bytes", bytes],
    ["float32 of 0..1", Buffer.from(Float32Array.from(share).buffer)],
    ["float64 of 0..1", Buffer.from(share.buffer)],
    ["float32 of 0..255", Buffer.from(Float32Array.from(run).buffer)],
    ["float64 of 0..255", Buffer.from(Float64Array.from(run).buffer)],
    ["int16", Buffer.from(Int16Array.from(run).buffer)],
    ["int32", Buffer.from(Int32Array.from(run).buffer)],
    ["RGB", Buffer.from([...run].flatMap((byte) => [byte, byte, byte]))],
    ["RGBA", Buffer.from([...run].flatMap((byte) => [byte, byte, byte, 255]))],
    ["hexadecimal", Buffer.from(bytes.toString("hex"))],
    ["JSON", Buffer.from([...run].join(","))],
    ...base64,
  ];
}

/** Names of the needles that bytes hold. */
export function findIn(haystack: Buffer, needles: readonly Needle[]): string[] {
  return needles.filter(([, bytes]) => haystack.includes(bytes)).map(([name]) => name);
}

/** The same in the memory of a process and of its children. */
export function findInMemory(process_: number, needles: readonly Needle[]): string[] {
  const found = new Set<string>();
  for (const member of family(process_)) {
    for (const piece of memoryOf(member))
      for (const name of findIn(
        piece,
        needles.filter(([sought]) => !found.has(sought)),
      ))
        found.add(name);
  }
  return [...found];
}

/** The same in all files below a directory: [path, needle]. */
export function findInFiles(directory: string, needles: readonly Needle[]): [string, string][] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    return findIn(readFileSync(path), needles).map((name): [string, string] => [path, name]);
  });
}
