/**
 * The keyring: `keys/NAME.age` holds a sealed key, `keys/NAME.jsonl` beside it what may be seen without opening it,
 * `keys/identity.txt` the age identity that opens keys without a passphrase.
 * @module
 */
import { randomBytes } from "node:crypto";
import { appendFile, readdir, readFile, rm, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { keyIdentifier } from "@unseen/core/blueprint/spaces.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { createFileAtomically, ensureDirectory, writeFileAtomically } from "./atomic-file.ts";
import type { Home } from "./home.ts";
import { type Key, type KeyModel, modelSchema, openKey, readProtection, type Seal, sealKey } from "./key-file.ts";

export type { Key, KeyModel } from "./key-file.ts";

/** Bytes of a key file or of its public record (CWE-770). */
const MAXIMUM_KEY_BYTES = 8 * 1024 * 1024;

/** What is known of a key without opening it. */
export interface KeySummary {
  readonly name: string;
  /** null when the public record was lost; opening the key still tells. */
  readonly id: string | null;
  readonly created: string | null;
  readonly protection: "passphrase" | "identity";
  readonly models: readonly KeyModel[];
  readonly file: string;
}

/** Opens a key that is sealed to a passphrase; others need none. */
export interface PassphraseOptions {
  readonly passphrase?: string | undefined;
}

/**
 * Makes a key: 32 random bytes, sealed to a passphrase, or without one to the keyring's identity.
 *
 * @throws UnseenError KEY_EXISTS, USAGE for an unfit name
 */
export async function createKey(home: Home, name: string, options: PassphraseOptions = {}): Promise<Key> {
  const secret = new Uint8Array(randomBytes(32));
  const key: Key = { id: keyIdentifier(secret), name, secret, created: new Date().toISOString(), models: [] };
  await storeKey(home, key, options.passphrase);
  return key;
}

/**
 * Opens a key.
 *
 * @param nameOrIdOrPath a name or id in the keyring, or the path of a key file
 * @throws UnseenError KEY_NOT_FOUND, KEY_INVALID, PERMISSION_DENIED when others can read the identity
 */
export async function loadKey(home: Home, nameOrIdOrPath: string, options: PassphraseOptions = {}): Promise<Key> {
  const summary = await findKey(home, nameOrIdOrPath);
  const path = summary?.file ?? nameOrIdOrPath;
  if (!summary && !looksLikePath(nameOrIdOrPath)) throw notFound(home, nameOrIdOrPath);
  const file = await readKeyFile(path);
  const identity = readProtection(file, path) === "identity" ? await readIdentity(home) : undefined;
  const key = await openKey(file, path, { passphrase: options.passphrase, identity });
  if (!summary) return key;
  // The file name may have been changed by hand; models are recorded in the open, so that recording needs no passphrase.
  return { ...key, name: summary.name, models: mergeModels(key.models, summary.models) };
}

/** Every key by name, opening none. */
export async function listKeys(home: Home): Promise<KeySummary[]> {
  const entries = await readdir(home.keys).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw explainSystemError(error, home.keys);
  });
  const names = entries.filter((entry) => entry.endsWith(".age") && !entry.startsWith(".")).map((entry) => entry.slice(0, -".age".length));
  const keys: KeySummary[] = [];
  for (const name of names.toSorted()) {
    const file = join(home.keys, `${name}.age`);
    try {
      keys.push({ name, protection: readProtection(await readKeyFile(file), file), file, ...(await readRecord(home, name)) });
    } catch (error) {
      if (!UnseenError.isInstance(error)) throw error; // a damaged file hides no others; loading it by name says why
    }
  }
  return keys;
}

/** Notes in the open that a model was encrypted under a key. */
export async function recordModel(home: Home, key: Pick<Key, "name">, model: KeyModel): Promise<void> {
  await appendRecord(home, key.name, { model: modelSchema.parse(model) });
}

/**
 * A key sealed anew to take elsewhere; never in the clear.
 *
 * @param key an opened key, or its name or id
 * @param seal a passphrase for the exported file, or an age recipient
 * @returns an age file in ASCII armor, models included
 */
export async function exportKey(home: Home, key: Key | string, seal: Seal, options: PassphraseOptions = {}): Promise<string> {
  return sealKey(typeof key === "string" ? await loadKey(home, key, options) : key, seal);
}

/** How {@link importKey} opens a file and keeps it. */
export interface ImportOptions extends PassphraseOptions {
  /** Another name than the file gives. */
  readonly name?: string | undefined;
  /** Seal the key in this keyring to a passphrase; otherwise to the identity. */
  readonly newPassphrase?: string | undefined;
}

/** Takes an exported key into the keyring. @throws UnseenError KEY_INVALID, KEY_EXISTS */
export async function importKey(home: Home, path: string, options: ImportOptions = {}): Promise<Key> {
  const file = await readKeyFile(path);
  const identity = readProtection(file, path) === "identity" ? await readIdentity(home) : undefined;
  const opened = await openKey(file, path, { passphrase: options.passphrase, identity });
  const twin = (await listKeys(home)).find((known) => known.id === opened.id);
  if (twin)
    throw new UnseenError("KEY_EXISTS", `key ${opened.id}: expected a new key, got one that the keyring has as ${twin.name}.`, {
      hint: "Nothing to do.",
    });
  const key = { ...opened, name: options.name ?? opened.name };
  await storeKey(home, key, options.newPassphrase);
  return key;
}

/**
 * Deletes a key for ever.
 *
 * @param options `force` also when models were encrypted under it, which nobody can then talk to
 * @throws UnseenError KEY_NOT_FOUND, USAGE without `force`
 */
export async function removeKey(home: Home, nameOrId: string, options: { readonly force?: boolean } = {}): Promise<KeySummary> {
  const summary = await findKey(home, nameOrId);
  if (!summary) throw notFound(home, nameOrId);
  if (summary.models.length > 0 && !options.force) {
    throw new UnseenError("USAGE", `key ${summary.name}: expected one that no model needs, got one with ${summary.models.length}.`, {
      hint: "Export it first, then repeat with --force; without the key those models cannot be talked to.",
    });
  }
  await rm(summary.file);
  await rm(recordPath(home, summary.name), { force: true });
  return summary;
}

async function storeKey(home: Home, key: Key, passphrase: string | undefined): Promise<void> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(key.name) || key.name.endsWith(".age") || /^[0-9a-f]{16}$/.test(key.name)) {
    throw new UnseenError(
      "USAGE",
      `key name ${JSON.stringify(key.name.slice(0, 80))}: expected up to 64 letters, digits, dots and hyphens, got something else.`,
      {
        hint: "Choose a name such as work or laptop-2.",
      },
    );
  }
  await ensureDirectory(home.keys);
  const sealed = await sealKey(key, passphrase === undefined ? { recipient: await ensureRecipient(home) } : { passphrase });
  if (!(await createFileAtomically(join(home.keys, `${key.name}.age`), sealed))) {
    throw new UnseenError("KEY_EXISTS", `key ${key.name}: expected a new name, got one that the keyring has.`, {
      hint: "Choose another name; an existing key is never replaced.",
    });
  }
  const { id, created, models } = key;
  const lines = [{ key: { id, created } }, ...models.map((model) => ({ model }))].map((line) => JSON.stringify(line));
  await writeFileAtomically(recordPath(home, key.name), `${lines.join("\n")}\n`);
}

async function findKey(home: Home, nameOrId: string): Promise<KeySummary | undefined> {
  const keys = await listKeys(home);
  return keys.find((key) => key.name === nameOrId) ?? keys.find((key) => key.id === nameOrId) ?? (await findDamaged(home, nameOrId));
}

/** A key file that cannot be listed is still found by name, so that the reader learns what is wrong with it. */
async function findDamaged(home: Home, name: string): Promise<KeySummary | undefined> {
  if (!/^[\w.-]+$/.test(name)) return undefined;
  const file = join(home.keys, `${name}.age`);
  const there = await stat(file).then(
    () => true,
    () => false,
  );
  return there ? { name, id: null, created: null, protection: "identity", models: [], file } : undefined;
}

function looksLikePath(text: string): boolean {
  return text.includes("/") || text.includes(sep) || text.endsWith(".age");
}

function notFound(home: Home, name: string): UnseenError {
  return new UnseenError(
    "KEY_NOT_FOUND",
    `key ${JSON.stringify(name.slice(0, 100))}: expected one in ${home.keys}, got none of that name or id.`,
    {
      hint: "Run `unseen key list`, or make one with `unseen key new NAME`.",
    },
  );
}

async function readKeyFile(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MAXIMUM_KEY_BYTES)
      throw new UnseenError("KEY_INVALID", `key file ${path}: expected at most ${MAXIMUM_KEY_BYTES} bytes, got ${size}.`);
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new UnseenError("KEY_NOT_FOUND", `key file ${path}: expected a file, got none.`, { hint: "Check the path." });
    throw explainSystemError(error, path);
  }
}

// The identity: one age X25519 key pair per keyring, in the format of age-keygen, so `age -d -i` opens the same files.

function identityPath(home: Home): string {
  return join(home.keys, "identity.txt");
}

/** The recipient of the keyring's identity, which is made if there is none. @throws UnseenError PERMISSION_DENIED, KEY_INVALID, DISK_FULL */
export async function ensureRecipient(home: Home): Promise<string> {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  // Creating refuses to replace, so of two processes that start together both end with the same identity.
  const text = `# created: ${new Date().toISOString()}\n# public key: ${recipient}\n${identity}\n`;
  return (await createFileAtomically(identityPath(home), text)) ? recipient : identityToRecipient(await readIdentity(home));
}

/** The keyring's identity, `AGE-SECRET-KEY-1...`. @throws UnseenError KEY_INVALID where there is none, PERMISSION_DENIED when others can read it */
export async function readIdentity(home: Home): Promise<string> {
  const path = identityPath(home);
  let text: string;
  try {
    const { mode } = await stat(path);
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      throw new UnseenError("PERMISSION_DENIED", `${path}: expected mode 600, got ${(mode & 0o777).toString(8)}: others could read it.`, {
        hint: `Run: chmod 600 ${path}`,
      });
    }
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new UnseenError("KEY_INVALID", `${path}: expected the identity that opens this key, got no file.`, {
        hint: "Restore identity.txt from a backup, or import a passphrase-sealed export of the key.",
      });
    }
    throw explainSystemError(error, path);
  }
  const identity = text
    .split("\n")
    .find((line) => line.startsWith("AGE-SECRET-KEY-1"))
    ?.trim();
  if (!identity)
    throw new UnseenError("KEY_INVALID", `${path}: expected a line AGE-SECRET-KEY-1..., got none.`, {
      hint: "Restore identity.txt from a backup.",
    });
  return identity;
}

// The public record: one JSON object a line, appended, so that two commands never overwrite each other's entry.

function recordPath(home: Home, name: string): string {
  return join(home.keys, `${name}.jsonl`);
}

async function appendRecord(home: Home, name: string, line: object): Promise<void> {
  const path = recordPath(home, name);
  try {
    // The leading line break closes a line that a crash may have left open; empty lines are skipped.
    await appendFile(path, `\n${JSON.stringify(line)}\n`, { mode: 0o600, flush: true });
  } catch (error) {
    throw explainSystemError(error, path);
  }
}

async function readRecord(home: Home, name: string): Promise<Pick<KeySummary, "id" | "created" | "models">> {
  const content = await readFile(recordPath(home, name), "utf8").catch(() => "");
  let id: string | null = null;
  let created: string | null = null;
  const models: KeyModel[] = [];
  for (const line of content.split("\n")) {
    let value: { key?: { id?: unknown; created?: unknown }; model?: unknown };
    try {
      value = JSON.parse(line || "{}") as typeof value;
    } catch {
      continue; // the torn last line of a crash
    }
    if (typeof value?.key?.id === "string" && /^[0-9a-f]{16}$/.test(value.key.id)) id = value.key.id;
    if (typeof value?.key?.created === "string") created = value.key.created;
    const model = modelSchema.safeParse(value?.model);
    if (model.success) models.push(model.data);
  }
  return { id, created, models: mergeModels([], models) };
}

/** One entry a fingerprint, the latest. */
function mergeModels(...lists: readonly (readonly KeyModel[])[]): KeyModel[] {
  return [...new Map(lists.flat().map((model) => [model.fingerprint, model])).values()];
}
