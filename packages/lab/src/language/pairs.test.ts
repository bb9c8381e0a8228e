import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../seed.ts";
import { byFrequency, countPairs, countTokens, transposePairs, type PairCounts } from "./pairs.ts";

const VOCABULARY = 17;
const random = seeded(1, "pairs");
const texts = Array.from({ length: 9 }, (_, index) => Uint32Array.from({ length: index * 7 }, () => random.below(VOCABULARY)));

function listed({ start, ids, counts }: PairCounts): Map<string, number> {
  const pairs = new Map<string, number>();
  for (let row = 0; row + 1 < start.length; row += 1)
    for (let i = start[row]!; i < start[row + 1]!; i += 1) pairs.set(`${row} ${ids[i]}`, counts[i]!);
  return pairs;
}

test("pairs are counted within texts and not across them", () => {
  const expected = new Map<string, number>();
  for (const text of texts)
    for (let place = 1; place < text.length; place += 1) {
      const pair = `${text[place - 1]} ${text[place]}`;
      expected.set(pair, (expected.get(pair) ?? 0) + 1);
    }
  const pairs = countPairs(texts, VOCABULARY);
  assert.deepEqual(listed(pairs), new Map([...expected].toSorted(byBoth)));
  assert.equal(pairs.start.at(-1), expected.size);
});

test("the transpose counts the same pairs by the other id", () => {
  const pairs = countPairs(texts, VOCABULARY);
  const turned = new Map([...listed(pairs)].map(([pair, count]) => [pair.split(" ").toReversed().join(" "), count]));
  assert.deepEqual(listed(transposePairs(pairs)), new Map([...turned].toSorted(byBoth)));
  assert.deepEqual(transposePairs(transposePairs(pairs)), pairs);
});

test("no text has no pairs", () => {
  assert.deepEqual(countPairs([], 3), { start: new Uint32Array(4), ids: new Uint32Array(0), counts: new Uint32Array(0) });
});

test("tokens are counted; an id beyond the vocabulary is refused", () => {
  assert.deepEqual([...countTokens([[0, 2, 2], [2]], 4)], [1, 0, 3, 0]);
  assert.throws(() => countTokens([[4]], 4), RangeError);
});

test("of equally frequent ids the smaller comes first", () => {
  assert.deepEqual([...byFrequency(Float64Array.from([1, 5, 0, 5, 2]))], [1, 3, 4, 0, 2]);
});

function byBoth([a]: readonly [string, number], [b]: readonly [string, number]): number {
  const [[a0, a1], [b0, b1]] = [a.split(" ").map(Number), b.split(" ").map(Number)] as [[number, number], [number, number]];
  return a0 - b0 || a1 - b1;
}
