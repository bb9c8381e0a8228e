import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { splitModel } from "@unseen/fhe/graph/split-model.ts";
import { startHubWithAccounts, type HubWithAccounts } from "../api/accounts.fixture.ts";
import { downloadBlob } from "../api/blobs.ts";
import { listModels, readManifest } from "../api/jobs.ts";
import { decryptHead } from "../head-key.ts";
import { temporaryDirectory } from "../server/hub.fixture.ts";
import { versionOf } from "../protocol.ts";
import { CreatorStore } from "./creator-store.ts";
import { publication, weightRuns, xrayFile } from "./publication.fixture.ts";
import { publishModel } from "./publish.ts";

const directory = temporaryDirectory();
let hub: HubWithAccounts;
let store: CreatorStore;

before(async () => {
  hub = await startHubWithAccounts();
  store = await CreatorStore.open(join(directory.path, "creator"));
});
after(async () => {
  await hub.stop();
  directory.remove();
});

/** Names of the needles that are in any file below a directory. */
function findRuns(place: string): number {
  const names = readdirSync(place, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = names.map(({ parentPath, name }) => readFileSync(join(parentPath, name)));
  return weightRuns().filter((run) => files.some((file) => file.includes(run))).length;
}

const versionsOf = async (name: string): Promise<string[]> =>
  (await listModels(hub.user)).filter((model) => model.name === name).flatMap(({ versions }) => versions.map(({ version }) => version));

describe("a published model", () => {
  test("is on the hub as it is in the creator's directory, once, however often it is published", async () => {
    const own = await publishModel(xrayFile, publication, { hub: hub.creator, store });
    const again = await publishModel(xrayFile, publication, { hub: hub.creator, store });
    assert.equal(again.version, own.version);
    assert.deepEqual(await versionsOf("xray"), [own.version]);
    assert.deepEqual(await store.list(), [own.version]);
    const { manifest } = await readManifest(hub.user, "xray", null);
    assert.deepEqual(manifest, own.manifest);
    assert.deepEqual(manifest, (await store.get(own.version)).manifest);
    const changed = await publishModel(xrayFile, { ...publication, card: "# Another" }, { hub: hub.creator, store });
    assert.deepEqual(await versionsOf("xray"), [changed.version, own.version]);
    assert.deepEqual(Object.keys(changed.headKeys), Object.keys(own.headKeys), "the same layers are the same blobs");
  });

  test("has its first layers on the hub under a key, its later ones nowhere but at the creator's", async () => {
    const own = await publishModel(xrayFile, publication, { hub: hub.creator, store });
    const model = decodeOnnx(xrayFile);
    for (const { cut, head } of own.manifest.cuts) {
      const parts = splitModel(model, cut);
      const encrypted = await downloadBlob(hub.enclave, head);
      assert.deepEqual(decryptHead(encrypted, Buffer.from(own.headKeys[head]!, "base64")), new Uint8Array(parts.head));
      assert.deepEqual(new Uint8Array(readFileSync(own.tail(cut))), new Uint8Array(parts.tail));
    }
    assert.ok(own.manifest.cuts.some(({ parameters }) => parameters.scheme === "bfv"));
  });

  test("leaves no weight on the hub", async () => {
    const own = await publishModel(xrayFile, publication, { hub: hub.creator, store });
    const runs = weightRuns().length;
    assert.ok(runs > 5_000);
    assert.ok(findRuns(join(directory.path, "creator")) > 0.9 * runs, "control: the search finds them at the creator's");
    assert.equal(findRuns(hub.directory), 0);
    // Nor as decimal numbers in what everybody may read.
    const text = JSON.stringify((await readManifest(hub.user, "xray", own.version)).manifest);
    for (const key of [...Object.values(own.headKeys), Buffer.from(store.secret).toString("base64")]) assert.ok(!text.includes(key));
    const floats = weightRuns().map((run) => run.readFloatLE(0));
    const numbers = new Set(text.match(/-?\d+\.\d{6,}(?:e-?\d+)?/g));
    assert.deepEqual(
      floats.filter((value) => numbers.has(String(value))),
      [],
    );
  });
});

test("a creator who dies between their own directory and the hub publishes again, and nothing is offered that they do not have", async (context) => {
  const named = { ...publication, name: "crash" };
  // Blobs go by `send`; what goes by `json` is the version.
  const death = context.mock.method(hub.creator, "json", () => Promise.reject(new Error("killed")));
  await assert.rejects(publishModel(xrayFile, named, { hub: hub.creator, store }), { message: "killed" });
  death.mock.restore();
  const kept = await Promise.all((await store.list()).map(async (version) => (await store.get(version)).manifest));
  const [manifest] = kept.filter(({ name }) => name === "crash");
  assert.ok(manifest, "first here");
  assert.deepEqual(await versionsOf("crash"), [], "then there");
  const own = await publishModel(xrayFile, named, { hub: hub.creator, store });
  assert.equal(own.version, versionOf(manifest));
  assert.deepEqual(await versionsOf("crash"), [own.version]);
});

test("a hub that refuses is heard: another creator's name, an account of another role", async () => {
  const other = await CreatorStore.open(join(directory.path, "other"));
  await publishModel(xrayFile, { ...publication, name: "taken" }, { hub: hub.creator, store });
  await assert.rejects(publishModel(xrayFile, { ...publication, name: "taken" }, { hub: hub.otherCreator, store: other }), {
    code: "CONFLICT",
  });
  await assert.rejects(publishModel(xrayFile, { ...publication, name: "mine" }, { hub: hub.user, store: other }), { code: "UNAUTHORIZED" });
});

test("a model without a cut is not published", async () => {
  const { tail } = splitModel(decodeOnnx(xrayFile), 3); // begins with a Relu
  await assert.rejects(publishModel(tail, { ...publication, name: "none" }, { hub: hub.creator, store }), {
    code: "CUT_UNAVAILABLE",
  });
  assert.deepEqual(await versionsOf("none"), []);
});
