/**
 * How one record of a sealed file is encrypted.
 *
 * Each file has 32 random bytes at its beginning, and from them, the vault's key and what the file is for, HKDF-SHA256 derives keys of
 * its own: a record of one file means nothing in another. A record's number is its associated data, so that records cannot change places.
 * Nonces are random, not counted: a record that was torn by a crash, or undone by a backup, would else be written again with other
 * content under the same key and nonce. With at most 2^24 records a file, two of 96 random bits are equal with probability 2^-49.
 * The length in front of a record has a tag of its own, so that a changed length is not taken for a file that ends early.
 * @module
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";

/** Bytes of one record's content (CWE-770): eight megabytes of text, each character escaped. */
export const MAXIMUM_RECORD_BYTES = 64 * 1024 * 1024;
/** Records of one file; see above. */
export const MAXIMUM_RECORDS = 2 ** 24;

const MAGIC = Buffer.from("UNSEEN01", "latin1");
const SALT_BYTES = 32;
/** Bytes in front of the first record. */
export const FILE_HEADER_BYTES = MAGIC.length + SALT_BYTES;

const LENGTH_BYTES = 4;
const LENGTH_TAG_BYTES = 8;
/** Bytes in front of each record's ciphertext. */
export const RECORD_HEADER_BYTES = LENGTH_BYTES + LENGTH_TAG_BYTES;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Bytes that sealing adds to a content. */
export const SEALING_BYTES = NONCE_BYTES + TAG_BYTES;

/** The cipher of one file. */
export class RecordCipher {
  readonly header: Uint8Array;
  readonly #contentKey: Uint8Array;
  readonly #lengthKey: Uint8Array;

  private constructor(secret: Uint8Array, purpose: string, header: Uint8Array) {
    const salt = header.subarray(MAGIC.length);
    const keys = new Uint8Array(hkdfSync("sha256", secret, salt, `unseen/v1/conversations/${purpose}`, 64));
    this.header = header;
    this.#contentKey = keys.subarray(0, 32);
    this.#lengthKey = keys.subarray(32);
  }

  /** @param purpose - What the file is for, and whose it is. */
  static forNewFile(secret: Uint8Array, purpose: string): RecordCipher {
    return new RecordCipher(secret, purpose, Buffer.concat([MAGIC, randomBytes(SALT_BYTES)]));
  }

  /** @returns null where a file does not begin as ours do. */
  static forFile(secret: Uint8Array, purpose: string, header: Uint8Array): RecordCipher | null {
    const fits = header.length === FILE_HEADER_BYTES && MAGIC.equals(header.subarray(0, MAGIC.length));
    return fits ? new RecordCipher(secret, purpose, Uint8Array.from(header)) : null;
  }

  /** A whole record, its header included. */
  seal(content: Uint8Array, number: number): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#contentKey, nonce).setAAD(numberBytes(number));
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(content.length + SEALING_BYTES);
    return Buffer.concat([length, this.#lengthTag(length, number), nonce, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
  }

  /** Bytes that follow a record's header, or null where the header is not this record's. */
  readLength(header: Uint8Array, number: number): number | null {
    const length = header.subarray(0, LENGTH_BYTES);
    if (!timingSafeEqual(this.#lengthTag(length, number), header.subarray(LENGTH_BYTES, RECORD_HEADER_BYTES))) return null;
    const bytes = new DataView(length.buffer, length.byteOffset).getUint32(0);
    return bytes >= SEALING_BYTES && bytes <= MAXIMUM_RECORD_BYTES + SEALING_BYTES ? bytes : null;
  }

  /** The content of what follows a record's header, or null where anything of it was changed. */
  open(sealed: Uint8Array, number: number): Uint8Array | null {
    const end = sealed.length - TAG_BYTES;
    const decipher = createDecipheriv("aes-256-gcm", this.#contentKey, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
      .setAAD(numberBytes(number))
      .setAuthTag(sealed.subarray(end));
    const content = decipher.update(sealed.subarray(NONCE_BYTES, end));
    try {
      decipher.final();
      return content;
    } catch {
      return null;
    }
  }

  #lengthTag(length: Uint8Array, number: number): Uint8Array {
    return createHmac("sha256", this.#lengthKey).update(numberBytes(number)).update(length).digest().subarray(0, LENGTH_TAG_BYTES);
  }
}

function numberBytes(number: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return bytes;
}
