/**
 * Several conversations that appear together or not at all.
 *
 * They are written into a directory beside the others; renaming it to a name that says "ready" is the moment they exist.
 * What a crash leaves is then either moved to its place at the next start, or deleted.
 * @module
 */
import { randomUUID } from "node:crypto";
import { readdir, rename, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { explainSystemError } from "@unseen/core/errors.ts";
import { ensureDirectory } from "../atomic-file.ts";
import { ConversationFile, type ConversationPlace } from "./conversation-file.ts";
import type { ConversationTree } from "./conversation-tree.ts";

const DRAFT = /^\.import-[0-9a-f-]+$/;
const READY = /^\.import-[0-9a-f-]+\.ready$/;

/** Files written at once: each waits for the disk. */
const AT_ONCE = 16;

/** Writes conversations. @returns their ids. @throws UnseenError DISK_FULL, PERMISSION_DENIED, REQUEST_TOO_LARGE; nothing is left then. */
export async function stage({ directory, secret }: ConversationPlace, trees: readonly ConversationTree[]): Promise<string[]> {
  const draft = join(directory, `.import-${randomUUID()}`);
  const ids: string[] = [];
  try {
    await ensureDirectory(draft);
    for (let start = 0; start < trees.length; start += AT_ONCE) {
      const written = trees.slice(start, start + AT_ONCE).map(async (tree) => {
        const id = randomUUID();
        await ConversationFile.create({ directory: draft, secret }, id, tree);
        return id;
      });
      // All of them end before anything is cleared away.
      const outcomes = await Promise.allSettled(written);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") throw outcome.reason;
        ids.push(outcome.value);
      }
    }
    await rename(draft, `${draft}.ready`);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw explainSystemError(error, directory);
  }
  await publish(directory, `${draft}.ready`);
  return ids;
}

/** Ends what a crash interrupted. @throws UnseenError PERMISSION_DENIED. */
export async function finishStaging(directory: string): Promise<void> {
  try {
    for (const name of await readdir(directory)) {
      if (READY.test(name)) await publish(directory, join(directory, name));
      else if (DRAFT.test(name)) await rm(join(directory, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw explainSystemError(error, directory);
  }
}

async function publish(directory: string, ready: string): Promise<void> {
  for (const name of await readdir(ready)) {
    // Besides logs there may be what a crash left of one that was being written; nothing unwritten becomes ready.
    if (name.endsWith(".log")) await rename(join(ready, name), join(directory, name));
    else await rm(join(ready, name));
  }
  await rmdir(ready);
}
