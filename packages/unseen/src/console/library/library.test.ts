/**
 * The library over a home: what is listed, what is deleted, and keys.
 * @module
 */
import assert from "node:assert/strict";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { armor, Decrypter } from "age-encryption";
import { writeBundle, type Bundle } from "@unseen/client/bundle.ts";
import { createKey, listKeys } from "@unseen/client/keyring.ts";
import type { LabReport } from "@unseen/lab/lab-report.ts";
import { example } from "@unseen/lab/report/example.fixture.ts";
import type { EncryptedRow, KeyRow, Library, Status, Worth } from "@unseen/web/protocol/library.ts";
import { keepFidelity } from "../../fidelity-record.ts";
import { reportFile } from "../../worth.ts";
import { temporaryHome, TestConsole, type Asked } from "../console.fixture.ts";
import { openLibrary } from "../library-routes.ts";

const MODELS = fileURLToPath(new URL("../../../models/", import.meta.url));
function open() {
  const home = temporaryHome();
  mkdirSync(home.models, { recursive: true });
  const page = new TestConsole(home, openLibrary);
  const ask = page.ask.bind(page);
  return { home, page, ask, library: async () => (await ask<Library>("GET", "/console/library")).body };
}

/** Status and code of a request that must fail. */
async function refusal(asking: Promise<Asked<unknown>>): Promise<[number, string | undefined]> {
  const { status, body } = await asking;
  return [status, body.error?.code];
}

/** An encrypted directory as far as a listing looks. */
function writeEncrypted(directory: string, fingerprint: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "config.json"), JSON.stringify({ model_type: "llama" }));
  const manifest = { scheme: "unseen-ee", version: 1, fingerprint, strength: "rotate", family: "llama", vocabularySize: 512 };
  writeFileSync(join(directory, "unseen.json"), JSON.stringify(manifest));
  writeFileSync(join(directory, "model.safetensors"), new Uint8Array(1000));
}

const bundle = (fingerprint: string, keyId: string): Bundle => ({
  version: 1,
  fingerprint,
  name: "story",
  keyId,
  strength: "rotate",
  family: "llama",
  vocabularySize: 512,
  contextLength: 256,
  created: "2026-01-02T03:04:05.000Z",
  eosIds: [1],
  bosId: 0,
  generation: {},
});

const fingerprintOf = (number: number): string => number.toString(16).padStart(32, "0");

describe("the library", () => {
  test("lists what lies in the home and what comes along", async () => {
    const { home, page, ask, library } = open();
    const key = await createKey(home, "office");
    const [known, foreign] = [fingerprintOf(1), fingerprintOf(2)];
    writeEncrypted(join(home.models, "story-unseen"), known);
    writeEncrypted(join(home.models, "foreign"), foreign);
    await writeBundle(home, bundle(known, key.id), {});
    await keepFidelity(home, known, { greedyAgreement: 1, meanKl: 0, maxLogitDifference: 0.5, tokens: 64 }, assert.fail);
    mkdirSync(join(home.root, "shares", known), { recursive: true });
    cpSync(join(MODELS, "story-llama"), join(home.models, "roneneldan", "stories"), { recursive: true });
    copyFileSync(join(MODELS, "xray-cnn", "model.onnx"), join(home.models, "xray.onnx"));
    mkdirSync(join(home.models, "half.partial"));
    writeFileSync(join(home.models, "half.partial", "config.json"), "{}");
    writeFileSync(join(home.models, "notes.txt"), "no model");
    mkdirSync(join(home.models, "damaged"));
    writeFileSync(join(home.models, "damaged", "unseen.json"), "{");
    const { keys, plain, encrypted, home: place } = await library();
    assert.equal(place, home.root);
    assert.deepEqual(keys, [
      { id: key.id, name: "office", created: key.created, protection: "identity", models: ["story"] } satisfies KeyRow,
    ]);
    assert.deepEqual(
      plain.map(({ name, family, bundled }) => [name, family, bundled]),
      [
        ["story-llama", "llama", true],
        ["xray-cnn", "xray-cnn", true],
        ["damaged", null, false],
        ["roneneldan/stories", "llama", false],
        ["xray", "onnx", false],
      ],
    );
    const byName = new Map(encrypted.map((row) => [row.name, row]));
    const { worth, bytes, ...row } = byName.get("story") as EncryptedRow;
    assert.deepEqual(row, {
      name: "story",
      path: join(home.models, "story-unseen"),
      fingerprint: known,
      family: "llama",
      strength: "rotate",
      created: "2026-01-02T03:04:05.000Z",
      key: "office",
      shared: true,
      fidelity: { greedyAgreement: 1, meanKl: 0, maxLogitDifference: 0.5, tokens: 64 },
    });
    assert.ok(bytes > 1000 && worth.lines.length === 2 && !worth.own);
    assert.deepEqual([byName.get("foreign")?.key, byName.get("foreign")?.fidelity, byName.get("foreign")?.shared], [null, null, false]);
    assert.deepEqual((await ask<Worth>("GET", `/console/worth/${known}`)).body, worth);
    page.preparing = "a start";
    const { body: status } = await ask<Status>("GET", "/console/status");
    assert.deepEqual([status.version, status.models, status.preparing], ["0.0.0", [], "a start"]);
  });

  test("of 200 models is listed fast", async () => {
    const { home, library } = open();
    const key = await createKey(home, "office");
    for (let number = 0; number < 200; number++) {
      writeEncrypted(join(home.models, `model-${number}`), fingerprintOf(number));
      await writeBundle(home, bundle(fingerprintOf(number), key.id), {});
    }
    const started = performance.now();
    assert.equal((await library()).encrypted.length, 200);
    assert.ok(performance.now() - started < 5000, `${performance.now() - started} ms`);
  });

  test("says what was measured on this very model", async () => {
    const { home, ask } = open();
    const key = await createKey(home, "office");
    const fingerprint = fingerprintOf(7);
    await writeBundle(home, bundle(fingerprint, key.id), {});
    assert.deepEqual(await refusal(ask("GET", `/console/reports/${fingerprint}`)), [404, "MODEL_NOT_FOUND"]);
    mkdirSync(home.reports, { recursive: true });
    writeFileSync(reportFile(home, fingerprint), JSON.stringify(example));
    assert.deepEqual((await ask<LabReport>("GET", `/console/reports/${fingerprint}`)).body, example);
    assert.equal((await ask<Worth>("GET", `/console/worth/${fingerprint}`)).body.own, true);
    writeFileSync(reportFile(home, fingerprint), "{");
    assert.deepEqual(await refusal(ask("GET", `/console/reports/${fingerprint}`)), [400, "REQUEST_INVALID"]);
    assert.deepEqual(await refusal(ask("GET", "/console/reports/..%2f..%2fkeys")), [400, "REQUEST_INVALID"]);
    assert.deepEqual(await refusal(ask("GET", `/console/worth/${fingerprintOf(8)}`)), [404, "MODEL_NOT_FOUND"]);
  });
});

describe("deleting", () => {
  test("takes a model of the home, and nothing else", async () => {
    const { home, ask, library } = open();
    await createKey(home, "office");
    const outside = join(home.root, "elsewhere");
    writeEncrypted(outside, fingerprintOf(3));
    writeEncrypted(join(home.models, "story-unseen"), fingerprintOf(1));
    writeEncrypted(join(home.models, "org", "name"), fingerprintOf(2));
    symlinkSync(outside, join(home.models, "link"));
    const remove = (path: string): Promise<Asked<unknown>> => ask("DELETE", `/console/models?path=${encodeURIComponent(path)}`);
    for (const path of [
      home.root,
      home.models,
      home.keys,
      outside,
      join(home.models, "link"),
      join(home.models, "org"),
      join(home.models, "story-unseen", ".."),
      join(home.models, "story-unseen", "config.json"),
      `${home.models}/story-unseen/../../elsewhere`,
      join(MODELS, "story-llama"),
      "story-unseen",
    ])
      assert.deepEqual(await refusal(remove(path)), [404, "MODEL_NOT_FOUND"], path);
    assert.deepEqual(await refusal(ask("DELETE", "/console/models")), [400, "REQUEST_INVALID"]);
    for (const path of [join(home.models, "story-unseen"), join(home.models, "org", "name")]) {
      assert.equal((await remove(path)).status, 204, path);
    }
    assert.deepEqual((await library()).encrypted, []);
    assert.deepEqual(readdirSync(home.models), ["link"]);
    assert.ok(existsSync(join(outside, "unseen.json")) && existsSync(join(MODELS, "story-llama", "config.json")));
  });
});

describe("keys", () => {
  test("are made, and taken elsewhere sealed with a passphrase of their own", async () => {
    const { home, page, ask } = open();
    const { status, body: row } = await ask<KeyRow>("POST", "/console/keys", { name: "office" });
    assert.deepEqual([status, row.name, row.protection], [200, "office", "identity"]);
    assert.deepEqual(await refusal(ask("POST", "/console/keys", { name: "office" })), [409, "KEY_EXISTS"]);
    for (const name of ["../x", "", "a".repeat(65), "0123456789abcdef", "x.age", "--help", 7])
      assert.deepEqual(await refusal(ask("POST", "/console/keys", { name })), [400, "REQUEST_INVALID"], String(name));
    const body = JSON.stringify({ passphrase: "taken elsewhere" });
    const exported = await openLibrary(page).routes.request("/console/keys/office/export", { method: "POST", body });
    assert.equal(exported.headers.get("content-disposition"), 'attachment; filename="office.age"');
    const text = await exported.text();
    assert.match(text, /^-----BEGIN AGE ENCRYPTED FILE-----/);
    const decrypter = new Decrypter();
    decrypter.addPassphrase("taken elsewhere");
    const content = JSON.parse(await decrypter.decrypt(armor.decode(text), "text")) as { id: string };
    assert.equal(content.id, row.id);
    assert.deepEqual(await refusal(ask("POST", "/console/keys/none/export", { passphrase: "x" })), [404, "KEY_NOT_FOUND"]);
    assert.deepEqual(await refusal(ask("POST", "/console/keys/..%2foffice/export", { passphrase: "x" })), [400, "REQUEST_INVALID"]);
    assert.deepEqual(await refusal(ask("POST", "/console/keys/office/export", {})), [400, "REQUEST_INVALID"]);
    assert.equal((await listKeys(home)).length, 1);
  });

  test("with a passphrase open with it alone", async () => {
    const { ask } = open();
    const { body } = await ask<KeyRow>("POST", "/console/keys", { name: "sealed", passphrase: "first words" });
    assert.equal(body.protection, "passphrase");
    for (const current of [{}, { current: "other words" }])
      assert.equal((await refusal(ask("POST", "/console/keys/sealed/export", { passphrase: "x", ...current })))[1], "KEY_INVALID");
  });
});
