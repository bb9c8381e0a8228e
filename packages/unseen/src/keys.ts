/**
 * Opening keys from the command line: which one, and with which passphrase.
 * @module
 */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { resolveHome, type Home } from "@unseen/client/home.ts";
import { createKey, listKeys, loadKey, type Key } from "@unseen/client/keyring.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { OptionSpecification } from "./command.ts";

export const DEFAULT_KEY = "default";

export const keyOption: OptionSpecification = { flags: "--key <name>", description: "name, id or file of the key", fallback: DEFAULT_KEY };

/** Opens a key by name, id or file; asks for a passphrase where one is needed and a person is there. Throws `KEY_NOT_FOUND`, `KEY_INVALID`. */
export async function openKey(name: string, home: Home = resolveHome()): Promise<Key> {
  const known = (await listKeys(home)).find((key) => key.name === name || key.id === name);
  const given = process.env["UNSEEN_PASSPHRASE"];
  const passphrase = given ?? (known?.protection === "passphrase" ? await askPassphrase(`Passphrase of key ${name}: `) : undefined);
  return loadKey(home, name, { passphrase });
}

/** The default key, made on first use; another name must exist. */
export async function openOrMakeKey(name: string, home: Home = resolveHome()): Promise<{ key: Key; made: boolean }> {
  try {
    return { key: await openKey(name, home), made: false };
  } catch (error) {
    if (name !== DEFAULT_KEY || !UnseenError.isInstance(error) || error.code !== "KEY_NOT_FOUND") throw error;
    return { key: await createKey(home, name, { passphrase: process.env["UNSEEN_PASSPHRASE"] }), made: true };
  }
}

/** Asks on the terminal without showing what is typed. Throws `KEY_INVALID` where nobody can answer. */
export async function askPassphrase(question: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new UnseenError("KEY_INVALID", "a passphrase is needed and there is no terminal to ask for it.", {
      hint: "Set UNSEEN_PASSPHRASE.",
    });
  }
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await lines.question("");
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}
