import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseExactly } from "./exact-json.ts";

test("numbers keep the spelling that Python gave them", () => {
  const text = '{"cap":30.0,"epsilon":1e-05,"theta":1000000.0,"ids":[1,2.0],"nested":{"factor":8.0,"zero":0.0,"minus":-0.0,"big":1e+20}}';
  assert.equal(JSON.stringify(parseExactly(text)), text);
});

test("numbers that JavaScript spells the same stay numbers", () => {
  assert.deepEqual(parseExactly('{"a":3,"b":[0.5,-1],"c":null,"d":"30.0"}'), { a: 3, b: [0.5, -1], c: null, d: "30.0" });
});

test("whatever JSON.stringify writes comes back", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const text = JSON.stringify(value);
      assert.equal(JSON.stringify(parseExactly(text)), text);
    }),
  );
});
