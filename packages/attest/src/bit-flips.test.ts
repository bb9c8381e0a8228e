import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import type { Evidence } from "./evidence.ts";
import type { Policy } from "./policy.ts";
import { AT, NONCE, evidenceOf, policyOf } from "./simulated-evidence.fixture.ts";
import { type Verified, verifyEvidence } from "./verify-evidence.ts";

let good: Evidence;
let policy: Policy;
let expected: Verified;
before(async () => {
  good = await evidenceOf();
  policy = await policyOf();
  expected = await verifyEvidence(good, { nonce: NONCE, policy, now: AT });
});

/** Positions of bits, the same in every run (mulberry32). */
function* positions(count: number, below: number): Generator<number> {
  let state = 20_260_601;
  for (let drawn = 0; drawn < count; drawn += 1) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    yield (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below;
  }
}

function flip(bytes: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return flipped;
}

/** @returns whether it was refused; what is accepted must show the very same. */
async function isRefused(evidence: Evidence): Promise<boolean> {
  try {
    assert.deepEqual(await verifyEvidence(evidence, { nonce: NONCE, policy, now: AT }), expected);
    return false;
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    assert.match(String((error as { code?: string }).code), /^ATTESTATION_/, String((error as Error).stack));
    return true;
  }
}

/** Fields that can be flipped: how to read and write their bytes. */
const parts: Readonly<Record<string, { read(): Buffer; write(bytes: Buffer): Partial<Evidence>; flips: number }>> = {
  quote: { flips: 200, read: () => Buffer.from(good.quote, "base64"), write: (bytes) => ({ quote: bytes.toString("base64") }) },
  "the spelling of the quote": { flips: 40, read: () => Buffer.from(good.quote), write: (bytes) => ({ quote: bytes.toString("latin1") }) },
  "event log": { flips: 60, read: () => Buffer.from(good.eventLog), write: (bytes) => ({ eventLog: bytes.toString("latin1") }) },
  collateral: {
    flips: 200,
    read: () => Buffer.from(good.collateral ?? "", "base64"),
    write: (bytes) => ({ collateral: bytes.toString("base64") }),
  },
  "HPKE key": {
    flips: 16,
    read: () => Buffer.from(good.hpkePublicKey, "base64"),
    write: (bytes) => ({ hpkePublicKey: bytes.toString("base64") }),
  },
  "TLS key": {
    flips: 16,
    read: () => Buffer.from(good.tlsKeyHash ?? "", "base64"),
    write: (bytes) => ({ tlsKeyHash: bytes.toString("base64") }),
  },
};

describe("one flipped bit is refused", () => {
  for (const [name, { read, write, flips }] of Object.entries(parts))
    test(name, async () => {
      const bytes = read();
      assert.deepEqual({ ...good, ...write(bytes) }, good);
      const accepted: number[] = [];
      for (const position of positions(flips, bytes.length * 8)) {
        const bit = Math.floor(position);
        if (!(await isRefused({ ...good, ...write(flip(bytes, bit)) }))) accepted.push(bit);
      }
      // Nothing in it is immaterial: there is one spelling of everything that is looked at.
      assert.deepEqual(accepted, []);
    });

  test("every fourth byte of header and report", async () => {
    const bytes = Buffer.from(good.quote, "base64");
    for (let byte = 0; byte < 48 + 584; byte += 4)
      assert.ok(await isRefused({ ...good, quote: flip(bytes, byte * 8 + ((byte / 4) % 8)).toString("base64") }), `byte ${byte}`);
  });
});

test("a quote that ends early is refused, wherever it ends", async () => {
  const bytes = Buffer.from(good.quote, "base64");
  for (let length = 0; length < bytes.length; length += 13)
    assert.ok(await isRefused({ ...good, quote: bytes.subarray(0, length).toString("base64") }), `${length} bytes`);
});

test("types and lengths in a quote have one value", async () => {
  const bytes = Buffer.from(good.quote, "base64");
  const authentication = 48 + 584 + 4; // header, report, length
  const certification = authentication + 64 + 64; // signature, key
  const enclave = certification + 6 + 384 + 64; // type and length, report of the quoting enclave, signature
  for (const [offset, length] of [
    [authentication - 4, 4],
    [certification, 6],
    [enclave, 2],
    [enclave + 2 + 32, 6],
  ] as const)
    for (let bit = offset * 8; bit < (offset + length) * 8; bit += 1)
      assert.ok(await isRefused({ ...good, quote: flip(bytes, bit).toString("base64") }), `bit ${bit}`);
});

test("collateral has one spelling in base64", async () => {
  // White space after JSON is no matter; here it makes the last digit one with spare bits.
  let text = Buffer.from(good.collateral ?? "", "base64").toString("utf8");
  while (text.length % 3 !== 2) text += " ";
  const collateral = Buffer.from(text).toString("base64");
  assert.equal(await isRefused({ ...good, collateral }), false);
  const respelled = collateral.replace(/.(?==$)/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
  assert.deepEqual(Buffer.from(respelled, "base64"), Buffer.from(collateral, "base64"));
  assert.equal(await isRefused({ ...good, collateral: respelled }), true);
});

describe("what is not looked at changes nothing", () => {
  test("events of other registers, which policies pin themselves", async () => {
    const event = { imr: 1, event_type: 4, digest: "ab".repeat(48), event: "", event_payload: "" };
    const eventLog = JSON.stringify([event, ...(JSON.parse(good.eventLog) as object[])]);
    assert.equal(await isRefused({ ...good, eventLog }), false);
  });

  test("white space in the event log", async () => {
    assert.equal(await isRefused({ ...good, eventLog: JSON.stringify(JSON.parse(good.eventLog), null, 2) }), false);
  });
});
