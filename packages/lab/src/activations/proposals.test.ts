import assert from "node:assert/strict";
import { test } from "node:test";
import { Proposals } from "./proposals.ts";

const proposals = new Proposals([Uint32Array.of(0, 3, 1, 3, 1, 3, 2), Uint32Array.of(0, 4, 3, 2)], 6);

test("what followed before comes first, then what is frequent, each token once", () => {
  assert.deepEqual([...proposals.after(3)], [1, 2, 3, 0, 4, 5]);
  assert.deepEqual([...proposals.after(5)], [3, 0, 1, 2, 4, 5]);
});

test("at the beginning of a text, what opened texts comes first", () => {
  assert.deepEqual([...proposals.after(null)], [0, 3, 1, 2, 4, 5]);
  assert.deepEqual([...proposals.openings], [0]);
});

test("without texts every token has its turn", () => {
  assert.deepEqual([...new Proposals([], 3).after(null)], [0, 1, 2]);
});
