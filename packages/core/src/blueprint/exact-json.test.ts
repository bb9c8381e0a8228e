import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { parseExactly } from "./exact-json.ts";
import { encryptModel } from "./transform.ts";

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

test(
  "an encrypted configuration spells them as the plain one did: transformers refuses 30 where it wants 30.0",
  needs("data/models/families/gemma2"),
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "unseen-exact-"));
    try {
      const output = join(directory, "out");
      await encryptModel({
        source: sharedPath("data/models/families/gemma2") as string,
        output,
        key: { secret: new Uint8Array(32).fill(1), strength: "permute" },
      });
      assert.match(readFileSync(join(output, "config.json"), "utf8"), /"final_logit_softcapping": 30\.0,/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);
