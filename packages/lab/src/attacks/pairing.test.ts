import assert from "node:assert/strict";
import { test } from "node:test";
import { RANKS } from "../guess.ts";
import { matrix } from "../numeric/matrix.ts";
import { nearest } from "../numeric/nearest.ts";
import { seeded } from "../seed.ts";
import { guessOf, isClear, isSettled, mutualMatches, nearestPlain, sureShare } from "./pairing.ts";

const column = (...values: number[]) => matrix(values.length, 1, Float64Array.from(values));

test("a plain id goes to the cipher id that is nearest to it", () => {
  // Cipher 0 and 2 both want plain 1; 2 is nearer.
  const matches = mutualMatches(nearest(column(0.8, 5, 1.1), column(5.1, 1), 2));
  assert.deepEqual(new Map(matches.map(({ cipher, plain }) => [cipher, plain])), new Map([[2, 1], [1, 0]])); // prettier-ignore
  assert.ok(matches[0]!.doubt <= matches[1]!.doubt);
  assert.ok(Math.abs(matches.find(({ cipher }) => cipher === 2)!.doubt - (0.1 / 4) ** 2) < 1e-12);
});

test("equal rows are a toss, and one row alone is certain", () => {
  assert.deepEqual(mutualMatches(nearest(column(1), column(1, 1), 2)), [{ plain: 0, cipher: 0, doubt: 1 }]);
  assert.equal(mutualMatches(nearest(column(1), column(3), 1))[0]!.doubt, 0);
});

test("shares of sure pairs", () => {
  const matches = mutualMatches(nearest(column(0, 10, 20.5), column(0.1, 10, 20, 21), 2));
  assert.equal(sureShare(matches, 4), 0.5);
  assert.equal(isClear(matches, 4), false);
  assert.equal(isClear(matches, 2), true);
  assert.equal(isSettled(matches, matches, 4), true);
  assert.equal(isSettled(matches, [], 4), false);
});

test("guesses are the nearest rows in order, whatever the number of rows", async () => {
  const random = seeded(1, "rows");
  const [from, among] = [9000, 12].map((rows) =>
    matrix(
      rows,
      1,
      Float64Array.from({ length: rows }, () => random.gaussian()),
    ),
  ) as [ReturnType<typeof matrix>, ReturnType<typeof matrix>];
  const shares: number[] = [];
  const neighbours = await nearestPlain(from, among, { random, proceed: async (done) => shares.push(done) > 0 }, [0.2, 0.6]);
  const guess = guessOf(neighbours);
  for (const cipher of [0, 8191, 8192, 8999]) {
    const distances = [...among.values].map((value, plain) => ({ plain, distance: Math.abs(value - (from.values[cipher] as number)) }));
    const expected = distances
      .toSorted((a, b) => a.distance - b.distance)
      .slice(0, RANKS)
      .map(({ plain }) => plain);
    assert.deepEqual([...guess.ranked.subarray(cipher * RANKS, (cipher + 1) * RANKS)], expected);
  }
  assert.deepEqual(shares, [0.2, 0.2 + (0.4 * 8192) / 9000]);
  assert.deepEqual([...guessOf(await nearestPlain(column(1), column(2, 3), { random, proceed: async () => false }, [0, 1])).ranked].slice(0, 3), [0, 1, -1]); // prettier-ignore
});
