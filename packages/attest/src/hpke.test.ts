import assert from "node:assert/strict";
import { createDecipheriv, createHmac, createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from "node:crypto";
import { describe, test } from "node:test";
import { makeSealingKey, open, seal, SEALED_OVERHEAD } from "./hpke.ts";

const purpose = { purpose: "unseen/test/v1/message", context: "job 1" };
const message = new TextEncoder().encode("a picture");
const invalid = { code: "SEALED_INVALID" };

describe("a sealed message", () => {
  test("opens with the key, for the purpose, in the context", async () => {
    const [recipient, other] = await Promise.all([makeSealingKey(), makeSealingKey()]);
    const sealed = await seal(message, recipient.publicKey, purpose);
    assert.equal(sealed.length, message.length + SEALED_OVERHEAD);
    assert.deepEqual(await open(sealed, recipient, purpose), message);
    await assert.rejects(open(sealed, other, purpose), invalid);
    await assert.rejects(open(sealed, recipient, { ...purpose, purpose: "unseen/test/v1/other" }), invalid);
    await assert.rejects(open(sealed, recipient, { ...purpose, context: "job 2" }), invalid);
  });

  test("shows who sealed it, where that is asked for", async () => {
    const [recipient, sender, other] = await Promise.all([makeSealingKey(), makeSealingKey(), makeSealingKey()]);
    const sealed = await seal(message, recipient.publicKey, purpose, sender);
    assert.deepEqual(await open(sealed, recipient, purpose, sender.publicKey), message);
    await assert.rejects(open(sealed, recipient, purpose, other.publicKey), invalid);
    await assert.rejects(open(sealed, recipient, purpose), invalid);
    await assert.rejects(open(await seal(message, recipient.publicKey, purpose), recipient, purpose, sender.publicKey), invalid);
  });

  test("does not open when any bit was changed, or when it is too short", async () => {
    const recipient = await makeSealingKey();
    const sealed = await seal(message, recipient.publicKey, purpose);
    for (let byte = 0; byte < sealed.length; byte += 1) {
      const changed = sealed.slice();
      changed[byte] = (changed[byte] ?? 0) ^ (1 << (byte % 8));
      await assert.rejects(open(changed, recipient, purpose), invalid, `byte ${byte}`);
      await assert.rejects(open(sealed.subarray(0, byte), recipient, purpose), invalid, `${byte} bytes`);
    }
  });

  test("needs a public key", async () => {
    await assert.rejects(seal(message, new Uint8Array(31), purpose), invalid);
  });
});

test("a seed gives the same key again", async () => {
  const seed = new Uint8Array(32).fill(7);
  assert.deepEqual((await makeSealingKey(seed)).publicKey, (await makeSealingKey(seed)).publicKey);
  assert.notDeepEqual((await makeSealingKey()).publicKey, (await makeSealingKey()).publicKey);
});

/** RFC 9180, appendix A.1.1: seeds of key pairs, and their public keys. */
const PAIRS = [
  ["7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234", "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"],
  ["6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037", "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"],
] as const;

test("a seed gives the key pair of RFC 9180's test vectors", async () => {
  for (const [seed, publicKey] of PAIRS)
    assert.equal(Buffer.from((await makeSealingKey(Buffer.from(seed, "hex"))).publicKey).toString("hex"), publicKey);
});

describe("a message opens by the letter of RFC 9180", () => {
  for (const isAuthenticated of [false, true])
    test(isAuthenticated ? "with a sender (mode Auth)" : "without a sender (mode Base)", async () => {
      const [seed] = PAIRS[1];
      const recipient = await makeSealingKey(Buffer.from(seed, "hex"));
      const sender = isAuthenticated ? await makeSealingKey() : undefined;
      const sealed = await seal(message, recipient.publicKey, purpose, sender);
      const opened = openByTheLetter(Buffer.from(sealed), Buffer.from(seed, "hex"), purpose, sender && Buffer.from(sender.publicKey));
      assert.deepEqual(new Uint8Array(opened), message);
    });
});

/** Opens a message with Node's primitives alone: sections 4, 4.1, 5.1 and 5.2, with KEM 0x20, KDF 1, AEAD 2. */
function openByTheLetter(sealed: Buffer, seed: Buffer, { purpose: info, context }: typeof purpose, sender?: Buffer): Buffer {
  const none = Buffer.alloc(0);
  const kem = Buffer.from("KEM\0\x20", "latin1");
  const suite = Buffer.from("HPKE\0\x20\0\x01\0\x02", "latin1");
  const privateKey = privateKeyOf(labelledExpand(kem, labelledExtract(kem, none, "dkp_prk", seed), "sk", none, 32));
  const recipient = Buffer.from(createPublicKey(privateKey).export({ format: "jwk" }).x as string, "base64url");

  const encapsulated = sealed.subarray(0, 32);
  const shared = [encapsulated, ...(sender ? [sender] : [])].map((publicKey) =>
    diffieHellman({ privateKey, publicKey: publicKeyOf(publicKey) }),
  );
  const kemContext = Buffer.concat([encapsulated, recipient, ...(sender ? [sender] : [])]);
  const secret = labelledExpand(kem, labelledExtract(kem, none, "eae_prk", Buffer.concat(shared)), "shared_secret", kemContext, 32);

  const schedule = Buffer.concat([
    Buffer.of(sender ? 2 : 0),
    labelledExtract(suite, none, "psk_id_hash", none),
    labelledExtract(suite, none, "info_hash", Buffer.from(info)),
  ]);
  const root = labelledExtract(suite, secret, "secret", none);
  const key = labelledExpand(suite, root, "key", schedule, 32);
  const decipher = createDecipheriv("aes-256-gcm", key, labelledExpand(suite, root, "base_nonce", schedule, 12));
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(32, -16)), decipher.final()]);
}

function hmac(key: Buffer, ...parts: readonly Uint8Array[]): Buffer {
  return createHmac("sha256", key).update(Buffer.concat(parts)).digest();
}

function labelledExtract(suite: Buffer, salt: Buffer, label: string, material: Buffer): Buffer {
  return hmac(salt, Buffer.from("HPKE-v1"), suite, Buffer.from(label), material);
}

/** At most 32 bytes, so one block of HKDF. */
function labelledExpand(suite: Buffer, key: Buffer, label: string, info: Buffer, length: number): Buffer {
  return hmac(key, Buffer.of(0, length), Buffer.from("HPKE-v1"), suite, Buffer.from(label), info, Buffer.of(1)).subarray(0, length);
}

function privateKeyOf(bytes: Buffer): KeyObject {
  const der = Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), bytes]); // PKCS#8, RFC 8410
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
}

function publicKeyOf(bytes: Buffer): KeyObject {
  return createPublicKey({ key: { kty: "OKP", crv: "X25519", x: bytes.toString("base64url") }, format: "jwk" });
}
