import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { temporaryDirectory } from "../server/hub.fixture.ts";
import { checkCreator } from "./known-creators.ts";

const directory = temporaryDirectory();
after(() => directory.remove());
const at = (name: string): string => join(directory.path, name);
const creator = { hub: "http://hub", model: "xray", key: "first" };

test("a creator's key is remembered at its first use, and another one is refused from then on", async () => {
  const file = join(at("deep"), "known.json");
  assert.deepEqual(await checkCreator(file, creator), { isNew: true });
  assert.deepEqual(await checkCreator(file, creator), { isNew: false });
  const before = readFileSync(file, "utf8");
  await assert.rejects(checkCreator(file, { ...creator, key: "second" }), { code: "CREATOR_CHANGED", hint: /"http:\/\/hub xray"/ });
  assert.equal(readFileSync(file, "utf8"), before);
  assert.deepEqual(await checkCreator(file, creator), { isNew: false });
});

test("hubs and models have creators of their own", async () => {
  const file = at("several.json");
  for (const other of [creator, { ...creator, hub: "http://other", key: "second" }, { ...creator, model: "mri", key: "third" }]) {
    assert.deepEqual(await checkCreator(file, other), { isNew: true });
    assert.deepEqual(await checkCreator(file, other), { isNew: false });
  }
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), {
    "http://hub xray": "first",
    "http://other xray": "second",
    "http://hub mri": "third",
  });
});

test("a file that was damaged is refused, not begun anew", async () => {
  const file = at("damaged.json");
  for (const text of ["", "{", "[]", '{"http://hub xray":1}']) {
    writeFileSync(file, text);
    await assert.rejects(checkCreator(file, creator), { code: "KEY_INVALID" }, text);
    assert.equal(readFileSync(file, "utf8"), text);
  }
});
