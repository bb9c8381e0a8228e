/**
 * Opens the pages where there is a desktop.
 * @module
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureDirectory, writeFileAtomically } from "@unseen/client/atomic-file.ts";
import type { Home } from "@unseen/client/home.ts";

/** Whether a person sits before a screen of this machine. */
export function hasDesktop(environment: Readonly<Record<string, string | undefined>> = process.env, platform = process.platform): boolean {
  if (!process.stdout.isTTY || environment["SSH_CONNECTION"] || environment["CI"]) return false;
  if (platform === "darwin" || platform === "win32") return true;
  return Boolean(environment["DISPLAY"] || environment["WAYLAND_DISPLAY"]);
}

/**
 * Opens an address in the user's browser, if there is one. The address holds the access code, and whatever is an argument of a process
 * is readable by every user of the machine: so the browser is given a file that only its owner can read, which leads there.
 */
export async function openBrowser(address: string, home: Home): Promise<void> {
  if (!hasDesktop()) return;
  const path = join(home.cache, "open.html");
  const page = `<!doctype html><meta charset="utf-8"><title>Unseen</title><meta http-equiv="refresh" content="0; url=${address}"><p><a href="${address}">Unseen</a></p>\n`;
  try {
    await ensureDirectory(home.cache);
    await writeFileAtomically(path, page);
    const { default: open } = await import("open");
    // Whoever starts the browser may fail later; the address stands in the terminal.
    (await open(pathToFileURL(path).href)).on("error", () => {});
  } catch {
    // Without a browser the printed address has to do.
  }
}
