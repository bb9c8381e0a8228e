/**
 * Who may use the console: whoever can read the key holder's home, or was given the address with the access code in it.
 *
 * The code is no cookie: browsers send a cookie to every port of a machine, and behind one of them a tunnel may lead to an untrusted host.
 * It comes in the address's fragment, which no browser sends anywhere, is kept for this origin alone and goes out in a header.
 * @module
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureDirectory, writeFileAtomically } from "@unseen/client/atomic-file.ts";
import { presentedKey, sameSecret } from "@unseen/client/gateway/guard.ts";
import type { Home } from "@unseen/client/home.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";

const FILE = "web-access";

/** The home's access code, made on first use: 43 characters. Throws `DISK_FULL`, `PERMISSION_DENIED`. */
export async function readAccessCode(home: Home): Promise<string> {
  const path = join(home.root, FILE);
  try {
    const code = (await readFile(path, "utf8")).trim();
    if (/^[\w-]{43}$/.test(code)) return code;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw explainSystemError(error, path);
  }
  const code = randomBytes(32).toString("base64url");
  await ensureDirectory(home.root);
  await writeFileAtomically(path, `${code}\n`);
  return code;
}

/** Refuses whoever does not present the code. Throws `UNAUTHORIZED`. */
export function requireAccess(request: Request, code: string): void {
  if (sameSecret(presentedKey(request), code)) return;
  throw new UnseenError("UNAUTHORIZED", "this browser has no access to the console.", {
    hint: "Open the whole address that `unseen start` or `unseen gateway` printed.",
  });
}

/** The address to open, with the code in its fragment. */
export function accessAddress(url: string, code: string): string {
  return `${url}/#access=${code}`;
}
