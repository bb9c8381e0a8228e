import assert from "node:assert/strict";
import { test } from "node:test";
import { RateLimit } from "./rate-limit.ts";

test("an address may try so often in a window, another one is not concerned, and a new window begins anew", () => {
  const limit = new RateLimit(3, 60_000);
  const tries = (address: string, now: number): boolean[] => Array.from({ length: 4 }, () => limit.allow(address, now));
  assert.deepEqual(tries("a", 1000), [true, true, true, false]);
  assert.deepEqual(tries("b", 60_999), [true, true, true, false]);
  assert.equal(limit.allow("a", 60_999), false);
  assert.deepEqual(tries("a", 61_000), [true, true, true, false]);
  // A clock that is set back locks nobody out.
  assert.equal(limit.allow("a", 0), true);
});

test("so many addresses at once are counted, and new ones then wait", () => {
  const limit = new RateLimit(2, 60_000);
  for (let index = 0; index < 100_000; index += 1) assert.ok(limit.allow(`address ${index}`, 0));
  assert.equal(limit.allow("one more", 0), false);
  assert.equal(limit.allow("address 5", 0), true);
  assert.equal(limit.allow("one more", 60_000), true);
});
