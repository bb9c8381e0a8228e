import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { joinFrames, splitFrames } from "./frames.ts";

const invalid = { code: "SEALED_INVALID" };
const anyFrames = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });

test("byte strings come back as they were, wherever the message lies in its buffer", () => {
  fc.assert(
    fc.property(anyFrames, fc.nat(9), (frames, offset) => {
      const joined = joinFrames(frames);
      const buffer = new Uint8Array(joined.length + offset + 3).fill(0xff);
      buffer.set(joined, offset);
      const message = buffer.subarray(offset, offset + joined.length);
      assert.deepEqual(splitFrames(message), frames);
      assert.deepEqual(splitFrames(message, frames.length), frames);
      assert.throws(() => splitFrames(message, frames.length + 1), invalid);
    }),
  );
});

test("a message that is cut short or goes on is refused", () => {
  fc.assert(
    fc.property(anyFrames, (frames) => {
      const joined = joinFrames(frames);
      for (let length = 0; length < joined.length; length++) assert.throws(() => splitFrames(joined.subarray(0, length)), invalid);
      assert.throws(() => splitFrames(Uint8Array.of(...joined, 0)), invalid);
    }),
  );
});

test("counts and lengths that lie are refused, and nothing of their size is allocated", () => {
  for (const words of [[0xffffffff], [4097, ...Array.from({ length: 4097 }, () => 0)], [1, 0xffffffff], [2, 0xffffffff, 1], [2, 0, 4]]) {
    const bytes = new Uint8Array(Uint32Array.from(words).buffer);
    assert.throws(() => splitFrames(bytes), invalid, words.slice(0, 3).join());
  }
  const most = Array.from({ length: 4096 }, () => new Uint8Array(0));
  assert.equal(splitFrames(joinFrames(most)).length, 4096);
  assert.throws(() => joinFrames([...most, new Uint8Array(0)]), RangeError);
});
