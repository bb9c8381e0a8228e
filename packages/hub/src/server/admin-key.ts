/**
 * The key of whoever runs the hub: in a file of the data directory that its owner alone may read.
 * @module
 */
import { randomBytes } from "node:crypto";
import { link, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { createKey, presentedKey } from "./accounts.ts";

/**
 * Reads the key, or makes it at the first start; of several hubs that start together all get the same.
 * @throws UnseenError KEY_INVALID, PERMISSION_DENIED, DISK_FULL
 */
export async function openAdminKey(directory: string): Promise<{ key: string; file: string }> {
  const path = join(directory, "admin.key");
  const temporary = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(`${createKey()}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    // Unlike a rename, a link does not replace the key that is there.
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    const key = presentedKey(`Bearer ${(await readFile(path, "utf8")).trim()}`);
    if (key === null)
      throw new UnseenError("KEY_INVALID", `expected an API key in ${path}, got something else.`, {
        hint: "Delete the file: the next start makes a new one.",
      });
    return { key, file: path };
  } catch (error) {
    throw explainSystemError(error, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
