import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../seed.ts";
import { completed, shuffledHead } from "./assignment.ts";

test("what is open is filled with what is left, in order", () => {
  assert.deepEqual([...completed(Int32Array.from([-1, 4, -1, 0, -1]), Uint32Array.from([4, 3, 0, 2, 1]))], [3, 4, 2, 0, 1]);
});

test("a shuffled head moves nothing behind it, and reaches every order", () => {
  const order = Uint32Array.from([9, 8, 7, 6, 5]);
  const random = seeded(1, "head");
  const seen = new Set<string>();
  for (let draw = 0; draw < 200; draw += 1) {
    const shuffled = shuffledHead(order, 3, random);
    assert.deepEqual([...shuffled.subarray(3)], [6, 5]);
    seen.add(shuffled.subarray(0, 3).join());
  }
  assert.equal(seen.size, 6);
});
