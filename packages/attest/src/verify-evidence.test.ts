import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, describe, test } from "node:test";
import { decodeCollateral, encodeCollateral, type Collateral } from "./collateral.ts";
import { type Evidence, reportData } from "./evidence.ts";
import { makeEvidence } from "./make-evidence.ts";
import type { Policy } from "./policy.ts";
import type { Refusal } from "./refuse.ts";
import { SIMULATOR_WARNING } from "./shout.ts";
import { AT, KEYS, NONCE, evidenceOf, policyOf, temporaryDirectory } from "./simulated-evidence.fixture.ts";
import { later, type Role } from "./simulator/authority.ts";
import { type PlatformFaults, type SimulatedPlatform, makePlatform, reportFields } from "./simulator/platform.ts";
import { SIMULATED_COMPOSE_HASH, simulatorPolicy } from "./simulator/simulator-source.ts";
import { makeKey, makeRoot } from "./simulator/state.ts";
import { verifyEvidence, type VerifyOptions } from "./verify-evidence.ts";

let good: Evidence;
let policy: Policy;
before(async () => {
  good = await evidenceOf();
  policy = await policyOf();
});

async function refuses(
  code: Refusal | "USAGE" | "REQUEST_INVALID",
  evidence: unknown,
  options: Partial<VerifyOptions> = {},
): Promise<void> {
  await assert.rejects(
    verifyEvidence(evidence, { nonce: NONCE, policy, now: AT, ...options }),
    (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, code, String(error.stack));
      assert.match(error.message, /^[^\n]{10,400}\.$/);
      assert.ok(error.hint);
      return true;
    },
  );
}

/** The same 32 bytes in base64 with spare bits set. */
function respelled(base64: string): string {
  const respelled = `${base64.slice(0, 42)}${String.fromCharCode(base64.charCodeAt(42) + 1)}=`;
  assert.deepEqual(Buffer.from(respelled, "base64"), Buffer.from(base64, "base64"));
  return respelled;
}

/** Sets one field of a report. */
function field(name: keyof typeof reportFields, change: (bytes: Buffer) => void): PlatformFaults {
  const [offset, length] = reportFields[name];
  return { report: (report) => change(report.subarray(offset, offset + length)) };
}

type Level = { tcbStatus: string; advisoryIDs?: string[]; tcb: { isvsvn?: number; pcesvn?: number } };
function level(change: (level: Level) => void): PlatformFaults {
  return { tcbInfo: (statement) => (statement["tcbLevels"] as Level[]).forEach(change) };
}

function withCollateral(change: (collateral: Collateral) => object): Evidence {
  return { ...good, collateral: encodeCollateral(change(decodeCollateral(good.collateral ?? ""))) };
}

describe("good evidence", () => {
  test("is accepted, and says that it is a simulator's", async () => {
    assert.deepEqual(await verifyEvidence(good, { nonce: NONCE, policy, now: AT, tlsKeyHash: KEYS.tlsKeyHash as Uint8Array }), {
      kind: "simulator",
      hpkePublicKey: new Uint8Array(KEYS.hpkePublicKey),
      tlsKeyHash: new Uint8Array(KEYS.tlsKeyHash as Uint8Array),
      measurement: "simulator",
      tcbStatus: "UpToDate",
      advisories: [],
      warnings: [SIMULATOR_WARNING],
    });
  });

  test("is accepted without a TLS key, after JSON, and padded as kernels pad quotes", async () => {
    const evidence = await evidenceOf({}, { ...KEYS, tlsKeyHash: null });
    const padded = Buffer.concat([Buffer.from(evidence.quote, "base64"), Buffer.alloc(512)]).toString("base64");
    const sent: unknown = JSON.parse(JSON.stringify({ ...evidence, quote: padded }));
    assert.equal((await verifyEvidence(sent, { nonce: NONCE, policy, now: AT })).tlsKeyHash, null);
  });

  test("warns of what the policy leaves open", async () => {
    const { rtmr0: _, ...measurement } = policy.measurements[0] as Policy["measurements"][number];
    const { warnings } = await verifyEvidence(good, { nonce: NONCE, now: AT, policy: { ...policy, measurements: [measurement] } });
    assert.match(warnings.join("\n"), /what rtmr0 must be/);
  });

  test("is accepted below UpToDate where the policy names the state and every advisory", async () => {
    const evidence = await evidenceOf(
      level((each) => Object.assign(each, { tcbStatus: "SWHardeningNeeded", advisoryIDs: ["INTEL-SA-00001", "INTEL-SA-00002"] })),
    );
    const tcbStatuses: Policy["tcbStatuses"] = ["SWHardeningNeeded"];
    const advisories = ["INTEL-SA-00001", "INTEL-SA-00002"];
    const verified = await verifyEvidence(evidence, { nonce: NONCE, now: AT, policy: { ...policy, tcbStatuses, advisories } });
    assert.equal(verified.tcbStatus, "SWHardeningNeeded");
    assert.deepEqual(verified.advisories, advisories);
    assert.match(verified.warnings.join("\n"), /SWHardeningNeeded[^]*INTEL-SA-00002/);
    await refuses("ATTESTATION_TCB", evidence);
    await refuses("ATTESTATION_TCB", evidence, { policy: { ...policy, tcbStatuses, advisories: advisories.slice(1) } });
    await refuses("ATTESTATION_TCB", evidence, { policy: { ...policy, advisories } });
  });
});

describe("another challenge or other keys", () => {
  test("ATTESTATION_NONCE", async () => {
    const other = randomBytes(32);
    await refuses("ATTESTATION_NONCE", good, { nonce: other });
    await refuses("ATTESTATION_NONCE", { ...good, hpkePublicKey: other.toString("base64") });
    await refuses("ATTESTATION_NONCE", { ...good, tlsKeyHash: other.toString("base64") });
    await refuses("ATTESTATION_NONCE", { ...good, tlsKeyHash: null });
    await refuses("ATTESTATION_NONCE", good, { tlsKeyHash: other });
    await refuses("ATTESTATION_NONCE", good, { tlsKeyHash: new Uint8Array(0) });
    const withoutTls = await evidenceOf({}, { ...KEYS, tlsKeyHash: null });
    await refuses("ATTESTATION_NONCE", withoutTls, { tlsKeyHash: other });
    await refuses("ATTESTATION_NONCE", await evidenceOf(field("reportData", (bytes) => bytes.fill(0))));
  });

  test("a nonce of another length is a mistake of whoever asks", async () => {
    await refuses("REQUEST_INVALID", good, { nonce: new Uint8Array(31) });
  });
});

describe("another program", () => {
  test("ATTESTATION_MEASUREMENT", async () => {
    await refuses("ATTESTATION_MEASUREMENT", good, {
      policy: await policyOf({ measurements: [{ name: "other", composeHash: "00".repeat(32) }] }),
    });
    for (const name of ["mrtd", "rtmr0", "rtmr1", "rtmr2"] as const)
      await refuses("ATTESTATION_MEASUREMENT", await evidenceOf(field(name, (bytes) => (bytes[47] = (bytes[47] ?? 0) ^ 1))));
  });

  test("a program cannot measure a second compose hash over the first", async () => {
    const events = [{ event: "compose-hash", payload: "11".repeat(32) }];
    const measurements = [{ name: "other", composeHash: "11".repeat(32) }];
    await refuses("ATTESTATION_MEASUREMENT", await evidenceOf({ events }));
    await refuses("ATTESTATION_MEASUREMENT", await evidenceOf({ events }), { policy: { ...policy, measurements } });
  });

  test("events of its own are its own matter", async () => {
    const evidence = await evidenceOf({ events: [{ event: "application", payload: "00" }] });
    assert.equal((await verifyEvidence(evidence, { nonce: NONCE, policy, now: AT })).measurement, "simulator");
  });

  test("an event log that was changed does not replay", async () => {
    const changed = good.eventLog.replaceAll(SIMULATED_COMPOSE_HASH, "11".repeat(32));
    assert.notEqual(changed, good.eventLog);
    await refuses("ATTESTATION_INVALID", { ...good, eventLog: changed });
    await refuses("ATTESTATION_INVALID", { ...good, eventLog: changed.replaceAll(/"digest":"[0-9a-f]*"/g, '"digest":""') });
    await refuses("ATTESTATION_INVALID", { ...good, eventLog: "[]" });
  });

  test("digests may be left out, as newer platforms do", async () => {
    const eventLog = good.eventLog.replaceAll(/"digest":"[0-9a-f]*"/g, '"digest":""');
    await verifyEvidence({ ...good, eventLog }, { nonce: NONCE, policy, now: AT });
  });
});

test("debug mode: ATTESTATION_DEBUG", async () => {
  await refuses("ATTESTATION_DEBUG", await evidenceOf(field("tdAttributes", (bytes) => (bytes[0] = 1))));
});

describe("revoked certificates: ATTESTATION_REVOKED", () => {
  for (const role of ["platform", "authority", "signing", "root"] as const satisfies readonly Role[])
    test(role, async () => refuses("ATTESTATION_REVOKED", await evidenceOf({ revoked: [role] })));
});

describe("not valid at this time: ATTESTATION_EXPIRED", () => {
  for (const role of ["platform", "authority", "signing"] as const)
    test(`certificate of ${role}`, async () => {
      const of = (dates: object): PlatformFaults => ({ certificateDates: (each) => (each === role ? dates : {}) });
      await refuses("ATTESTATION_EXPIRED", await evidenceOf(of({ notAfter: later(AT, -0.5) })));
      await refuses("ATTESTATION_EXPIRED", await evidenceOf(of({ notBefore: later(AT, 0.5) })));
    });

  for (const issuer of ["root", "authority"] as const)
    test(`revocation list of ${issuer}`, async () => {
      const of = (dates: object): PlatformFaults => ({ listDates: (each) => (each === issuer ? dates : {}) });
      await refuses("ATTESTATION_EXPIRED", await evidenceOf(of({ nextUpdate: later(AT, -0.5) })));
      await refuses("ATTESTATION_EXPIRED", await evidenceOf(of({ thisUpdate: later(AT, 0.5) })));
    });

  for (const name of ["tcbInfo", "qeIdentity"] as const)
    test(name, async () => {
      const of = (key: string, date: Date): PlatformFaults => ({
        [name]: (statement: Record<string, unknown>) => (statement[key] = date.toISOString()),
      });
      await refuses("ATTESTATION_EXPIRED", await evidenceOf(of("nextUpdate", later(AT, -0.5))));
      await refuses("ATTESTATION_EXPIRED", await evidenceOf(of("issueDate", later(AT, 0.5))));
    });

  test("everything, later on and too early", async () => {
    await refuses("ATTESTATION_EXPIRED", good, { now: later(AT, 31) });
    await refuses("ATTESTATION_EXPIRED", good, { now: later(AT, 3650) });
    await refuses("ATTESTATION_EXPIRED", good, { now: later(AT, -2) });
  });
});

describe("firmware below the policy: ATTESTATION_TCB", () => {
  for (const tcbStatus of ["SWHardeningNeeded", "ConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded", "Revoked", "Unheard"])
    test(tcbStatus, async () => refuses("ATTESTATION_TCB", await evidenceOf(level((each) => Object.assign(each, { tcbStatus })))));

  test("a level that the vendor does not list", async () => {
    await refuses("ATTESTATION_TCB", await evidenceOf(level(({ tcb }) => (tcb.pcesvn = 12))));
  });

  test("the quoting enclave", async () => {
    const of = (change: (level: Level) => void): PlatformFaults => ({
      qeIdentity: (statement) => (statement["tcbLevels"] as Level[]).forEach(change),
    });
    await refuses("ATTESTATION_TCB", await evidenceOf(of(({ tcb }) => (tcb.isvsvn = 9))));
    await refuses("ATTESTATION_TCB", await evidenceOf(of((each) => (each.tcbStatus = "OutOfDate"))));
  });

  test("the TDX module", async () => {
    await refuses("ATTESTATION_TCB", await evidenceOf(field("teeTcbSvn", (bytes) => (bytes[1] = 7)))); // a version that is not listed
    const of = (status: string): PlatformFaults => ({
      tcbInfo: (statement) =>
        ((statement["tdxModuleIdentities"] as { tcbLevels: Level[] }[])[0] as { tcbLevels: Level[] }).tcbLevels.forEach(
          (each) => (each.tcbStatus = status),
        ),
    });
    await refuses("ATTESTATION_TCB", await evidenceOf(of("OutOfDate")));
    await refuses("ATTESTATION_TCB", await evidenceOf(of("Revoked")));
  });
});

describe("signatures, names and structure: ATTESTATION_INVALID", () => {
  const signed: Readonly<Record<string, PlatformFaults>> = {
    "a revocation list by another key": { forgedList: true },
    "another vendor's quoting enclave": { header: (header) => header.fill(0, 12, 28) },
    "a TDX module by another signer": field("mrSignerSeam", (bytes) => bytes.fill(1)),
    "a TDX module with attributes": field("seamAttributes", (bytes) => (bytes[0] = 1)),
    "SEPT_VE_DISABLE off": field("tdAttributes", (bytes) => bytes.fill(0)),
    "another quoting enclave": { qeIdentity: (statement) => (statement["mrsigner"] = "11".repeat(32)) },
    "statements about another platform": { tcbInfo: (statement) => (statement["fmspc"] = "112233445566") },
    "statements about SGX": { tcbInfo: (statement) => (statement["id"] = "SGX") },
    "a level without numbers": level(({ tcb }) => delete tcb.pcesvn),
    "dates that are none": { tcbInfo: (statement) => (statement["nextUpdate"] = "never") },
    SGX: { header: (header) => header.writeUInt32LE(0, 4) },
    "version 3": { header: (header) => header.writeUInt16LE(3, 0) },
    "a P-384 key": { header: (header) => header.writeUInt16LE(3, 2) },
  };
  for (const [name, faults] of Object.entries(signed)) test(name, async () => refuses("ATTESTATION_INVALID", await evidenceOf(faults)));

  test("another simulator's root", async () => {
    await refuses("ATTESTATION_INVALID", good, { policy: await simulatorPolicy(temporaryDirectory()) });
  });

  test("statements signed in another role", async () => {
    await refuses(
      "ATTESTATION_INVALID",
      withCollateral((collateral) => ({ ...collateral, tcb_info_issuer_chain: collateral.pck_crl_issuer_chain })),
    );
    await refuses(
      "ATTESTATION_INVALID",
      withCollateral((collateral) => ({ ...collateral, qe_identity_issuer_chain: collateral.pck_crl_issuer_chain })),
    );
  });

  test("one list for the other, and lists that are none", async () => {
    await refuses(
      "ATTESTATION_INVALID",
      withCollateral((collateral) => ({ ...collateral, pck_crl: collateral.root_ca_crl })),
    );
    await refuses(
      "ATTESTATION_INVALID",
      withCollateral((collateral) => ({ ...collateral, root_ca_crl: collateral.pck_crl })),
    );
    await refuses(
      "ATTESTATION_INVALID",
      withCollateral((collateral) => ({ ...collateral, root_ca_crl: "3000" })),
    );
    await refuses(
      "ATTESTATION_INVALID",
      withCollateral((collateral) => Object.fromEntries(Object.entries(collateral).filter(([name]) => name !== "root_ca_crl"))),
    );
  });

  test("the list of another authority under the same root", async () => {
    const rootKey = makeKey();
    const state = { rootKey, rootCertificate: await makeRoot(rootKey), secret: new Uint8Array(32) };
    const start = (): Promise<SimulatedPlatform> =>
      makePlatform({ ...state, authorityKey: makeKey() }, { composeHash: SIMULATED_COMPOSE_HASH, at: AT });
    const [platform, other] = [await start(), await start()];
    const of = (collateral: Collateral): Promise<Evidence> =>
      makeEvidence(
        {
          kind: "simulator",
          deriveKey: async () => state.secret,
          quote: async (data) => ({ quote: platform.quote(data), eventLog: platform.eventLog, collateral }),
        },
        { nonce: NONCE, keys: KEYS },
      );
    const { pck_crl, pck_crl_issuer_chain } = other.collateral;
    const own: Policy = { ...policy, simulatorRoot: Buffer.from(state.rootCertificate).toString("base64") };
    await verifyEvidence(await of(platform.collateral), { nonce: NONCE, policy: own, now: AT });
    await refuses("ATTESTATION_INVALID", await of({ ...platform.collateral, pck_crl, pck_crl_issuer_chain }), { policy: own });
  });

  test("statements that were changed after signing", async () => {
    await refuses(
      "ATTESTATION_INVALID",
      withCollateral((collateral) => ({ ...collateral, tcb_info: collateral.tcb_info.replace('"isvsvn":2', '"isvsvn":1') })),
    );
    await refuses(
      "ATTESTATION_INVALID",
      withCollateral((collateral) => ({ ...collateral, qe_identity: `${collateral.qe_identity} ` })),
    );
  });

  test("a chain of certificates beside the one in the quote", async () => {
    // The library would prefer it.
    await refuses(
      "ATTESTATION_INVALID",
      withCollateral((collateral) => ({ ...collateral, pck_certificate_chain: collateral.tcb_info_issuer_chain })),
    );
  });

  test("bytes after the quote", async () => {
    const quote = Buffer.concat([Buffer.from(good.quote, "base64"), Uint8Array.of(0, 1)]).toString("base64");
    await refuses("ATTESTATION_INVALID", { ...good, quote });
  });
});

describe("without collateral", () => {
  test("ATTESTATION_UNAVAILABLE", async () => refuses("ATTESTATION_UNAVAILABLE", { ...good, collateral: null }));
});

describe("production", () => {
  const production = (): Policy => ({ ...policy, mode: "production" });

  test("ATTESTATION_SIMULATOR, whatever a simulator calls itself", async () => {
    await refuses("ATTESTATION_SIMULATOR", good, { policy: production() });
    await refuses("ATTESTATION_SIMULATOR", { ...good, kind: "tdx" }, { policy: production() });
    await refuses("ATTESTATION_SIMULATOR", { ...good, quote: "AAAA" }, { policy: production() });
  });

  test("a root that calls itself Intel's is none", async () => {
    const rootKey = makeKey();
    const rootCertificate = await makeRoot(rootKey, "Intel SGX Root CA");
    const state = { rootKey, rootCertificate, authorityKey: makeKey(), secret: new Uint8Array(32) };
    const platform = await makePlatform(state, { composeHash: SIMULATED_COMPOSE_HASH, at: AT });
    const forged = await makeEvidence(
      { kind: "tdx", deriveKey: async () => new Uint8Array(32), quote: async (data) => ({ ...platform, quote: platform.quote(data) }) },
      { nonce: NONCE, keys: KEYS },
    );
    await refuses("ATTESTATION_INVALID", forged, { policy: production() });
    // It is good evidence otherwise: under its own root the names alone are wrong.
    const simulatorRoot = Buffer.from(rootCertificate).toString("base64");
    await refuses("ATTESTATION_INVALID", forged, { policy: { ...policy, simulatorRoot } });
  });

  test("a simulator policy without a root is a mistake", async () => {
    const { simulatorRoot: _, ...rest } = policy;
    await refuses("USAGE", good, { policy: rest });
  });
});

describe("anything else: ATTESTATION_INVALID", () => {
  const huge = "A".repeat(5_000_000);
  const others: readonly [string, (evidence: Evidence) => unknown][] = [
    ["nothing", () => undefined],
    ["null", () => null],
    ["text", () => "evidence"],
    ["a list", (evidence) => [evidence]],
    ["an object without fields", () => ({})],
    ["another version", (evidence) => ({ ...evidence, version: 2 })],
    ["another kind", (evidence) => ({ ...evidence, kind: "sgx" })],
    ["no quote", (evidence) => ({ ...evidence, quote: "" })],
    ["a number for a quote", (evidence) => ({ ...evidence, quote: 7 })],
    ["a huge quote", (evidence) => ({ ...evidence, quote: huge })],
    ["a quote of zeros", (evidence) => ({ ...evidence, quote: Buffer.alloc(8000).toString("base64") })],
    ["a quote of noise", (evidence) => ({ ...evidence, quote: randomBytes(8000).toString("base64") })],
    ["a quote that ends early", (evidence) => ({ ...evidence, quote: evidence.quote.slice(0, 3000) })],
    ["a huge log", (evidence) => ({ ...evidence, eventLog: huge })],
    ["a log of nested lists", (evidence) => ({ ...evidence, eventLog: "[".repeat(100_000) })],
    ["a log of numbers", (evidence) => ({ ...evidence, eventLog: "[1,2,3]" })],
    ["huge collateral", (evidence) => ({ ...evidence, collateral: huge })],
    ["collateral of nested lists", (evidence) => ({ ...evidence, collateral: Buffer.from("[".repeat(100_000)).toString("base64") })],
    ["collateral that is no object", (evidence) => ({ ...evidence, collateral: Buffer.from("7").toString("base64") })],
    ["a short key", (evidence) => ({ ...evidence, hpkePublicKey: "AAAA" })],
    ["a key that is an object", (evidence) => ({ ...evidence, hpkePublicKey: { length: 32 } })],
    ["a second spelling of a key", (evidence) => ({ ...evidence, hpkePublicKey: respelled(evidence.hpkePublicKey) })],
  ];
  for (const [name, make] of others)
    test(name, async () => {
      const evidence = make(good);
      assert.notDeepEqual(evidence, good);
      await refuses("ATTESTATION_INVALID", evidence);
    });

  test("a chain of thousands of certificates", async () => {
    const { pck_crl_issuer_chain: chain } = decodeCollateral(good.collateral ?? "");
    const long = chain.repeat(Math.floor(20_000 / chain.length));
    await refuses(
      "ATTESTATION_INVALID",
      withCollateral((collateral) => ({ ...collateral, tcb_info_issuer_chain: long })),
    );
  });
});

test("report data depends on the nonce and on each key", () => {
  const other = { ...KEYS, tlsKeyHash: null };
  const all = [
    reportData(NONCE, KEYS),
    reportData(NONCE, other),
    reportData(new Uint8Array(32), KEYS),
    reportData(NONCE, { ...KEYS, hpkePublicKey: NONCE }),
  ];
  assert.equal(new Set(all.map((bytes) => Buffer.from(bytes).toString("hex"))).size, all.length);
});
