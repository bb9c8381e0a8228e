import assert from "node:assert/strict";
import { test } from "node:test";
import { decryptHead, encryptHead, headKeyOf } from "./head-key.ts";

const secret = new Uint8Array(32).fill(1);
const head = new TextEncoder().encode("the first layers of a model");
const invalid = { code: "SEALED_INVALID" };

test("a file has one key per creator, and another file has another", () => {
  const key = headKeyOf(secret, head);
  assert.equal(key.length, 32);
  assert.deepEqual(headKeyOf(secret, head.slice()), key);
  assert.notDeepEqual(headKeyOf(new Uint8Array(32).fill(2), head), key);
  assert.notDeepEqual(headKeyOf(secret, head.subarray(1)), key);
});

test("a head opens with its key alone", () => {
  const key = headKeyOf(secret, head);
  const encrypted = encryptHead(head, key);
  assert.equal(encrypted.length, head.length + 16);
  assert.ok(!Buffer.from(encrypted).includes(head.subarray(0, 8)));
  assert.deepEqual(encryptHead(head, key), encrypted, "the same file becomes the same blob");
  assert.deepEqual(decryptHead(encrypted, key), head);
  assert.throws(() => decryptHead(encrypted, headKeyOf(secret, head.subarray(1))), invalid);
});

test("a head that was changed or cut short does not open", () => {
  const key = headKeyOf(secret, head);
  const encrypted = encryptHead(head, key);
  for (let index = 0; index < encrypted.length; index++) {
    const changed = encrypted.slice();
    changed[index]! ^= 1 << (index % 8);
    assert.throws(() => decryptHead(changed, key), invalid, `byte ${index}`);
    assert.throws(() => decryptHead(encrypted.subarray(0, index), key), invalid, `${index} bytes`);
  }
});

test("a tag counts whole: no shorter one is taken for a message that is shorter than a tag", () => {
  const key = headKeyOf(secret, head);
  const tag = encryptHead(new Uint8Array(0), key);
  for (const length of [4, 8, 12, 15]) assert.throws(() => decryptHead(tag.subarray(0, length), key), invalid, `${length} bytes`);
});
