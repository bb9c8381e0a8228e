import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { makeEvidence } from "../make-evidence.ts";
import { AT, KEYS, NONCE, temporaryDirectory } from "../simulated-evidence.fixture.ts";
import { verifyEvidence } from "../verify-evidence.ts";
import { later } from "./authority.ts";
import { SIMULATED_COMPOSE_HASH, simulatorPolicy, simulatorSource } from "./simulator-source.ts";

describe("a simulator", () => {
  test("is the same after every start, for all who come at once", async () => {
    const directory = join(temporaryDirectory(), "deep", "simulator");
    const policies = await Promise.all(Array.from({ length: 8 }, () => simulatorPolicy(directory)));
    assert.equal(new Set(policies.map(({ simulatorRoot }) => simulatorRoot)).size, 1);
    assert.deepEqual(await simulatorPolicy(directory), policies[0]);
    assert.deepEqual(readdirSync(directory), ["simulator.json"], "nothing half-made is left");
  });

  test("keeps its secrets to its owner", async () => {
    const directory = join(temporaryDirectory(), "simulator");
    await simulatorPolicy(directory);
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    assert.equal(statSync(join(directory, "simulator.json")).mode & 0o777, 0o600);
  });

  test("gives evidence for its own policy, on the clock and long after its start", async () => {
    const directory = temporaryDirectory();
    let now = AT;
    const source = simulatorSource({ directory, clock: () => now });
    for (const days of [0, 20, 40, 400]) {
      now = later(AT, days);
      const evidence = await makeEvidence(source, { nonce: NONCE, keys: KEYS });
      assert.equal((await verifyEvidence(evidence, { nonce: NONCE, policy: await simulatorPolicy(directory), now })).tcbStatus, "UpToDate");
    }
    const evidence = await makeEvidence(simulatorSource({ directory }), { nonce: NONCE, keys: KEYS });
    await verifyEvidence(evidence, { nonce: NONCE, policy: await simulatorPolicy(directory) });
  });

  test("runs the program that is said", async () => {
    const directory = temporaryDirectory();
    const composeHash = "cd".repeat(32);
    const evidence = await makeEvidence(simulatorSource({ directory, composeHash }), { nonce: NONCE, keys: KEYS });
    await verifyEvidence(evidence, { nonce: NONCE, policy: await simulatorPolicy(directory, composeHash) });
    await assert.rejects(verifyEvidence(evidence, { nonce: NONCE, policy: await simulatorPolicy(directory) }), {
      code: "ATTESTATION_MEASUREMENT",
    });
    assert.match(SIMULATED_COMPOSE_HASH, /^[0-9a-f]{64}$/);
    assert.throws(() => simulatorSource({ directory, composeHash: "CD" }), { code: "USAGE" });
  });

  test("derives 32 secret bytes for a purpose that are not in its file", async () => {
    const directory = temporaryDirectory();
    const key = await simulatorSource({ directory }).deriveKey("features");
    assert.equal(key.length, 32);
    assert.ok(!readFileSync(join(directory, "simulator.json"), "utf8").includes(Buffer.from(key).toString("base64")));
  });
});

describe("a simulator's directory", () => {
  test("with a damaged file", async () => {
    const directory = temporaryDirectory();
    for (const text of ["", "{}", "7", '{"version":1,"rootKey":"AAAA","rootCertificate":"AAAA","secret":"AAAA"}']) {
      writeFileSync(join(directory, "simulator.json"), text);
      await assert.rejects(simulatorPolicy(directory), { code: "ATTESTATION_UNAVAILABLE", hint: /Remove/ });
      await assert.rejects(simulatorSource({ directory }).deriveKey("features"), { code: "ATTESTATION_UNAVAILABLE" });
    }
  });

  test("that cannot be made, until it can", async () => {
    const directory = join(temporaryDirectory(), "file");
    writeFileSync(directory, "");
    const source = simulatorSource({ directory });
    await assert.rejects(source.quote(new Uint8Array(64)), { code: "OUTPUT_EXISTS" });
    await assert.rejects(simulatorPolicy(directory), { code: "OUTPUT_EXISTS" });
    rmSync(directory);
    assert.ok((await source.quote(new Uint8Array(64))).quote.length > 0);
  });
});
