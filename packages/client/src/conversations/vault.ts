/**
 * The key under which conversations are stored: 32 random bytes in one age file, sealed to the keyring's identity or to a passphrase.
 * @module
 */
import { randomBytes } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Decrypter, Encrypter } from "age-encryption";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import { createFileAtomically, ensureDirectory, writeFileAtomically } from "../atomic-file.ts";
import type { Home } from "../home.ts";
import { readProtection } from "../key-file.ts";
import { ensureRecipient, readIdentity } from "../keyring.ts";
import { openWithPassphrase, sealWithPassphrase } from "./passphrase.ts";

/** Bytes of the vault's file (CWE-770); it has about 400. */
const MAXIMUM_VAULT_BYTES = 64 * 1024;
/** Characters of a passphrase (CWE-770). */
const MAXIMUM_PASSPHRASE = 1024;

const contentSchema = z.object({ version: z.literal(1), secret: z.base64().length(44) });

/** What opens the vault. */
export type VaultProtection = "identity" | "passphrase";

export interface VaultState {
  readonly state: "open" | "locked";
  readonly protection: VaultProtection;
}

/** One home's vault. Its calls run one after another: none finds a file that another one is about to replace. */
export class Vault {
  readonly #home: Home;
  readonly #path: string;
  #protection: VaultProtection;
  #secret: Uint8Array | null;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(home: Home, path: string, protection: VaultProtection, secret: Uint8Array | null) {
    this.#home = home;
    this.#path = path;
    this.#protection = protection;
    this.#secret = secret;
  }

  /**
   * Opens the vault of a directory, and makes it on first use. One with a passphrase is locked.
   * @throws UnseenError VAULT_INVALID, KEY_INVALID or PERMISSION_DENIED for the identity, DISK_FULL.
   */
  static async open(home: Home, directory: string): Promise<Vault> {
    const path = join(directory, "vault.age");
    let file = await readVault(path);
    if (!file) {
      await refuseOrphans(directory, path);
      await ensureDirectory(directory);
      await ensureDirectory(home.keys);
      const secret = new Uint8Array(randomBytes(32));
      if (await createFileAtomically(path, await seal(home, secret, null))) return new Vault(home, path, "identity", secret);
      file = (await readVault(path))!;
    }
    const protection = protectionOf(file, path);
    const secret = protection === "identity" ? await openWithIdentity(file, path, home) : null;
    return new Vault(home, path, protection, secret);
  }

  get state(): VaultState {
    return { state: this.#secret ? "open" : "locked", protection: this.#protection };
  }

  /** The key, 32 bytes; {@link lock} overwrites them. @throws UnseenError VAULT_LOCKED */
  get secret(): Uint8Array {
    if (this.#secret) return this.#secret;
    throw new UnseenError("VAULT_LOCKED", "conversations are locked.", { hint: "Give the passphrase." });
  }

  /** Opens it with a passphrase; each try costs scrypt's second of work. @throws UnseenError VAULT_INVALID */
  unlock(passphrase: string): Promise<VaultState> {
    return this.#exclusively(async () => {
      if (this.#secret) return this.state;
      checkPassphrase(passphrase);
      const file = await readVault(this.#path);
      if (!file) throw damaged(this.#path, "is gone");
      // The file may have been put back from a backup that has another protection.
      this.#protection = protectionOf(file, this.#path);
      if (this.#protection === "identity") this.#secret = await openWithIdentity(file, this.#path, this.#home);
      else {
        const content = await openWithPassphrase(file, passphrase);
        if (!content)
          throw new UnseenError("VAULT_INVALID", `the passphrase is wrong, or ${this.#path} is damaged.`, {
            hint: "Try the passphrase again.",
          });
        this.#secret = readSecret(content, this.#path);
      }
      return this.state;
    });
  }

  /** Forgets the key. @throws UnseenError CONFLICT without a passphrase, since nothing would be locked then. */
  lock(): Promise<VaultState> {
    return this.#exclusively(async () => {
      if (this.#protection === "identity")
        throw new UnseenError("CONFLICT", "conversations without a passphrase cannot be locked.", { hint: "Set a passphrase first." });
      this.forget();
      return this.state;
    });
  }

  /** Overwrites the key in memory. */
  forget(): void {
    this.#secret?.fill(0);
    this.#secret = null;
  }

  /**
   * Seals the key anew; the old file stays until the new one is whole.
   * @param passphrase - null: the identity opens it from now on.
   * @throws UnseenError VAULT_LOCKED, VAULT_INVALID for a file that is not this vault's, DISK_FULL, PERMISSION_DENIED.
   */
  protect(passphrase: string | null): Promise<VaultState> {
    return this.#exclusively(async () => {
      const { secret } = this;
      if (passphrase !== null) checkPassphrase(passphrase);
      await writeFileAtomically(this.#path, await seal(this.#home, secret, passphrase));
      this.#protection = passphrase === null ? "identity" : "passphrase";
      return this.state;
    });
  }

  #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }
}

async function readVault(path: string): Promise<Uint8Array | null> {
  try {
    const { size } = await stat(path);
    if (size > MAXIMUM_VAULT_BYTES) throw damaged(path, `has ${size} bytes instead of at most ${MAXIMUM_VAULT_BYTES}`);
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw explainSystemError(error, path);
  }
}

/** A new key beside conversations under an old one would make them look damaged, and hide that the key is what was lost. */
async function refuseOrphans(directory: string, path: string): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw explainSystemError(error, directory);
  });
  if (names.some((name) => name.endsWith(".log"))) throw damaged(path, "is gone, but conversations under its key are there");
}

function protectionOf(file: Uint8Array, path: string): VaultProtection {
  try {
    return readProtection(file, path);
  } catch (cause) {
    throw damaged(path, "is no age file", cause);
  }
}

async function seal(home: Home, secret: Uint8Array, passphrase: string | null): Promise<Uint8Array> {
  const content = Buffer.from(JSON.stringify({ version: 1, secret: Buffer.from(secret).toString("base64") }));
  if (passphrase !== null) return sealWithPassphrase(content, passphrase);
  const encrypter = new Encrypter();
  encrypter.addRecipient(await ensureRecipient(home));
  return encrypter.encrypt(content);
}

async function openWithIdentity(file: Uint8Array, path: string, home: Home): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(await readIdentity(home));
  try {
    return readSecret(await decrypter.decrypt(file), path);
  } catch (cause) {
    if (UnseenError.isInstance(cause)) throw cause;
    throw damaged(path, "is damaged, or sealed to another identity than the keyring's", cause);
  }
}

function readSecret(content: Uint8Array, path: string): Uint8Array {
  // A parser's error could quote the secret, so none is kept as a cause.
  const parsed = contentSchema.safeParse(parse(Buffer.from(content).toString("utf8")));
  const secret = parsed.success ? new Uint8Array(Buffer.from(parsed.data.secret, "base64")) : null;
  if (secret?.length !== 32) throw damaged(path, "holds no key of version 1");
  return secret;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function checkPassphrase(passphrase: string): void {
  if (passphrase.length >= 1 && passphrase.length <= MAXIMUM_PASSPHRASE) return;
  throw new UnseenError("REQUEST_INVALID", `passphrase: expected 1 to ${MAXIMUM_PASSPHRASE} characters, got ${passphrase.length}.`, {
    hint: "Choose several random words.",
  });
}

function damaged(path: string, what: string, cause?: unknown): UnseenError {
  return new UnseenError("VAULT_INVALID", `${path} ${what}.`, {
    hint: `Restore it, and keys/identity.txt, from a backup; to begin anew, move ${dirname(path)} away.`,
    cause,
  });
}
