import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { makeEvidence } from "@unseen/attest/make-evidence.ts";
import { simulatorPolicy, simulatorSource } from "@unseen/attest/simulator/simulator-source.ts";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import { startHubWithAccounts, type HubWithAccounts } from "../api/accounts.fixture.ts";
import { publishVersion } from "../api/jobs.ts";
import type { Worker } from "../api/worker.ts";
import { CreatorStore, type OwnVersion } from "../creator/creator-store.ts";
import { startCreator } from "../creator/creator.ts";
import { publication, xrayFile } from "../creator/publication.fixture.ts";
import { publishModel } from "../creator/publish.ts";
import type { Job, ModelManifest } from "../protocol.ts";
import { exampleJob, randomKey, temporaryDirectory } from "../server/hub.fixture.ts";
import { HeadStore, type EvidenceFor } from "./head-store.ts";

const directory = temporaryDirectory();
const at = (name: string): string => join(directory.path, name);
const simulated = simulatorSource({ directory: at("simulator") });
const otherProgram = simulatorSource({ directory: at("simulator"), composeHash: "0".repeat(64) });

let hub: HubWithAccounts;
let store: CreatorStore;
let creator: Worker;
let own: OwnVersion;
/** What the creator logs: a line for each release. */
const releases: string[] = [];
/** Keys that evidence was made for. */
const keys: string[] = [];

before(async () => {
  hub = await startHubWithAccounts();
  store = await CreatorStore.open(at("creator"));
  own = await publishModel(xrayFile, publication, { hub: hub.creator, store });
  const policy = await simulatorPolicy(at("simulator"));
  creator = startCreator({ hub: hub.creator, store, policy, log: (line) => releases.push(line) });
});
after(async () => {
  await creator.close();

  await hub.stop();
  directory.remove();
});
beforeEach(() => {
  releases.length = 0;
  keys.length = 0;
});

const from =
  (source: typeof simulated): EvidenceFor =>
  (nonce, hpkePublicKey) => {
    keys.push(Buffer.from(hpkePublicKey).toString("base64"));
    return makeEvidence(source, { nonce, keys: { hpkePublicKey, tlsKeyHash: null } });
  };

const never = new AbortController().signal;

function jobFor(version: string, cut = 2, scheme: Job["scheme"] = "ckks"): Job {
  return {
    ...exampleJob(version, "0".repeat(64), null, randomKey()),
    id: `job_${"0".repeat(32)}`,
    cut,
    scheme,
    state: "evaluating",
    model: "xray",
    encrypted: null,
    features: null,
    answer: null,
    attempts: 1,
    failure: null,
    created: new Date(0).toISOString(),
    transitions: [],
  };
}

/** Publishes the model with a manifest that was tampered with; the creator has it too. */
async function publishChanged(change: (manifest: ModelManifest) => void, isKept = true): Promise<string> {
  const manifest = structuredClone(own.manifest);
  manifest.card = `# Changed ${randomKey()}`;
  change(manifest);
  if (isKept) await store.add(manifest, own.headKeys, new Map());
  return publishVersion(hub.creator, manifest);
}

describe("an enclave", () => {
  test("gets a version's first layers against evidence, once", async () => {
    const heads = new HeadStore(hub.enclave, from(simulated));
    const [first, second] = await Promise.all([heads.get(jobFor(own.version), never), heads.get(jobFor(own.version), never)]);
    assert.equal(first, second);
    assert.equal(await heads.get(jobFor(own.version), never), first);
    assert.equal(releases.length, 1);
    assert.deepEqual(first.head, readHeads(decodeOnnx(xrayFile)).heads[1]);
    assert.equal(first.cut.cut, 2);
  });

  test("shows a key that it uses for nothing else", async () => {
    const heads = new HeadStore(hub.enclave, from(simulated));
    await heads.get(jobFor(own.version, 1), never);
    const { head, cut } = await heads.get(jobFor(own.version, 1, "bfv"), never);
    assert.deepEqual([cut.parameters.scheme, head.layers.length], ["bfv", 1]);
    assert.equal(new Set(keys).size, 2);
  });

  test("gets nothing for evidence that the creator's policy refuses, and may try again", async () => {
    let source = otherProgram;
    const heads = new HeadStore(hub.enclave, (nonce, key) => from(source)(nonce, key));
    await assert.rejects(heads.get(jobFor(own.version), never), { code: "ATTESTATION_MEASUREMENT" });
    assert.deepEqual(releases, []);
    source = simulated;
    await heads.get(jobFor(own.version), never);
    assert.equal(releases.length, 1);
  });

  test("gets nothing for evidence of another nonce or another key", async () => {
    const stale = new HeadStore(hub.enclave, (_nonce, key) => from(simulated)(new Uint8Array(32), key));
    await assert.rejects(stale.get(jobFor(own.version), never), { code: "ATTESTATION_NONCE" });
    const foreign = new HeadStore(hub.enclave, async (nonce, key) => ({
      ...(await from(simulated)(nonce, key)),
      hpkePublicKey: randomKey(),
    }));
    await assert.rejects(foreign.get(jobFor(own.version), never), { code: "ATTESTATION_NONCE" });
    assert.deepEqual(releases, []);
  });

  test("does not take layers from whom the manifest does not name", async () => {
    const heads = new HeadStore(hub.enclave, from(simulated));
    const version = await publishChanged((manifest) => (manifest.creatorKey = randomKey()));
    await assert.rejects(heads.get(jobFor(version), never), { code: "SEALED_INVALID" });
  });

  test("gets nothing of a version that its creator or the hub does not have", async () => {
    const heads = new HeadStore(hub.enclave, from(simulated));
    const version = await publishChanged(() => {}, false);
    await assert.rejects(heads.get(jobFor(version), never), { code: "MODEL_NOT_FOUND" });
    await assert.rejects(heads.get(jobFor("0".repeat(64)), never), { code: "MODEL_NOT_FOUND" });
    assert.deepEqual(releases, []);
  });

  test("asks for nothing where a cut is not offered, or its parameters are not allowed", async () => {
    const heads = new HeadStore(hub.enclave, from(simulated));
    const unavailable = { code: "CUT_UNAVAILABLE" };
    await assert.rejects(heads.get(jobFor(own.version, 9), never), unavailable);
    await assert.rejects(heads.get(jobFor(own.version, 2, "bfv"), never), unavailable);
    for (const parameters of [
      { scheme: "ckks", degree: 4096, primeBits: [49, 40, 49], scaleBits: 40 },
      { scheme: "ckks", degree: 1_048_576, primeBits: [49, 40, 40, 40, 49], scaleBits: 40 },
    ] as const) {
      const version = await publishChanged((manifest) => {
        for (const cut of manifest.cuts) if (cut.cut === 2) cut.parameters = { ...parameters, primeBits: [...parameters.primeBits] };
      });
      await assert.rejects(heads.get(jobFor(version), never), unavailable);
    }
    assert.deepEqual(keys, []);
    assert.deepEqual(releases, []);
  });

  test("does not take another cut's layers, or a blob that is none", async () => {
    const heads = new HeadStore(hub.enclave, from(simulated));
    const blobOf = (cut: number): string => own.manifest.cuts.find((offered) => offered.cut === cut)!.head;
    const swapped = await publishChanged((manifest) => {
      for (const cut of manifest.cuts) cut.head = blobOf(cut.cut === 2 ? 3 : 2);
    });
    await assert.rejects(heads.get(jobFor(swapped), never), { code: "CUT_UNAVAILABLE" });
  });

  test("that stops one job does not stop another that waits for the same layers", async () => {
    const shown = Promise.withResolvers<void>();
    const mayGo = Promise.withResolvers<void>();
    const heads = new HeadStore(hub.enclave, async (nonce, key) => {
      shown.resolve();
      await mayGo.promise;
      return from(simulated)(nonce, key);
    });
    const stopping = new AbortController();
    const stopped = assert.rejects(heads.get(jobFor(own.version), stopping.signal), { message: "cancelled" });
    const other = heads.get(jobFor(own.version), never);
    await shown.promise;
    stopping.abort(new Error("cancelled"));
    mayGo.resolve();
    await stopped;
    assert.equal((await other).cut.cut, 2);
    await assert.rejects(heads.get(jobFor(own.version, 3), stopping.signal), { message: "cancelled" });
  });
});
