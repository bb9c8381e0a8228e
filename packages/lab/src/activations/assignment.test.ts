import assert from "node:assert/strict";
import { test } from "node:test";
import { matrix } from "../numeric/matrix.ts";
import { seeded } from "../seed.ts";
import { assign } from "./assignment.ts";

/** All orders of 0..n-1. */
function orders(n: number): number[][] {
  if (n === 0) return [[]];
  return orders(n - 1).flatMap((order) => Array.from({ length: n }, (_, at) => order.toSpliced(at, 0, n - 1)));
}

test("no other pairing costs less, with ties and negative costs too", () => {
  const random = seeded(1, "costs");
  for (let round = 0; round < 120; round += 1) {
    const n = 1 + (round % 6);
    const draw = round % 2 === 0 ? () => random.below(4) : () => random.gaussian();
    const costs = matrix(n, n, Float64Array.from({ length: n * n }, draw));
    const total = (columns: ArrayLike<number>): number =>
      Array.from(columns).reduce((sum, column, row) => sum + (costs.values[row * n + column] as number), 0);
    const found = assign(costs);
    assert.equal(new Set(found).size, n);
    assert.ok(Math.abs(total(found) - Math.min(...orders(n).map(total))) < 1e-9);
  }
});

test("a matrix that is not square is refused", () => {
  assert.throws(() => assign(matrix(2, 3)), RangeError);
});
