/**
 * Opens keys for a page: with the passphrase that it gave, never by asking in the terminal of whoever runs the gateway.
 * @module
 */
import { loadKey } from "@unseen/client/keyring.ts";
import type { KeyOpener } from "../models.ts";

/** Opens with the given passphrase, else with the process's own. The opener throws `KEY_NOT_FOUND`, `KEY_INVALID`. */
export function openKeyWith(passphrase?: string): KeyOpener {
  return (name, home) => loadKey(home, name, { passphrase: passphrase ?? process.env["UNSEEN_PASSPHRASE"] });
}
