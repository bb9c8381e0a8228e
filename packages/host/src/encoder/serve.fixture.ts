/**
 * Hosts of tiny encoders for tests: a directory of one's own, rows of ids, and what each row gives alone.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { outputs } from "../encoder-client.fixture.ts";
import { startHost, type Host, type HostOptions } from "../serve.ts";
import { TINY_ONNX_VOCABULARY } from "../tiny-onnx.fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-encoder-"));
after(() => rmSync(directory, { recursive: true }));

/** A file of this test file's own. */
export const path = (name: string): string => join(directory, name);

/** Ids that differ from row to row. */
export const row = (length: number, seed = 0): number[] =>
  Array.from({ length }, (_, index) => (1 + seed * 13 + index * 7) % TINY_ONNX_VOCABULARY);
export const LENGTHS = [3, 9, 1, 30, 4, 64, 17, 2];
export const ROWS = LENGTHS.map(row);

/** Serves a model for as long as it is used. */
export async function withHost(
  write: (file: string) => void,
  options: Partial<HostOptions>,
  use: (host: Host, lines: string[]) => Promise<void>,
): Promise<void> {
  const file = path("some.onnx");
  write(file);
  const lines: string[] = [];
  const host = await startHost({ model: file, port: 0, plain: true, log: (line) => lines.push(line), ...options });
  try {
    await use(host, lines);
  } finally {
    await host.close(0);
  }
}

/** What each row gives in a run of its own. */
export async function singly(url: string, rows: readonly number[][]): Promise<number[][]> {
  const all = [];
  for (const input of rows) all.push((await outputs(url, { input }))[0]!);
  return all;
}
