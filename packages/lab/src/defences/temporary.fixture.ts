/**
 * For tests: a folder that goes when the test ends, with a small random Llama in it.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { writeRandomLlama, type RandomLlama } from "../../../../tests/random-llama.ts";

export function temporaryFolder(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "unseen-test-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Path of a random Llama of a few kilobytes. */
export function temporaryLlama(t: TestContext, options: RandomLlama = {}): string {
  const path = join(temporaryFolder(t), "plain");
  writeRandomLlama(path, options);
  return path;
}
