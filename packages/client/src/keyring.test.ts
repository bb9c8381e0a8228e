import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { appendFile, chmod, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { keyIdentifier } from "@unseen/core/blueprint/spaces.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { type Home, resolveHome } from "./home.ts";
import { openKey } from "./key-file.ts";
import { createKey, exportKey, importKey, listKeys, loadKey, recordModel, removeKey } from "./keyring.ts";

const root = await mkdtemp(join(tmpdir(), "unseen-keyring-"));
after(() => rm(root, { recursive: true }));
const model = { fingerprint: "ab".repeat(16), strength: "rotate" as const, name: "story", created: "2026-11-21T00:00:00.000Z" };

function home(name: string): Home {
  return resolveHome({ UNSEEN_HOME: join(root, name) });
}

test("the home is UNSEEN_HOME, made absolute, or ~/.unseen", () => {
  assert.equal(resolveHome({ UNSEEN_HOME: "/a/b" }).keys, "/a/b/keys");
  assert.equal(resolveHome({ UNSEEN_HOME: "x" }).root, join(process.cwd(), "x"));
  assert.match(resolveHome({ UNSEEN_HOME: "" }).models, /\.unseen.models$/);
});

test("a new key comes back by name, by id and by path; files are for the owner alone", async () => {
  const place = home("new");
  const key = await createKey(place, "work");
  assert.equal(key.secret.length, 32);
  assert.equal(key.id, keyIdentifier(key.secret));
  for (const handle of ["work", key.id, join(place.keys, "work.age")]) assert.deepEqual((await loadKey(place, handle)).secret, key.secret);
  for (const name of await readdir(place.keys)) assert.equal((await stat(join(place.keys, name))).mode & 0o777, 0o600, name);
  assert.equal((await stat(place.keys)).mode & 0o777, 0o700);
  assert.notDeepEqual((await createKey(place, "other")).secret, key.secret);
});

test("nothing in the keyring but the sealed file and the identity holds the secret", async () => {
  const place = home("sealed");
  const key = await createKey(place, "work");
  await recordModel(place, key, model);
  const spellings = [
    Buffer.from(key.secret),
    Buffer.from(Buffer.from(key.secret).toString("hex")),
    Buffer.from(Buffer.from(key.secret).toString("base64")),
  ];
  for (const name of await readdir(place.keys)) {
    const content = await readFile(join(place.keys, name));
    for (const spelling of spellings) assert.ok(!content.includes(spelling), name);
  }
});

test("a passphrase-sealed key opens with that passphrase alone, and is listed without it", async () => {
  const place = home("passphrase");
  const key = await createKey(place, "safe", { passphrase: "seven quiet herons" });
  assert.deepEqual(await listKeys(place), [
    { name: "safe", id: key.id, created: key.created, protection: "passphrase", models: [], file: join(place.keys, "safe.age") },
  ]);
  assert.ok(!(await readdir(place.keys)).includes("identity.txt"), "no identity is made where none is needed");
  assert.deepEqual((await loadKey(place, "safe", { passphrase: "seven quiet herons" })).secret, key.secret);
  await assert.rejects(loadKey(place, "safe", { passphrase: "seven loud herons" }), hasCode("KEY_INVALID", /right passphrase/));
  await assert.rejects(loadKey(place, "safe"), hasCode("KEY_INVALID", /a passphrase/));
  await assert.rejects(createKey(place, "empty", { passphrase: "" }), hasCode("USAGE", /passphrase/));
});

test("names: taken, unfit, unknown", async () => {
  const place = home("names");
  const { secret } = await createKey(place, "work");
  await assert.rejects(createKey(place, "work"), hasCode("KEY_EXISTS", /key work\b/));
  assert.deepEqual((await loadKey(place, "work")).secret, secret, "the first key is still there");
  for (const name of ["", "../x", "a/b", ".hidden", "x.age", "0123456789abcdef", "a b", "n".repeat(65)]) {
    await assert.rejects(createKey(place, name), hasCode("USAGE", /key name/), name);
  }
  await assert.rejects(loadKey(place, "play"), hasCode("KEY_NOT_FOUND", /play/));
  await assert.rejects(loadKey(place, "/nowhere/x.age"), hasCode("KEY_NOT_FOUND", /nowhere/));
});

test("two processes that start with an empty keyring share one identity", async () => {
  const place = home("race");
  const script = `import { createKey } from ${JSON.stringify(new URL("keyring.ts", import.meta.url).href)};
    import { resolveHome } from ${JSON.stringify(new URL("home.ts", import.meta.url).href)};
    await createKey(resolveHome(), process.argv[1]);`;
  const run = (name: string): Promise<unknown> =>
    promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script, name], {
      env: { ...process.env, UNSEEN_HOME: place.root },
    });
  const names = ["a", "b", "c"];
  await Promise.all(names.map(run));
  for (const name of names) assert.equal((await loadKey(place, name)).name, name);
});

test("of many attempts to make one key at once exactly one succeeds", async () => {
  const place = home("same");
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => createKey(place, "work")));
  const made = results.filter((result) => result.status === "fulfilled");
  assert.equal(made.length, 1);
  assert.deepEqual((await loadKey(place, "work")).secret, made[0]!.value.secret);
});

test("models are recorded without a passphrase, survive a torn line, and the last entry of a fingerprint counts", async () => {
  const place = home("models");
  const key = await createKey(place, "work");
  await Promise.all(
    Array.from({ length: 20 }, (_, index) => recordModel(place, key, { ...model, fingerprint: index.toString(16).padStart(32, "0") })),
  );
  assert.equal((await loadKey(place, "work")).models.length, 20);
  await appendFile(join(place.keys, "work.jsonl"), '{"model":{"finger'); // a crash in the middle of an entry
  await recordModel(place, key, { ...model, fingerprint: "0".repeat(32), name: "renamed" });
  const { models } = await loadKey(place, key.id);
  assert.equal(models.length, 20);
  assert.equal(models.find(({ fingerprint }) => fingerprint === "0".repeat(32))?.name, "renamed");
});

test("export and import carry a key and its models to another keyring", async () => {
  const [here, there] = [home("here"), home("there")];
  const key = await createKey(here, "work");
  await recordModel(here, key, model);
  const path = join(root, "exported.age");
  const sealed = await exportKey(here, "work", { passphrase: "on paper" });
  assert.match(sealed, /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
  await writeFile(path, sealed);
  await assert.rejects(importKey(there, path), hasCode("KEY_INVALID", /passphrase/));
  await importKey(there, path, { passphrase: "on paper", name: "moved" });
  const moved = await loadKey(there, key.id);
  assert.deepEqual([moved.name, moved.secret, moved.models, moved.created], ["moved", key.secret, [model], key.created]);
  await assert.rejects(importKey(there, path, { passphrase: "on paper", name: "again" }), hasCode("KEY_EXISTS", /moved/));
});

test("an export to an age recipient opens with its identity", async () => {
  const place = home("recipient");
  const key = await createKey(place, "work");
  const identity = await generateX25519Identity();
  const sealed = await exportKey(place, await loadKey(place, "work"), { recipient: await identityToRecipient(identity) });
  assert.deepEqual((await openKey(Buffer.from(sealed), "export", { identity })).secret, key.secret);
  await assert.rejects(exportKey(place, "work", { recipient: "age1nonsense" }), hasCode("USAGE", /recipient/));
});

test("a key that models need is removed only by force", async () => {
  const place = home("remove");
  const key = await createKey(place, "work");
  await recordModel(place, key, model);
  await assert.rejects(removeKey(place, "work"), hasCode("USAGE", /got one with 1/));
  assert.equal((await listKeys(place)).length, 1);
  await removeKey(place, "work", { force: true });
  assert.deepEqual(await readdir(place.keys), ["identity.txt"]);
  await assert.rejects(removeKey(place, "work"), hasCode("KEY_NOT_FOUND", /"work"/));
});

test("damage and danger are named: garbage, a foreign or lost or open identity, a lost record", async () => {
  const place = home("damage");
  const key = await createKey(place, "work");
  await writeFile(join(place.keys, "junk.age"), "not an age file");
  assert.deepEqual(
    (await listKeys(place)).map(({ name }) => name),
    ["work"],
  );
  await assert.rejects(loadKey(place, "junk"), hasCode("KEY_INVALID", /an age file/));

  await rm(join(place.keys, "work.jsonl"));
  assert.equal((await listKeys(place))[0]?.id, null);
  assert.deepEqual((await loadKey(place, "work")).secret, key.secret);

  const identity = join(place.keys, "identity.txt");
  await chmod(identity, 0o644);
  await assert.rejects(loadKey(place, "work"), hasCode("PERMISSION_DENIED", /644/));
  await chmod(identity, 0o600);
  await rename(identity, `${identity}.bak`);
  await assert.rejects(loadKey(place, "work"), hasCode("KEY_INVALID", /identity/));
  await writeFile(identity, `${await generateX25519Identity()}\n`, { mode: 0o600 });
  await assert.rejects(loadKey(place, "work"), hasCode("KEY_INVALID", /keyring's identity/));

  await rename(`${identity}.bak`, identity);
  const file = join(place.keys, "work.age");
  const armored = await readFile(file, "utf8");
  await writeFile(file, armored.slice(0, 200));
  await assert.rejects(loadKey(place, "work"), hasCode("KEY_INVALID", /age file/));
});

test("no error of a key that opens to nonsense quotes what was inside", async () => {
  const { Encrypter } = await import("age-encryption");
  const identity = await generateX25519Identity();
  const secret = Buffer.alloc(32, 9).toString("base64");
  const wrong = { version: 1, id: "0".repeat(16), name: "x", created: model.created, models: [], secret };
  for (const content of [
    "no json",
    JSON.stringify({ ...wrong, version: 2 }),
    JSON.stringify({ ...wrong, secret: `${secret}!` }),
    JSON.stringify(wrong),
  ]) {
    const encrypter = new Encrypter();
    encrypter.addRecipient(await identityToRecipient(identity));
    await assert.rejects(openKey(await encrypter.encrypt(content), "x.age", { identity }), (error) => {
      assert.ok(UnseenError.isInstance(error) && error.code === "KEY_INVALID");
      assert.ok(!JSON.stringify([error.message, error.hint, error.cause]).includes(secret.slice(0, 8)));
      return true;
    });
  }
});

function hasCode(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => UnseenError.isInstance(error) && error.code === code && message.test(error.line);
}
