/**
 * Copies a bundle's tokenizer files, when a model moves to another key.
 * @module
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { bundleDirectory } from "@unseen/client/bundle.ts";
import type { Home } from "@unseen/client/home.ts";

/** Every file of a bundle but `bundle.json`, by name. */
export async function readBundleFiles(home: Home, fingerprint: string): Promise<Record<string, Uint8Array>> {
  const directory = bundleDirectory(home, fingerprint);
  const names = (await readdir(directory)).filter((name) => name !== "bundle.json" && !name.startsWith("."));
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name))] as const)));
}
