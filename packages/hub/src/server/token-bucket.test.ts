import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "./refusal.ts";
import { networkOf, TokenBuckets } from "./token-bucket.ts";

test("a bucket gives its burst, then its rate, to each name by itself", () => {
  const buckets = new TokenBuckets(3, 2);
  const taken = (name: string, now: number): boolean => {
    try {
      buckets.take(name, now);
      return true;
    } catch (error) {
      assert.ok(error instanceof Refusal && error.status === 429 && error.headers["retry-after"] === "1");
      return false;
    }
  };
  assert.deepEqual([0, 0, 0, 0].map((now) => taken("a", now)), [true, true, true, false]); // prettier-ignore
  assert.equal(taken("b", 0), true);
  assert.deepEqual([500, 500, 1000, 1000].map((now) => taken("a", now)), [true, false, true, false]); // prettier-ignore
  assert.deepEqual([60_000, 60_000, 60_000, 60_000].map((now) => taken("a", now)), [true, true, true, false]); // prettier-ignore
});

test("addresses of one network count together", () => {
  assert.equal(networkOf("192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf("::ffff:192.0.2.7"), "::ffff:192.0.2.7");
  for (const address of ["2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff::%eth0"])
    assert.equal(networkOf(address), "2001:db8:1:2");
  for (const address of ["2001:db8::1", "2001:db8:0:0:9::"]) assert.equal(networkOf(address), "2001:db8:0:0");
  assert.equal(networkOf("::1"), "0:0:0:0");
});
