import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { composeHashOf, eventDigest, replay, RUNTIME_EVENT } from "./event-log.ts";

const hash = "5a".repeat(32);
const compose = { event_type: RUNTIME_EVENT, event: "compose-hash", event_payload: hash };

test("an event's digest is over type, name and payload", () => {
  const bytes = Buffer.concat([Buffer.from([1, 0, 0, 8]), Buffer.from(":compose-hash:"), Buffer.from(hash, "hex")]);
  assert.equal(eventDigest(compose).toString("hex"), createHash("sha384").update(bytes).digest("hex"));
});

test("a register starts at zero and takes digests in order", () => {
  assert.deepEqual(replay([]), Buffer.alloc(48));
  const [first, second] = [Buffer.alloc(48, 1), Buffer.alloc(48, 2)];
  assert.notDeepEqual(replay([first, second]), replay([second, first]));
  assert.deepEqual(replay([first]), createHash("sha384").update(Buffer.alloc(48)).update(first).digest());
});

function codeOf(events: readonly object[], register: Uint8Array): string {
  try {
    return composeHashOf(JSON.stringify(events), register);
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test("a compose hash counts where the log replays and names it once, as the platform's own event", () => {
  const event = { imr: 3, digest: "", ...compose };
  const register = replay([eventDigest(compose)]);
  assert.equal(codeOf([event], register), hash);
  assert.equal(codeOf([{ ...event, imr: 2 }], register), "ATTESTATION_INVALID");
  assert.equal(codeOf([{ ...event, digest: "00".repeat(48) }], register), "ATTESTATION_INVALID");
  assert.equal(codeOf([event, event], replay([eventDigest(compose), eventDigest(compose)])), "ATTESTATION_MEASUREMENT");
  assert.equal(codeOf([], Buffer.alloc(48)), "ATTESTATION_MEASUREMENT");
  const foreign = { ...compose, event_type: 4 };
  assert.equal(codeOf([{ imr: 3, digest: "", ...foreign }], replay([eventDigest(foreign)])), "ATTESTATION_MEASUREMENT");
  const short = { ...compose, event_payload: "5a" };
  assert.equal(codeOf([{ imr: 3, digest: "", ...short }], replay([eventDigest(short)])), "ATTESTATION_MEASUREMENT");
});
