import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { exampleManifest, temporaryDirectory } from "../server/hub.fixture.ts";
import { versionOf } from "../protocol.ts";
import { CreatorStore } from "./creator-store.ts";

const directory = temporaryDirectory();
after(() => directory.remove());
const at = (name: string): string => join(directory.path, name);

const manifest = exampleManifest("model", "0".repeat(64), null);
const version = versionOf(manifest);
const headKeys = { ["0".repeat(64)]: Buffer.alloc(32, 1).toString("base64") };
const tails = new Map([[1, Uint8Array.of(1, 2, 3)]]);

test("a directory has one key, which only its owner may read", async () => {
  const [first, second] = await Promise.all([CreatorStore.open(at("key")), CreatorStore.open(at("key"))]);
  assert.deepEqual(first.secret, second.secret, "two that begin at once agree");
  assert.deepEqual((await CreatorStore.open(at("key"))).key.publicKey, first.key.publicKey);
  assert.notDeepEqual((await CreatorStore.open(at("other"))).secret, first.secret);
  assert.equal(statSync(join(at("key"), "creator.key")).mode & 0o077, 0);
  assert.equal(statSync(at("key")).mode & 0o077, 0);
});

test("a key that was damaged is refused, and stays as it is", async () => {
  mkdirSync(at("damaged"));
  const file = join(at("damaged"), "creator.key");
  for (const text of ["", "short\n", Buffer.alloc(31).toString("base64")]) {
    writeFileSync(file, text);
    await assert.rejects(CreatorStore.open(at("damaged")), { code: "KEY_INVALID" });
    assert.equal(readFileSync(file, "utf8"), text);
  }
});

test("a version is kept with its tails and keys, and found after a restart", async () => {
  const added = await (await CreatorStore.open(at("versions"))).add(manifest, headKeys, tails);
  assert.equal(added.version, version);
  const store = await CreatorStore.open(at("versions"));
  assert.deepEqual(await store.list(), [version]);
  const found = await store.get(version);
  assert.deepEqual(found.manifest, manifest);
  assert.deepEqual(found.headKeys, headKeys);
  assert.deepEqual([...readFileSync(found.tail(1))], [1, 2, 3]);
  assert.equal(found.tail(1), added.tail(1));
});

test("the same version again, or at once, is kept once", async () => {
  const store = await CreatorStore.open(at("twice"));
  await Promise.all([store.add(manifest, headKeys, tails), store.add(manifest, headKeys, tails)]);
  await store.add(manifest, headKeys, tails);
  assert.deepEqual(readdirSync(join(at("twice"), "versions")), [version], "nothing temporary is left");
});

test("a version that was not kept whole is none", async () => {
  const store = await CreatorStore.open(at("killed"));
  const half = join(at("killed"), "versions", `.${version}.0123456789ab`);
  mkdirSync(half, { recursive: true });
  writeFileSync(join(half, "tail-1.onnx"), "half");
  assert.deepEqual(await store.list(), []);
  await assert.rejects(store.get(version), { code: "MODEL_NOT_FOUND" });
  await store.add(manifest, headKeys, tails);
  assert.deepEqual(await store.list(), [version]);
});

test("a disk that refuses leaves no half version", async () => {
  const store = await CreatorStore.open(at("full"));
  writeFileSync(join(at("full"), "versions"), "a file where a directory is to be");
  await assert.rejects(store.add(manifest, headKeys, tails));
  assert.deepEqual(await store.list(), []);
});

test("a version's name is never a path", async () => {
  const store = await CreatorStore.open(at("names"));
  await store.add(manifest, headKeys, tails);
  for (const name of ["", ".", "..", `../versions/${version}`, `${version}/`, version.toUpperCase(), "0".repeat(64)])
    await assert.rejects(store.get(name), { code: "MODEL_NOT_FOUND" }, name);
});
