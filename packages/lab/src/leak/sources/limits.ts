/**
 * What files of pictures may take; they may come from anyone.
 * @module
 */
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { tooLarge } from "@unseen/core/checkpoint/checks.ts";

/** Bytes of one file (CWE-770). */
export const MAXIMUM_FILE_BYTES = 512 * 2 ** 20;
/** Bytes that a packed file may grow to (CWE-409). */
export const MAXIMUM_ARRAY_BYTES = 1024 * 2 ** 20;
/** Things known about each picture (CWE-770). */
export const MAXIMUM_LABELS = 20;
/** Different values of a label (CWE-770). */
export const MAXIMUM_CLASSES = 1000;

/** A whole file. @throws UnseenError CHECKPOINT_TOO_LARGE */
export async function readBounded(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size > MAXIMUM_FILE_BYTES) throw tooLarge(`${basename(path)}: ${size} bytes exceed the limit of ${MAXIMUM_FILE_BYTES}.`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}
