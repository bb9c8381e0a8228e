import assert from "node:assert/strict";
import { test } from "node:test";
import { binned, evennessOf } from "./evenness.ts";

const even = Array.from({ length: 256 }, () => 40);

test("bytes are called even below the limit alone, and few bytes are called nothing", () => {
  assert.equal(evennessOf(even, 250).kind, "even");
  assert.match(evennessOf(even, 250).text, /chi-square 250 over 10,240 bytes/);
  assert.equal(evennessOf(even, 331).kind, "uneven");
  assert.equal(
    evennessOf(
      even.map(() => 4),
      0,
    ).kind,
    "unknown",
  );
});

test("bins hold all that the values held", () => {
  const bins = binned(
    even.map((_, value) => value),
    64,
  );
  assert.equal(bins.length, 64);
  assert.equal(bins[0], 0 + 1 + 2 + 3);
  assert.equal(
    bins.reduce((sum, count) => sum + count, 0),
    (255 * 256) / 2,
  );
});
