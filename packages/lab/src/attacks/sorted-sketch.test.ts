import assert from "node:assert/strict";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import { matrix, rowOf } from "../numeric/matrix.ts";
import { seeded } from "../seed.ts";
import { sortedSketch } from "./sorted-sketch.ts";

test("order does not matter, numbers do", () => {
  const random = seeded(1, "sketch");
  const row = Float64Array.from({ length: 500 }, () => random.gaussian());
  const shuffled = Float64Array.from(permutation(random, 500), (at) => row[at] as number);
  const other = row.with(7, 9);
  const sketch = sortedSketch(matrix(3, 500, Float64Array.from([...row, ...shuffled, ...other])));
  assert.ok(sketch.columns <= 64 && sketch.columns > 48, `${sketch.columns}`);
  assert.deepEqual(rowOf(sketch, 0), rowOf(sketch, 1));
  assert.notDeepEqual(rowOf(sketch, 0), rowOf(sketch, 2));
  assert.equal(rowOf(sketch, 2).at(-1), 9);
  assert.ok(rowOf(sketch, 0).every((value, k, all) => k === 0 || value >= all[k - 1]!));
});

test("short rows are kept whole", () => {
  assert.deepEqual([...sortedSketch(matrix(1, 4, Float64Array.of(3, -1, 2, 0))).values], [-1, 0, 2, 3]);
});
