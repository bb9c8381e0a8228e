import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Evidence } from "./evidence.ts";
import { makeSealingKey, open } from "./hpke.ts";
import { releaseKey } from "./key-release.ts";
import { AT, NONCE, evidenceOf, policyOf } from "./simulated-evidence.fixture.ts";
import { later } from "./simulator/authority.ts";
import type { PlatformFaults } from "./simulator/platform.ts";

const purpose = { purpose: "unseen/test/v1/key", context: "job" };
const secret = new TextEncoder().encode("the key of a model");

/** Releases a secret that notes whether anybody looked at it. */
async function release(
  evidence: unknown,
  changes: object = {},
): Promise<{ error: string | null; looked: boolean; sealed: Uint8Array | null }> {
  let looked = false;
  const options = {
    nonce: NONCE,
    policy: await policyOf(),
    now: AT,
    purpose,
    get secret() {
      looked = true;
      return secret;
    },
  };
  Object.defineProperties(options, Object.getOwnPropertyDescriptors(changes));
  try {
    const { sealed } = await releaseKey(evidence, options);
    return { error: null, looked, sealed };
  } catch (error) {
    return { error: (error as { code: string }).code, looked, sealed: null };
  }
}

test("a verified enclave opens what is released, and knows who released it", async () => {
  const [enclave, sender] = await Promise.all([makeSealingKey(), makeSealingKey()]);
  const evidence = await evidenceOf({}, { hpkePublicKey: enclave.publicKey, tlsKeyHash: null });
  const { error, looked, sealed } = await release(evidence, { sender });
  assert.equal(error, null);
  assert.equal(looked, true);
  assert.deepEqual(await open(sealed as Uint8Array, enclave, purpose, sender.publicKey), secret);
  await assert.rejects(open(sealed as Uint8Array, enclave, { ...purpose, context: "another job" }, sender.publicKey), {
    code: "SEALED_INVALID",
  });
});

describe("nothing is sealed, nor the secret looked at, after", () => {
  const bit: PlatformFaults = { report: (report) => (report[120] = 1) };
  const cases: readonly [string, PlatformFaults, (evidence: Evidence) => unknown, object, string][] = [
    ["another nonce", {}, (evidence) => evidence, { nonce: new Uint8Array(32) }, "ATTESTATION_NONCE"],
    [
      "another enclave's key",
      {},
      (evidence) => ({ ...evidence, hpkePublicKey: Buffer.alloc(32, 9).toString("base64") }),
      {},
      "ATTESTATION_NONCE",
    ],
    ["another program", { report: (report) => report.fill(0, 136, 184) }, (evidence) => evidence, {}, "ATTESTATION_MEASUREMENT"],
    ["debug mode", bit, (evidence) => evidence, {}, "ATTESTATION_DEBUG"],
    ["revocation", { revoked: ["platform"] }, (evidence) => evidence, {}, "ATTESTATION_REVOKED"],
    ["expiry", {}, (evidence) => evidence, { now: later(AT, 40) }, "ATTESTATION_EXPIRED"],
    [
      "old firmware",
      { qeIdentity: (statement) => (statement["tcbLevels"] = [{ tcb: { isvsvn: 0 }, tcbStatus: "OutOfDate" }]) },
      (evidence) => evidence,
      {},
      "ATTESTATION_TCB",
    ],
    ["a forged list", { forgedList: true }, (evidence) => evidence, {}, "ATTESTATION_INVALID"],
    ["nonsense", {}, () => 7, {}, "ATTESTATION_INVALID"],
  ];
  for (const [name, faults, change, options, code] of cases)
    test(name, async () => {
      assert.deepEqual(await release(change(await evidenceOf(faults)), options), { error: code, looked: false, sealed: null });
    });

  test("a simulator where hardware is asked for", async () => {
    const policy = await policyOf({ mode: "production" });
    assert.deepEqual(await release(await evidenceOf(), { policy }), { error: "ATTESTATION_SIMULATOR", looked: false, sealed: null });
  });
});
