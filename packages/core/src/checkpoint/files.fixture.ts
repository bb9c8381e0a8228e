/**
 * For tests: directories that vanish afterwards, handmade safetensors files, and what every opened checkpoint must satisfy.
 * @module
 */
import assert from "node:assert/strict";
import { closeSync, constants, ftruncateSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { UnseenError, type ErrorCode } from "../errors.ts";
import { tensorBytes } from "./checks.ts";
import type { TensorLocation } from "./tensor.ts";

/** A new directory, removed when the test ends. */
export function temporaryDirectory(context: Pick<TestContext, "after">): string {
  const directory = mkdtempSync(join(tmpdir(), "unseen-checkpoint-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Writes a file over another. Unlike `writeFileSync` it never empties the file first, which some file systems answer with a flush to disk. */
export function replaceFile(path: string, bytes: string | Uint8Array): void {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT);
  try {
    const content = Buffer.from(bytes);
    writeSync(descriptor, content, 0, content.length, 0);
    ftruncateSync(descriptor, content.length);
  } finally {
    closeSync(descriptor);
  }
}

/** Writes a safetensors file of any header text and a number of zero bytes; returns its path. */
export function writeRaw(directory: string, header: string | Uint8Array, dataBytes: number, name = "model.safetensors"): string {
  const json = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const path = join(directory, name);
  writeFileSync(path, Buffer.concat([length, json, Buffer.alloc(dataBytes)]));
  return path;
}

/** Asserts that an action fails with one of these codes, in one line, with something to do next. */
export async function rejectsWith(action: () => Promise<unknown>, ...codes: ErrorCode[]): Promise<void> {
  await assert.rejects(action, (error) => {
    assert.ok(UnseenError.isInstance(error), `expected an UnseenError, got ${String(error)}`);
    assert.ok(codes.includes(error.code), `expected ${codes.join(" or ")}, got ${error.code}: ${error.message}`);
    assert.match(error.line, /^[\x20-\x7e]+$/);
    assert.ok(error.hint);
    return true;
  });
}

/** Opens what may be damaged: a typed refusal, or tensors that lie inside their file, apart from each other, in their true size. */
export async function opensOrRefuses(open: () => Promise<{ tensors: ReadonlyMap<string, TensorLocation> }>): Promise<"opened" | "refused"> {
  let opened;
  try {
    opened = await open();
  } catch (error) {
    assert.ok(UnseenError.isInstance(error) && error.code.startsWith("CHECKPOINT_"), `expected a typed refusal, got ${String(error)}`);
    return "refused";
  }
  const ends = new Map<string, number>();
  for (const [name, tensor] of opened.tensors) {
    assert.equal(tensor.name, name);
    assert.equal(tensor.bytes, tensorBytes(tensor.format, tensor.shape, name));
    assert.ok(tensor.offset >= (ends.get(tensor.file) ?? 0));
    assert.ok(tensor.offset + tensor.bytes <= statSync(tensor.file).size);
    ends.set(tensor.file, tensor.offset + tensor.bytes);
  }
  return "opened";
}
