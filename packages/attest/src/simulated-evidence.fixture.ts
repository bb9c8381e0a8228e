/**
 * Evidence by a simulator, for tests: good, or with one thing wrong.
 * @module
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { BoundKeys, Evidence } from "./evidence.ts";
import { makeEvidence } from "./make-evidence.ts";
import type { Policy } from "./policy.ts";
import type { PlatformFaults } from "./simulator/platform.ts";
import { simulatorPolicy, simulatorSource } from "./simulator/simulator-source.ts";

/** The time at which simulated platforms of tests live. */
export const AT = new Date("2026-06-01T12:00:00Z");
export const NONCE = createHash("sha256").update("nonce").digest();
export const KEYS: BoundKeys = {
  hpkePublicKey: createHash("sha256").update("hpke").digest(),
  tlsKeyHash: createHash("sha256").update("tls").digest(),
};

/** A directory that is removed after the tests of a file. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "unseen-"));
  after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const directory = temporaryDirectory();

/** The policy that accepts the simulator. */
export function policyOf(changes: Partial<Policy> = {}): Promise<Policy> {
  return simulatorPolicy(directory).then((policy) => ({ ...policy, ...changes }));
}

/** Evidence of a platform with faults, everything signed after they were made. */
export function evidenceOf(faults: PlatformFaults = {}, keys: BoundKeys = KEYS): Promise<Evidence> {
  return makeEvidence(simulatorSource({ directory, clock: () => AT, faults }), { nonce: NONCE, keys });
}
