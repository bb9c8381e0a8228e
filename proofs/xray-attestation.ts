/**
 * Evidence with one thing wrong at a time: each is refused with its own code, and nothing is released to it.
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Evidence } from "@unseen/attest/evidence.ts";
import { makeSealingKey, open } from "@unseen/attest/hpke.ts";
import { releaseKey } from "@unseen/attest/key-release.ts";
import { makeEvidence } from "@unseen/attest/make-evidence.ts";
import { policySchema, type Policy } from "@unseen/attest/policy.ts";
import { reportFields, type PlatformFaults } from "@unseen/attest/simulator/platform.ts";
import { simulatorPolicy, simulatorSource } from "@unseen/attest/simulator/simulator-source.ts";
import { readPolicy } from "@unseen/attest/read-policy.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { startParties } from "../tests/parties.ts";
import type { Finding } from "./proof.ts";

const DAY = 24 * 60 * 60 * 1000;
const FLIPS = 2000;
const purpose = { purpose: "unseen/proof", context: "attestation" };

/** One case: what is presented to whom, and the code that must come. */
interface Case {
  readonly what: string;
  readonly code: string;
  readonly faults?: PlatformFaults;
  readonly policy?: (policy: Policy) => Policy;
  readonly nonce?: Uint8Array;
  readonly now?: Date;
  readonly change?: (evidence: Evidence) => Evidence;
}

const cases: readonly Case[] = [
  { what: "wrong nonce", code: "ATTESTATION_NONCE", nonce: randomBytes(32) },
  {
    what: "other keys than the quote binds",
    code: "ATTESTATION_NONCE",
    change: (evidence) => ({ ...evidence, hpkePublicKey: randomBytes(32).toString("base64") }),
  },
  {
    what: "wrong measurement",
    code: "ATTESTATION_MEASUREMENT",
    policy: (policy) => ({ ...policy, measurements: [{ ...policy.measurements[0]!, composeHash: "0".repeat(64) }] }),
  },
  { what: "another firmware", code: "ATTESTATION_MEASUREMENT", faults: { report: (report) => void (report[reportFields.mrtd[0]]! ^= 1) } },
  { what: "debug enclave", code: "ATTESTATION_DEBUG", faults: { report: (report) => void (report[reportFields.tdAttributes[0]]! |= 1) } },
  { what: "revoked platform certificate", code: "ATTESTATION_REVOKED", faults: { revoked: ["platform"] } },
  { what: "revoked signer of the vendor's statements", code: "ATTESTATION_REVOKED", faults: { revoked: ["signing"] } },
  { what: "expired collateral", code: "ATTESTATION_EXPIRED", now: new Date(Date.now() + 60 * DAY) },
  {
    what: "firmware behind",
    code: "ATTESTATION_TCB",
    faults: { report: (report) => void report.fill(2, reportFields.teeTcbSvn[0], reportFields.teeTcbSvn[0] + 1) },
  },
  { what: "forged revocation list", code: "ATTESTATION_INVALID", faults: { forgedList: true } },
  {
    what: "simulator under a production policy",
    code: "ATTESTATION_SIMULATOR",
    policy: (policy) => policySchema.parse({ ...policy, mode: "production", simulatorRoot: undefined }),
  },
];

export async function* attestationFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  const directory = mkdtempSync(join(tmpdir(), "unseen-proof-attest-"));
  try {
    const enclave = await makeSealingKey();
    const good = await simulatorPolicy(directory);
    const secret = randomBytes(32);
    const present = async ({
      faults = {},
      policy = (same) => same,
      nonce,
      now,
      change = (same) => same,
    }: Partial<Case>): Promise<Uint8Array> => {
      const asked = randomBytes(32);
      const evidence = await makeEvidence(simulatorSource({ directory, faults }), {
        nonce: asked,
        keys: { hpkePublicKey: enclave.publicKey, tlsKeyHash: null },
      });
      const { sealed } = await releaseKey(change(evidence), {
        nonce: nonce ?? asked,
        policy: policy(good),
        secret,
        purpose,
        ...(now ? { now } : {}),
      });
      return sealed;
    };
    const released = Buffer.from(await open(await present({}), enclave, purpose)).equals(secret);
    yield {
      claim: "A good quote is accepted, and the key that is released to it opens in the enclave",
      figure: released ? "accepted" : "refused",
      bar: "accepted",
      holds: released,
    };
    for (const each of cases) {
      note(each.what);
      const outcome = await present(each).then(
        () => "released",
        (error: unknown) => (UnseenError.isInstance(error) ? error.code : String(error)),
      );
      yield { claim: `Refused, and nothing released: ${each.what}`, figure: outcome, bar: each.code, holds: outcome === each.code };
    }
    yield await bitFlips(directory, good, enclave.publicKey);
    yield* userFindings();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The user's client against a hub whose enclave is not what the policy wants. */
async function* userFindings(): AsyncGenerator<Finding> {
  const parties = await startParties();
  try {
    const blobs = (): number => readdirSync(join(parties.homes.hub, "blobs"), { recursive: true }).length;
    const before = blobs();
    const good = await readPolicy(parties.policyFile);
    const strict: [string, string, Policy][] = [
      [
        "wrong measurement",
        "ATTESTATION_MEASUREMENT",
        { ...good, measurements: [{ ...good.measurements[0]!, composeHash: "0".repeat(64) }] },
      ],
      ["simulator, policy for production", "ATTESTATION_SIMULATOR", { ...good, mode: "production", simulatorRoot: undefined } as Policy],
    ];
    for (const [what, code, policy] of strict) {
      const outcome = await parties.openSession({ policy }).then(
        (session) => (session.close(), "accepted"),
        (error: unknown) => (UnseenError.isInstance(error) ? error.code : String(error)),
      );
      yield {
        claim: `The user's client, ${what}: no key and no ciphertext reached the hub`,
        figure: `${outcome}, ${blobs() - before} blobs`,
        bar: `${code}, 0 blobs`,
        holds: outcome === code && blobs() === before,
      };
    }
  } finally {
    await parties.stop();
  }
}

/** One bit anywhere in the quote, changed on its way. */
async function bitFlips(directory: string, policy: Policy, hpkePublicKey: Uint8Array): Promise<Finding> {
  const nonce = randomBytes(32);
  const evidence = await makeEvidence(simulatorSource({ directory }), { nonce, keys: { hpkePublicKey, tlsKeyHash: null } });
  const quote = Buffer.from(evidence.quote, "base64");
  const codes = new Map<string, number>();
  for (let flip = 0; flip < FLIPS; flip++) {
    const bit = Math.floor((flip * quote.length * 8) / FLIPS);
    const changed = Buffer.from(quote);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    const outcome = await releaseKey(
      { ...evidence, quote: changed.toString("base64") },
      { nonce, policy, secret: new Uint8Array(32), purpose },
    ).then(
      () => "released",
      (error: unknown) => (UnseenError.isInstance(error) ? error.code : String(error)),
    );
    codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
  }
  const figure = [...codes].map(([code, count]) => `${count} ${code}`).join(", ");
  return {
    claim: `Refused, and nothing released: each of ${FLIPS} single bits of the quote flipped`,
    figure,
    bar: "none released",
    holds: !codes.has("released") && [...codes.keys()].every((code) => code.startsWith("ATTESTATION_")),
  };
}
