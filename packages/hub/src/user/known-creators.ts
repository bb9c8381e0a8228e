/**
 * Which key each model's creator had when it was first used: a hub that puts another in its place is noticed (trust on first use, as SSH does).
 * @module
 */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { ensureDirectory, writeFileAtomically } from "@unseen/client/atomic-file.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";

const fileSchema = z.record(z.string(), z.string());

/**
 * Remembers a creator's key, or compares it with the one that is remembered.
 *
 * @param file JSON, made when it is not there
 * @returns whether the creator is new
 * @throws UnseenError CREATOR_CHANGED
 */
export async function checkCreator(
  file: string,
  { hub, model, key }: { hub: string; model: string; key: string },
): Promise<{ isNew: boolean }> {
  const known = await readKnown(file);
  const name = `${hub} ${model}`;
  const remembered = known[name];
  if (remembered === key) return { isNew: false };
  if (remembered !== undefined) {
    throw new UnseenError("CREATOR_CHANGED", `the creator of ${model} has another key than when the model was first used here.`, {
      hint: `Ask the creator why; if it is right, remove the line "${name}" from ${file}.`,
    });
  }
  await ensureDirectory(dirname(file));
  await writeFileAtomically(file, `${JSON.stringify({ ...known, [name]: key }, null, 2)}\n`);
  return { isNew: true };
}

async function readKnown(file: string): Promise<Record<string, string>> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw explainSystemError(error, file);
  }
  try {
    return fileSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new UnseenError("KEY_INVALID", `${file} is not what Unseen wrote there.`, {
      hint: "Restore it from a backup, or remove it and compare the creators' keys anew.",
      cause,
    });
  }
}
