import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { UnseenError } from "../errors.ts";
import { parseStrictJson, type StrictJson } from "./strict-json.ts";

const limits = { depth: 20, values: 10_000 };
const parse = (text: string): StrictJson => parseStrictJson(Buffer.from(text), "text", limits);

/** As `JSON.parse` would give it. */
function plain(value: StrictJson): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item as StrictJson)]));
  return Array.isArray(value) ? value.map((item) => plain(item as StrictJson)) : value;
}

function codeOf(text: string | Uint8Array): string {
  try {
    parseStrictJson(Buffer.from(text), "text", limits);
    return "none";
  } catch (error) {
    return UnseenError.isInstance(error) ? error.code : String(error);
  }
}

test("agrees with JSON.parse on every object, however it is spaced", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ maxDepth: 5 })),
      fc.constantFrom(0, 2, "\t"),
      (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        if (text.includes('"__proto__":')) return;
        assert.deepEqual(plain(parse(` ${text}\n`)), JSON.parse(text));
      },
    ),
    { numRuns: 500 },
  );
});

test("accepts no text that JSON.parse refuses", () => {
  const pieces = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    '"b"',
    '"\\u00e9"',
    '"\\x"',
    '"',
    "\\",
    "1",
    "-",
    "01",
    "1.",
    "1e5",
    "true",
    "nul",
    "null",
    " ",
    "\n",
    "\u0001",
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
      const text = `{${parts.join("")}`;
      let expected: unknown;
      try {
        expected = JSON.parse(text);
      } catch {
        assert.equal(codeOf(text), "CHECKPOINT_MALFORMED", text);
        return;
      }
      const code = codeOf(text);
      if (code === "none") assert.deepEqual(plain(parse(text)), expected);
      else assert.equal(code, "CHECKPOINT_DUPLICATE", text);
    }),
    { numRuns: 5000 },
  );
});

test("sees what JSON.parse hides", () => {
  assert.equal(codeOf('{"a":1,"b":{"c":1,"c":2}}'), "CHECKPOINT_DUPLICATE");
  assert.equal(codeOf('{"a":1,"\\u0061":2}'), "CHECKPOINT_DUPLICATE");
  assert.equal(codeOf('{"__proto__":{}}'), "CHECKPOINT_MALFORMED");
  assert.equal(codeOf('{"_\\u005fproto__":{}}'), "CHECKPOINT_MALFORMED");
  assert.equal(codeOf('{"a":"\\ud800"}'), "CHECKPOINT_MALFORMED");
  assert.equal(codeOf(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), "CHECKPOINT_MALFORMED");
  assert.equal(codeOf("\ufeff{}"), "CHECKPOINT_MALFORMED");
});

test("stops at its limits", () => {
  assert.equal(codeOf('{"a":'.repeat(100_000)), "CHECKPOINT_TOO_LARGE");
  assert.equal(codeOf(`{"a":${"[".repeat(100_000)}`), "CHECKPOINT_TOO_LARGE");
  assert.equal(codeOf(`{"a":[${"1,".repeat(20_000)}1]}`), "CHECKPOINT_TOO_LARGE");
  assert.equal(codeOf(`{"a":${"[".repeat(19)}1${"]".repeat(19)}}`), "none");
});

test("takes linear time for a megabyte of escapes, quotes or spaces", () => {
  const started = performance.now();
  assert.equal(codeOf(`{"${'\\"'.repeat(2 ** 20)}":1}`), "none");
  assert.equal(codeOf(`{"${"\\".repeat(2 ** 20)}`), "CHECKPOINT_MALFORMED");
  assert.equal(codeOf(`{"a":1${" ".repeat(2 ** 20)}`), "CHECKPOINT_MALFORMED");
  assert.ok(performance.now() - started < 5000);
});
