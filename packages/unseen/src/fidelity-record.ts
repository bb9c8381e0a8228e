/**
 * How exactly a model computes what the plain one does, kept beside the lab's reports: measured when it was encrypted, shown later.
 * @module
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { ensureDirectory, writeFileAtomically } from "@unseen/client/atomic-file.ts";
import type { Home } from "@unseen/client/home.ts";
import type { Fidelity } from "@unseen/core/reference/verify.ts";
import { z } from "zod";

/** Bytes of a record (CWE-770). */
const MAXIMUM_BYTES = 16 * 1024;

const schema = z.object({
  greedyAgreement: z.number().min(0).max(1),
  meanKl: z.number(),
  maxLogitDifference: z.number().min(0),
  tokens: z.int().min(0),
});

/** What is kept: shares 0..1, nats, positions. */
export type KeptFidelity = z.output<typeof schema>;

function fileOf(home: Home, fingerprint: string): string {
  return join(home.reports, `${fingerprint}.fidelity.json`);
}

/** Keeps a measurement; where that fails, `note` says so, since the model itself is whole. */
export async function keepFidelity(home: Home, fingerprint: string, fidelity: Fidelity, note: (line: string) => void): Promise<void> {
  const { greedyAgreement, meanKl, maxLogitDifference, tokens } = fidelity;
  const record: KeptFidelity = { greedyAgreement, meanKl, maxLogitDifference, tokens };
  try {
    await ensureDirectory(home.reports);
    await writeFileAtomically(fileOf(home, fingerprint), `${JSON.stringify(record)}\n`);
  } catch (error) {
    note(`The model is whole, but its fidelity was not kept: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What was kept, or null: not measured, or a record of another form. */
export async function readFidelity(home: Home, fingerprint: string): Promise<KeptFidelity | null> {
  const path = fileOf(home, fingerprint);
  try {
    if ((await stat(path)).size > MAXIMUM_BYTES) return null;
    return schema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return null;
  }
}
