/**
 * `hosts.json` in the key holder's home: the hosts that were added in the browser, with their API keys. Only the owner can read it.
 * @module
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { ensureDirectory, writeFileAtomically } from "@unseen/client/atomic-file.ts";
import type { Home } from "@unseen/client/home.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import { keptHostSchema, MAXIMUM_HOSTS, type KeptHost } from "./host-schema.ts";

/** CWE-770: as many policies and keys as may be. */
const MAXIMUM_BYTES = 4 * 1024 * 1024;

const fileSchema = z.strictObject({ version: z.literal(1), hosts: z.array(keptHostSchema).max(MAXIMUM_HOSTS) });

/** Reads it; none where there is no file. Throws `CONFLICT` for a damaged file, `PERMISSION_DENIED`. */
export async function readHosts(home: Home): Promise<KeptHost[]> {
  const path = pathOf(home);
  const text = await readLimited(path);
  if (text === null) return [];
  try {
    return fileSchema.parse(JSON.parse(text)).hosts;
  } catch (cause) {
    // The parser's words would quote the file, which holds keys.
    throw new UnseenError("CONFLICT", `${path} is damaged, so no host can be added or removed.`, {
      hint: "Correct it or move it away, then load the page again.",
      cause,
    });
  }
}

/** Replaces it. Throws `DISK_FULL`, `PERMISSION_DENIED`; the old file is then untouched. */
export async function writeHosts(home: Home, hosts: readonly KeptHost[]): Promise<void> {
  await ensureDirectory(home.root);
  await writeFileAtomically(pathOf(home), `${JSON.stringify({ version: 1, hosts }, null, 2)}\n`);
}

function pathOf(home: Home): string {
  return join(home.root, "hosts.json");
}

/** The text; empty, and so damaged, beyond the limit; null where there is no file. */
async function readLimited(path: string): Promise<string | null> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    return size > MAXIMUM_BYTES ? "" : await file.readFile("utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw explainSystemError(error, path);
  }
}
