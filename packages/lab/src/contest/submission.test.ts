/** Submissions that lie, and those that do not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { UnseenError } from "@unseen/core/errors.ts";
import { MAXIMUM_SUBMISSION_BYTES, parseSubmission, type Submission } from "./submission.ts";

const parse = (text: string): Submission => parseSubmission(Buffer.from(text));
const code = (expected: string) => (error: unknown) => UnseenError.isInstance(error) && error.code === expected && !/\n/.test(error.line);

test("the form of the field, spaces, escapes and a byte order mark are read", () => {
  for (const [text, tokens] of [
    ['{"tokens":{"12":"an"}}', [[12, "an"]]],
    ['{"tokens":{}}', []],
    ['\uFEFF {"participant":"Ada", "tokens" : {"0":"a:b\\"c\\\\", "7":"\\u0120x", "10":":"} }\n', [[0, 'a:b"c\\'], [7, "Ġx"], [10, ":"]]], // prettier-ignore
  ] as const)
    assert.deepEqual([...parse(text).tokens], tokens);
  assert.equal(parse('{"participant":"Ada","tokens":{}}').participant, "Ada");
  assert.equal(parse('{"participant":null,"tokens":{}}').participant, null);
});

const hostile: [string, string][] = [
  ["nothing", ""],
  ["no JSON", "{oops"],
  ["two documents", '{"tokens":{}}{}'],
  ["a number", "12"],
  ["null", "null"],
  ["a list", '[{"tokens":{}}]'],
  ["no tokens", "{}"],
  ["tokens of null", '{"tokens":null}'],
  ["tokens as a list", '{"tokens":["an"]}'],
  ["another field", '{"tokens":{},"score":1000}'],
  ["a participant that is no name", '{"tokens":{},"participant":{"name":"Ada"}}'],
  ["a participant without end", `{"tokens":{},"participant":"${"a".repeat(101)}"}`],
  ["a leading zero", '{"tokens":{"012":"an"}}'],
  ["an exponent", '{"tokens":{"1e3":"an"}}'],
  ["a negative id", '{"tokens":{"-1":"an"}}'],
  ["a signed id", '{"tokens":{"+1":"an"}}'],
  ["a fraction", '{"tokens":{"1.0":"an"}}'],
  ["a hexadecimal id", '{"tokens":{"0x1":"an"}}'],
  ["a space in an id", '{"tokens":{" 1":"an"}}'],
  ["a line break behind an id", '{"tokens":{"1\\n":"an"}}'],
  ["other digits", '{"tokens":{"١":"an"}}'],
  ["an empty id", '{"tokens":{"":"an"}}'],
  ["an id without end", `{"tokens":{"${"1".repeat(400)}":"an"}}`],
  ["a prototype", '{"tokens":{"__proto__":"an"}}'],
  ["a prototype of the whole", '{"tokens":{},"__proto__":{"1":"an"}}'],
  ["a constructor", '{"tokens":{"constructor":"an"}}'],
  ["one id twice", '{"tokens":{"1":"an","1":"the"}}'],
  ["one id twice, once in disguise", '{"tokens":{"1":"an","\\u0031":"the"}}'],
  ["tokens twice", '{"tokens":{"1":"an"},"tokens":{"1":"the"}}'],
  ["tokens twice, once empty", '{"tokens":{},"tokens":{"1":"the"}}'],
  ["a participant twice", '{"participant":"a","participant":"b","tokens":{}}'],
  ["an empty text", '{"tokens":{"1":""}}'],
  ["a text without end", `{"tokens":{"1":"${"a".repeat(1025)}"}}`],
  ["a number for a text", '{"tokens":{"1":1}}'],
  ["null for a text", '{"tokens":{"1":null}}'],
  ["several texts", '{"tokens":{"1":["an","the"]}}'],
  ["objects without end", '{"tokens":'.repeat(100_000)],
  ["lists without end", `{"tokens":${"[".repeat(400_000)}${"]".repeat(400_000)}}`],
];
for (const [name, text] of hostile) {
  test(`refused: ${name}`, () => {
    assert.throws(() => parse(text), code("REQUEST_INVALID"));
  });
}

test("bytes that are not UTF-8 and bodies without end are refused", () => {
  assert.throws(() => parseSubmission(Uint8Array.of(0x7b, 0xff, 0x7d)), code("REQUEST_INVALID"));
  assert.throws(() => parseSubmission(Buffer.alloc(MAXIMUM_SUBMISSION_BYTES + 1, " ")), code("REQUEST_TOO_LARGE"));
});

test("law: whatever comes is read whole or refused with a code", () => {
  const key = fc.oneof(fc.nat(99_999_999).map(String), fc.string({ unit: "binary" }), fc.constantFrom("__proto__", "toString", "01"));
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme", minLength: 1 }), fc.constant(':{}\\"'));
  const tokens = fc.dictionary(key, fc.oneof({ weight: 8, arbitrary: text }, fc.jsonValue() as fc.Arbitrary<unknown>));
  const good = fc.dictionary(fc.nat(99_999_999).map(String), fc.string({ unit: "binary", minLength: 1 }));
  const value = fc.oneof(fc.record({ tokens: good }), fc.record({ tokens }), fc.record({ tokens, participant: text }), fc.jsonValue());
  let read = 0;
  fc.assert(
    fc.property(value, fc.nat(3), fc.nat(), (content, space, place) => {
      const whole = JSON.stringify(content, null, space);
      try {
        const given = (content as { tokens: Record<string, string> })?.tokens;
        const parsed = parse(whole).tokens;
        assert.deepEqual(Object.fromEntries(parsed), { ...given });
        read += 1;
      } catch (error) {
        assert.ok(UnseenError.isInstance(error), String(error));
      }
      // And with one byte changed.
      const bytes = Buffer.from(whole);
      if (bytes.length > 0) bytes[place % bytes.length]! ^= 1 + (place % 255);
      try {
        parseSubmission(bytes);
      } catch (error) {
        assert.ok(UnseenError.isInstance(error), String(error));
      }
    }),
    { seed: 2, numRuns: 300 },
  );
  assert.ok(read > 30, `${read} were in order`);
});
