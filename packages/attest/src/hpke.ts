/**
 * Hybrid public key encryption (RFC 9180), one message per call: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
 *
 * A sender with a key of their own is authenticated (mode Auth, RFC 9180 section 5.1.3): only they or the recipient can have made the message.
 * @module
 */
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { UnseenError } from "@unseen/core/errors.ts";

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** Length of an encapsulated key, which precedes the ciphertext. */
const ENCAPSULATED_BYTES = 32;
const TAG_BYTES = 16;
/** How much longer a sealed message is. */
export const SEALED_OVERHEAD = ENCAPSULATED_BYTES + TAG_BYTES;

/** An X25519 key pair for HPKE. */
export interface SealingKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly pair: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey };
}

/** A fresh key pair, or the one of a 32-byte seed. */
export async function makeSealingKey(seed?: Uint8Array): Promise<SealingKey> {
  const pair = seed ? await suite.kem.deriveKeyPair(copy(seed)) : await suite.kem.generateKeyPair();
  return { pair, publicKey: new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey)) };
}

/** What a message is for: opening it for anything else fails. */
export interface Purpose {
  /** Names the protocol's step, such as "unseen/hub/v1/features". */
  readonly purpose: string;
  /** What the message belongs to, such as a job: as text. */
  readonly context: string;
}

/**
 * Seals bytes to a public key.
 *
 * @param sender authenticates the message where it is given
 * @throws UnseenError SEALED_INVALID for a public key that is none
 */
export async function seal(
  message: Uint8Array,
  recipient: Uint8Array,
  { purpose, context }: Purpose,
  sender?: SealingKey,
): Promise<Uint8Array> {
  try {
    const recipientPublicKey = await suite.kem.deserializePublicKey(copy(recipient));
    const { ct, enc } = await suite.seal(
      { recipientPublicKey, info: utf8(purpose), ...(sender ? { senderKey: sender.pair } : {}) },
      copy(message),
      utf8(context),
    );
    return new Uint8Array(Buffer.concat([new Uint8Array(enc), new Uint8Array(ct)]));
  } catch (cause) {
    throw new UnseenError("SEALED_INVALID", "a message cannot be sealed to the given public key.", {
      hint: "Ask the recipient for a new key.",
      cause,
    });
  }
}

/**
 * Opens what `seal` made for the same purpose and context.
 *
 * @param sender the sender's public key, where the message must be authenticated
 * @throws UnseenError SEALED_INVALID
 */
export async function open(sealed: Uint8Array, key: SealingKey, { purpose, context }: Purpose, sender?: Uint8Array): Promise<Uint8Array> {
  try {
    if (sealed.length < SEALED_OVERHEAD) throw new RangeError("too short");
    const senderPublicKey = sender ? await suite.kem.deserializePublicKey(copy(sender)) : undefined;
    const enc = copy(sealed.subarray(0, ENCAPSULATED_BYTES));
    const message = await suite.open(
      { recipientKey: key.pair, enc, info: utf8(purpose), ...(senderPublicKey ? { senderPublicKey } : {}) },
      copy(sealed.subarray(ENCAPSULATED_BYTES)),
      utf8(context),
    );
    return new Uint8Array(message);
  } catch (cause) {
    throw new UnseenError("SEALED_INVALID", "a sealed message does not open.", {
      hint: "It was made for another key or another purpose, or changed on its way.",
      cause,
    });
  }
}

/** WebCrypto takes whole buffers; a Node buffer may share one. */
function copy(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function utf8(text: string): ArrayBuffer {
  return copy(new TextEncoder().encode(text));
}
