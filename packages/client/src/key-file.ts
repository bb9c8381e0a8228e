/**
 * One key inside one age file (age-encryption.org/v1): sealed to a passphrase or to an X25519 identity.
 * @module
 */
import { armor, Decrypter, Encrypter } from "age-encryption";
import { keyIdentifier } from "@unseen/core/blueprint/spaces.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";

/** A model that was encrypted under a key. */
export interface KeyModel {
  readonly fingerprint: string;
  readonly strength: "permute" | "rotate";
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly created: string;
}

/** An opened key. */
export interface Key {
  /** 16 hexadecimal digits derived from the secret; public. */
  readonly id: string;
  readonly name: string;
  /** 32 bytes, from which everything else is derived. */
  readonly secret: Uint8Array;
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly models: readonly KeyModel[];
}

/** How a key file is sealed: exactly one of the two. */
export type Seal = { readonly passphrase: string } | { readonly recipient: string };

/** What opens a key file. */
export interface Opener {
  readonly passphrase?: string | undefined;
  /** `AGE-SECRET-KEY-1...` */
  readonly identity?: string | undefined;
}

export const modelSchema = z.object({
  fingerprint: z.string().regex(/^[0-9a-f]{32}$/),
  strength: z.enum(["permute", "rotate"]),
  name: z.string().max(200),
  created: z.iso.datetime(),
});

const contentSchema = z.object({
  version: z.literal(1),
  id: z.string(),
  name: z.string().max(100),
  created: z.iso.datetime(),
  secret: z.base64().length(44),
  models: z.array(modelSchema).max(10_000),
});

/** Encrypts a key. @returns an age file in ASCII armor */
export async function sealKey(key: Key, seal: Seal): Promise<string> {
  const encrypter = new Encrypter();
  if ("passphrase" in seal) {
    if (seal.passphrase === "")
      throw new UnseenError("USAGE", "passphrase: expected at least one character, got none.", { hint: "Choose several random words." });
    encrypter.setPassphrase(seal.passphrase);
  } else {
    try {
      encrypter.addRecipient(seal.recipient);
    } catch (error) {
      throw new UnseenError("USAGE", "recipient: expected an age public key (age1...), got something else.", {
        hint: "Use the public key that age-keygen printed.",
        cause: error,
      });
    }
  }
  const { id, name, created, models } = key;
  return armor.encode(
    await encrypter.encrypt(JSON.stringify({ version: 1, id, name, created, secret: Buffer.from(key.secret).toString("base64"), models })),
  );
}

/**
 * Decrypts a key.
 *
 * @param file an age file, armored or binary
 * @param path for messages
 * @throws UnseenError KEY_INVALID
 */
export async function openKey(file: Uint8Array, path: string, opener: Opener): Promise<Key> {
  const binary = unarmor(file, path);
  const protection = protectionOf(binary);
  const decrypter = new Decrypter();
  if (opener.passphrase) decrypter.addPassphrase(opener.passphrase);
  else if (protection === "passphrase")
    throw invalid(path, "a passphrase to open it, got none", "Set UNSEEN_PASSPHRASE or answer the question for it.");
  if (opener.identity) decrypter.addIdentity(opener.identity);
  let text: string;
  try {
    text = await decrypter.decrypt(binary, "text");
  } catch (error) {
    const reason =
      protection === "passphrase"
        ? "the right passphrase, got another, or the file is damaged"
        : "to be sealed to this keyring's identity, got another, or the file is damaged";
    throw invalid(
      path,
      reason,
      protection === "passphrase" ? "Try the passphrase again." : "Restore keys/identity.txt from the backup that belongs to this key.",
      error,
    );
  }
  return parseKey(text, path);
}

/** How a key file is sealed, without opening it. @throws UnseenError KEY_INVALID */
export function readProtection(file: Uint8Array, path: string): "passphrase" | "identity" {
  return protectionOf(unarmor(file, path));
}

function protectionOf(binary: Uint8Array): "passphrase" | "identity" {
  const header = Buffer.from(binary.subarray(0, 200)).toString("latin1");
  return header.startsWith("age-encryption.org/v1\n-> scrypt ") ? "passphrase" : "identity";
}

function unarmor(file: Uint8Array, path: string): Uint8Array {
  const start = Buffer.from(file.subarray(0, 64)).toString("latin1").trimStart();
  if (start.startsWith("age-encryption.org/v1\n")) return file;
  try {
    return armor.decode(Buffer.from(file).toString("latin1"));
  } catch (error) {
    throw invalid(path, "an age file, got something else", "Choose a file that `unseen key export` wrote.", error);
  }
}

function parseKey(text: string, path: string): Key {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(path, "an Unseen key inside, got something else", "Choose a file that `unseen key export` wrote.");
  }
  const content = contentSchema.safeParse(value);
  // The parse error quotes values, and one of them is the secret.
  if (!content.success)
    throw invalid(path, "an Unseen key of version 1 inside, got something else", "Choose a file that `unseen key export` wrote.");
  const { id, name, created, models } = content.data;
  const secret = new Uint8Array(Buffer.from(content.data.secret, "base64"));
  if (secret.length !== 32 || keyIdentifier(secret) !== id)
    throw invalid(path, "an id that belongs to the secret, got another", "Restore the file from a backup.");
  return { id, name, secret, created, models };
}

function invalid(path: string, expected: string, hint: string, cause?: unknown): UnseenError {
  return new UnseenError("KEY_INVALID", `key file ${path}: expected ${expected}.`, { hint, cause });
}
