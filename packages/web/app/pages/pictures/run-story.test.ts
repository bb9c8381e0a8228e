import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job } from "../../../src/protocol/jobs.ts";
import { enclaveOf, softmax, stagesOf, viewsOf } from "./run-story.ts";
import { settingsOfCommand } from "./settings.ts";

const stage = (name: string, bytes = 0): Job["details"][number] => ({ kind: "stage", value: { name, seconds: 0.5, bytes } });

test("stages are those that are over, the one of now, and those to come", () => {
  const rows = stagesOf({
    state: "running",
    details: [stage("start hub, enclave and creator"), stage("verify the enclave"), stage("make keys")],
    progress: { label: "upload keys", done: 3, total: 12 },
  });
  assert.deepEqual(
    rows.slice(0, 6).map(({ name, state }) => `${name}: ${state}`),
    [
      "start hub, enclave and creator: done",
      "verify the enclave: done",
      "make keys: done",
      "upload keys: running",
      "encrypt: waiting",
      "upload picture: waiting",
    ],
  );
  assert.equal(rows[3]!.share, 0.25);
});

test("a cut without keys has no stage for them, and a job that has ended has nothing to come", () => {
  const passed = [stage("verify the enclave"), stage("make keys"), stage("encrypt")];
  const running = stagesOf({ state: "running", details: passed, progress: null });
  assert.equal(
    running.some(({ name }) => name === "upload keys" || name.startsWith("start hub")),
    false,
  );
  assert.equal(running.at(-1)!.name, "download answer");
  assert.equal(stagesOf({ state: "stopped", details: passed, progress: null }).length, 3);
});

test("a stage of a later version is shown under its own name", () => {
  const [row] = stagesOf({ state: "done", details: [stage("polish", 5)], progress: null });
  assert.deepEqual([row!.label, row!.bytes], ["polish", 5]);
});

test("the last view of each party counts", () => {
  const details = [
    { kind: "enclave", value: { kind: "simulator", simulated: true, measurement: "00" } },
    { kind: "view", value: { party: "hub", png: "AA==", bytes: 1 } },
    { kind: "view", value: { party: "hub", png: "BB==", bytes: 2 } },
  ];
  assert.equal(viewsOf({ details }).get("hub")!.bytes, 2);
  assert.equal(viewsOf({ details }).get("creator"), undefined);
  assert.equal(enclaveOf({ details })!.simulated, true);
});

test("settings are read from the command line that the job shows", () => {
  assert.deepEqual(settingsOfCommand("unseen private-run --local --cut 3 --noise 0.2 --bits 4 PICTURE"), { cut: 3, noise: 0.2, bits: 4 });
  assert.deepEqual(settingsOfCommand("unseen private-run --local --cut 1 --noise 6.103515625e-05 --bits 12 PICTURE").noise, 2 ** -14);
});

test("softmax survives large values", () => {
  const shares = softmax([1000, 999]);
  assert.ok(Math.abs(shares[0]! - 0.7310585786) < 1e-9);
  assert.ok(Math.abs(shares[0]! + shares[1]! - 1) < 1e-12);
});
