import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { answerSchema, decodeFeatures, encodeFeatures, readJson } from "./features-message.ts";
import { joinFrames } from "./frames.ts";

const shape = { channels: 2, height: 2, width: 1 };
const invalid = { code: "SEALED_INVALID" };
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test("features come back as they were, to the last bit of their step", () => {
  const sixteenBits = fc.integer({ min: -32_768, max: 32_767 });
  fc.assert(
    fc.property(
      fc.double({ min: Number.MIN_VALUE, noNaN: true, noDefaultInfinity: true }),
      fc.array(sixteenBits, { minLength: 4, maxLength: 4 }),
      (step, numbers) => {
        const features = { step, values: Int16Array.from(numbers) };
        assert.deepEqual(decodeFeatures(encodeFeatures(features), shape), features);
      },
    ),
  );
});

test("features are two bytes each, the low one first", () => {
  const message = encodeFeatures({ step: 1, values: Int16Array.of(1, -2) });
  assert.deepEqual([...message.subarray(-4)], [1, 0, 0xfe, 0xff]);
});

test("features of another cut are refused", () => {
  for (const length of [0, 3, 5])
    assert.throws(() => decodeFeatures(encodeFeatures({ step: 1, values: new Int16Array(length) }), shape), invalid);
  assert.throws(() => decodeFeatures(joinFrames([utf8('{"step":1}'), new Uint8Array(7)]), shape), invalid);
});

test("a header that is none is refused", () => {
  for (const header of ["", "{", "null", "[]", '{"step":0}', '{"step":-1}', '{"step":1e999}', '{"step":"1"}', '{"step":1,"more":1}'])
    assert.throws(() => decodeFeatures(joinFrames([utf8(header), new Uint8Array(8)]), shape), invalid, header);
  assert.throws(() => decodeFeatures(joinFrames([utf8('{"step":1}')]), shape), invalid);
  assert.throws(() => decodeFeatures(utf8('{"step":1}'), shape), invalid);
});

test("JSON that is none, or no UTF-8, is undefined", () => {
  assert.deepEqual(readJson(utf8('{"a":1}')), { a: 1 });
  assert.equal(readJson(utf8("{")), undefined);
  assert.equal(readJson(Uint8Array.of(0x22, 0xff, 0x22)), undefined);
});

test("an answer is outputs of finite numbers, within limits", () => {
  const output = { name: "logits", shape: [1, 2], values: [1, -2] };
  assert.ok(answerSchema.safeParse({ outputs: [output] }).success);
  for (const changed of [
    {},
    { outputs: [] },
    { outputs: [{ ...output, values: [null] }] },
    { outputs: [{ ...output, values: [Number.NaN] }] },
    { outputs: [{ ...output, shape: [-1] }] },
    { outputs: [{ ...output, picture: 1 }] },
    { outputs: Array.from({ length: 101 }, () => output) },
  ])
    assert.ok(!answerSchema.safeParse(changed).success, JSON.stringify(changed).slice(0, 80));
});
