/** The key of the conversations: what opens it, what does not, and that nothing loses it. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Decrypter } from "age-encryption";
import { readIdentity } from "../keyring.ts";
import { temporaryHome } from "./conversations.fixture.ts";
import { Vault } from "./vault.ts";

const place = (): { home: ReturnType<typeof temporaryHome>; directory: string; path: string } => {
  const home = temporaryHome();
  const directory = join(home.root, "conversations");
  return { home, directory, path: join(directory, "vault.age") };
};

test("made on first use, for its owner alone, and opened by the identity that age knows too", async () => {
  const { home, directory, path } = place();
  const first = await Vault.open(home, directory);
  assert.deepEqual(first.state, { state: "open", protection: "identity" });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  const again = await Vault.open(home, directory);
  assert.deepEqual(again.secret, first.secret);
  assert.equal(new Set(first.secret).size > 8, true);
  const decrypter = new Decrypter();
  decrypter.addIdentity(await readIdentity(home));
  const content = JSON.parse(await decrypter.decrypt(readFileSync(path), "text")) as { secret: string };
  assert.equal(content.secret, Buffer.from(first.secret).toString("base64"));
  assert.doesNotMatch(readFileSync(path, "latin1"), new RegExp(content.secret.slice(0, 20).replace(/[+/]/g, "\\$&")));
});

test("two that begin at once end with one key", async () => {
  const { home, directory } = place();
  const [one, other] = await Promise.all([Vault.open(home, directory), Vault.open(home, directory)]);
  assert.deepEqual(one.secret, other.secret);
});

test("a passphrase locks it at each start; a wrong one says so and changes nothing; the key stays the same", async () => {
  const { home, directory, path } = place();
  const vault = await Vault.open(home, directory);
  const secret = Uint8Array.from(vault.secret);
  await assert.rejects(vault.lock(), { code: "CONFLICT" });
  await assert.rejects(vault.protect(""), { code: "REQUEST_INVALID" });
  assert.deepEqual(await vault.protect("correct horse"), { state: "open", protection: "passphrase" });
  const file = readFileSync(path);
  const held = vault.secret;
  assert.deepEqual(await vault.lock(), { state: "locked", protection: "passphrase" });
  assert.ok(
    held.every((byte) => byte === 0),
    "overwritten",
  );

  const started = await Vault.open(home, directory);
  assert.deepEqual(started.state, { state: "locked", protection: "passphrase" });
  assert.throws(() => started.secret, { code: "VAULT_LOCKED" });
  await assert.rejects(started.protect(null), { code: "VAULT_LOCKED" });
  const began = performance.now();
  await assert.rejects(started.unlock("wrong horse"), {
    code: "VAULT_INVALID",
    message: /^the passphrase is wrong, or .*vault\.age is damaged\.$/,
  });
  assert.ok(performance.now() - began > 100, "a try costs work");
  assert.equal(started.state.state, "locked");
  assert.deepEqual(readFileSync(path), file);
  assert.deepEqual(await started.unlock("correct horse"), { state: "open", protection: "passphrase" });
  assert.deepEqual(started.secret, secret);

  assert.deepEqual(await started.protect(null), { state: "open", protection: "identity" });
  assert.deepEqual((await Vault.open(home, directory)).secret, secret);
  assert.deepEqual(readdirSync(directory), ["vault.age"], "no other file is left");
});

test("a damaged file is said to be damaged and is never overwritten", async () => {
  const { home, directory, path } = place();
  await Vault.open(home, directory);
  const whole = readFileSync(path);
  const damages = [
    Buffer.alloc(0),
    Buffer.from("something else"),
    whole.subarray(0, whole.length - 1),
    Buffer.concat([whole, Buffer.from([0])]),
    Buffer.alloc(100_000),
    ...Array.from({ length: whole.length }, (_, place) => {
      const copy = Buffer.from(whole);
      copy[place]! ^= 1;
      return copy;
    }),
  ];
  for (const damage of damages) {
    writeFileSync(path, damage);
    await assert.rejects(Vault.open(home, directory), { code: "VAULT_INVALID" });
    assert.deepEqual(readFileSync(path), damage);
  }
  writeFileSync(path, whole);
  await Vault.open(home, directory);
});

test("no new key is made beside conversations under an old one, nor for a lost identity", async () => {
  const { home, directory, path } = place();
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "0.log"), "");
  await assert.rejects(Vault.open(home, directory), {
    code: "VAULT_INVALID",
    message: /is gone, but conversations under its key are there/,
  });
  assert.deepEqual(readdirSync(directory), ["0.log"]);
  rmSync(join(directory, "0.log"));
  await Vault.open(home, directory);
  const file = readFileSync(path);
  rmSync(join(home.keys, "identity.txt"));
  await assert.rejects(Vault.open(home, directory), { code: "KEY_INVALID" });
  assert.deepEqual(readFileSync(path), file);
});
