import assert from "node:assert/strict";
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
