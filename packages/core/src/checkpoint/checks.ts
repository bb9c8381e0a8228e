/**
 * What every tensor header must satisfy, whatever the file format. Headers come from strangers: each number is
 * checked before it is used for a size, an offset or an allocation.
 * @module
 */
import { UnseenError } from "../errors.ts";
import { blockSize } from "./format.ts";
import type { Format } from "./tensor.ts";

/** Tensors in a checkpoint (CWE-770); the largest published mixtures have about 200,000. */
export const MAXIMUM_TENSORS = 1_000_000;
/** Dimensions of a tensor (CWE-770). */
export const MAXIMUM_RANK = 8;
/** UTF-16 units of a tensor's name (CWE-770). */
export const MAXIMUM_NAME_LENGTH = 1024;

/** A claim on bytes `[begin, end)` of a file's data. */
export interface Region {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

/** A header that contradicts its format. */
export function malformed(message: string, hint = "The file is damaged or not what its name says; download it again."): UnseenError {
  return new UnseenError("CHECKPOINT_MALFORMED", message, { hint });
}

/** A file that ends before what its header promises. */
export function truncated(message: string): UnseenError {
  return new UnseenError("CHECKPOINT_TRUNCATED", message, { hint: "The download was interrupted; download the file again." });
}

/** A length beyond a limit. */
export function tooLarge(message: string): UnseenError {
  return new UnseenError("CHECKPOINT_TOO_LARGE", message, { hint: "No known model needs this; the file is damaged or hostile." });
}

/** A name from a file, fit for a message: one line, printable, short. */
export function quote(name: string): string {
  const text = name.length > 80 ? `${name.slice(0, 80)}...` : name;
  return JSON.stringify(text).replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Refuses names that could deceive a terminal, a log or an object's prototype (CWE-117, CWE-1321). Returns the name. */
export function checkName(name: string, where: string): string {
  if (name.length > MAXIMUM_NAME_LENGTH)
    throw tooLarge(`${where}: a name of ${name.length} characters exceeds the limit of ${MAXIMUM_NAME_LENGTH}.`);
  if (name === "" || name === "__proto__" || /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(name)) {
    throw malformed(`${where}: expected a name of printable characters, got ${quote(name)}.`);
  }
  return name;
}

/** Bytes that a tensor takes. Throws where a dimension is no count, the product overflows (CWE-190) or a row ends inside a block. */
export function tensorBytes(format: Format, shape: readonly number[], where: string): number {
  if (shape.length > MAXIMUM_RANK) throw tooLarge(`${where}: ${shape.length} dimensions exceed the limit of ${MAXIMUM_RANK}.`);
  let weights = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0)
      throw malformed(`${where}: expected dimensions that are non-negative integers, got ${size}.`);
    weights *= size;
    if (!Number.isSafeInteger(weights)) throw tooLarge(`${where}: the product of the dimensions exceeds 2^53.`);
  }
  const block = blockSize(format);
  const columns = shape.at(-1) ?? 1;
  if (columns % block.weights !== 0)
    throw malformed(`${where}: rows of ${format} must hold a multiple of ${block.weights} weights, got ${columns}.`);
  const bytes = (weights / block.weights) * block.bytes;
  if (!Number.isSafeInteger(bytes)) throw tooLarge(`${where}: its size exceeds 2^53 bytes.`);
  return bytes;
}

/**
 * Sorts regions by place and checks that they cover `[0, bytes)`: nothing twice, no gap or rest of `alignment` bytes or more.
 * Throws `CHECKPOINT_OVERLAP`, `CHECKPOINT_TRUNCATED`, `CHECKPOINT_MALFORMED`.
 */
export function orderRegions<T extends Region>(regions: readonly T[], bytes: number, alignment: number, file: string): T[] {
  const ordered = regions.toSorted((a, b) => a.begin - b.begin || a.end - b.end);
  let reached = 0;
  let previous = "the header";
  for (const { name, begin, end } of ordered) {
    if (begin < reached)
      throw new UnseenError("CHECKPOINT_OVERLAP", `${file}: tensors ${previous} and ${name} claim the same bytes.`, {
        hint: "The file is damaged or hostile; download it again.",
      });
    if (begin - reached >= alignment)
      throw malformed(`${file}: ${begin - reached} bytes between ${previous} and ${name} belong to no tensor.`);
    if (end > bytes) throw truncated(`${file} ends early: tensor ${name} ends at data byte ${end}, but the file has ${bytes}.`);
    reached = end;
    previous = name;
  }
  if (bytes - reached >= alignment) throw malformed(`${file}: ${bytes - reached} bytes after ${previous} belong to no tensor.`);
  return ordered;
}
