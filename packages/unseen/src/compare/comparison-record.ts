/**
 * The last comparison, kept in the home.
 * @module
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { ensureDirectory, writeFileAtomically } from "@unseen/client/atomic-file.ts";
import type { Home } from "@unseen/client/home.ts";
import type { Comparison } from "@unseen/web/protocol/comparison.ts";
import { z } from "zod";

/** Bytes of a record (CWE-770). */
const MAXIMUM_BYTES = 256 * 1024;

const text = z.string().max(4096);
const size = z.number().min(0);
const figure = size.nullable();

const rowSchema = z.object({
  id: z.enum(["plain", "permute", "rotate", "attested", "servers", "distant-servers"]),
  name: text,
  learns: text,
  tokensPerSecond: figure,
  firstTokenSeconds: figure,
  overhead: figure,
  overheadRange: z.tuple([size, size]).nullable(),
  fidelity: z
    .object({ greedyAgreement: z.number().min(0).max(1), meanKl: z.number(), maxLogitDifference: size, tokens: z.int().min(0) })
    .nullable(),
  bytesPerToken: figure,
  answerTokens: figure,
  rounds: size,
  roundTrip: figure,
  refusal: text.nullable(),
});

const schema = z.object({
  date: z.iso.datetime(),
  model: text,
  machine: z.object({ processor: text, cores: size, memoryBytes: size, system: text }),
  quick: z.boolean(),
  promptTokens: size,
  rounds: size,
  seconds: size,
  command: text,
  rows: z.array(rowSchema).max(20),
  head: z
    .object({
      network: text,
      cut: size,
      layers: z.array(text).max(100),
      scheme: text,
      learns: text,
      ciphertextSeconds: size,
      clearSeconds: size,
      overhead: size,
      largestError: size,
      keyBytes: size,
      pictureBytes: size,
      featureBytes: size,
    })
    .nullable(),
  headFailure: text.nullable(),
}) satisfies z.ZodType<Comparison>;

/** Where it lies. */
export function comparisonFile(home: Home): string {
  return join(home.reports, "compare.json");
}

/** Replaces the last one. @throws UnseenError DISK_FULL, PERMISSION_DENIED */
export async function keepComparison(home: Home, comparison: Comparison): Promise<void> {
  await ensureDirectory(home.reports);
  await writeFileAtomically(comparisonFile(home), `${JSON.stringify(comparison)}\n`);
}

/** The last one, or null: none was made, or a record of another form. */
export async function readComparison(home: Home): Promise<Comparison | null> {
  const path = comparisonFile(home);
  try {
    if ((await stat(path)).size > MAXIMUM_BYTES) return null;
    return schema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return null;
  }
}
