/**
 * The key of a version's first layers: the hub keeps them encrypted, the creator gives the key to attested enclaves alone.
 * @module
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from "node:crypto";
import { UnseenError } from "@unseen/core/errors.ts";

const TAG_BYTES = 16;
/** One key encrypts one file, so the nonce may be constant (NIST SP 800-38D, 8: no key meets a nonce twice). */
const NONCE = new Uint8Array(12);

/** 32 bytes that belong to one file of one creator: the same file gets the same key, so publishing again changes nothing. */
export function headKeyOf(creatorSecret: Uint8Array, head: Uint8Array): Uint8Array {
  const name = createHash("sha256").update(head).digest("hex");
  return new Uint8Array(hkdfSync("sha256", creatorSecret, new Uint8Array(0), `unseen/hub/v1/head/${name}`, 32));
}

/** Encrypts a head (AES-256-GCM, tag last). */
export function encryptHead(head: Uint8Array, key: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", key, NONCE);
  return new Uint8Array(Buffer.concat([cipher.update(head), cipher.final(), cipher.getAuthTag()]));
}

/** @throws UnseenError SEALED_INVALID */
export function decryptHead(encrypted: Uint8Array, key: Uint8Array): Uint8Array {
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, NONCE);
    decipher.setAuthTag(encrypted.subarray(-TAG_BYTES));
    return new Uint8Array(Buffer.concat([decipher.update(encrypted.subarray(0, -TAG_BYTES)), decipher.final()]));
  } catch (cause) {
    throw new UnseenError("SEALED_INVALID", "the model's first layers do not open with the creator's key.", {
      hint: "The creator must publish the model again.",
      cause,
    });
  }
}
