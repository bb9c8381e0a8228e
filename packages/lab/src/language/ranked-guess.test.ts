import assert from "node:assert/strict";
import { test } from "node:test";
import { RANKS } from "../guess.ts";
import { rankedGuess } from "./ranked-guess.ts";
import { Traffic } from "./traffic.ts";

test("the reading leads, what else was likely follows, each once; unseen ids stay open", () => {
  const traffic = new Traffic([Uint32Array.from([2, 2, 0])], 4);
  const ranked = new Int32Array(4 * RANKS).fill(-1);
  ranked.set([3, 1, 0], 0);
  const guess = rankedGuess(traffic, [1, 2, 0, 3], ranked);
  assert.deepEqual([...guess.ranked.subarray(2 * RANKS, 2 * RANKS + 4)], [1, 3, 0, -1]);
  assert.equal(guess.top(0), 2);
  assert.deepEqual([guess.top(1), guess.top(3)], [-1, -1]);
});
