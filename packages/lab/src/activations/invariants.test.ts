import assert from "node:assert/strict";
import { test } from "node:test";
import { procrustes } from "../numeric/decompose.ts";
import { matrix, rowOf, takeRows } from "../numeric/matrix.ts";
import { multiply } from "../numeric/multiply.ts";
import { seeded } from "../seed.ts";
import { invariantsOf, misfits, stacked } from "./invariants.ts";

const random = seeded(1, "states");
const gaussian = (rows: number, columns: number) =>
  matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, () => random.gaussian()),
  );

test("under a rotation the right state fits, and no other", () => {
  const plain = gaussian(40, 12);
  const seen = multiply(plain, procrustes(gaussian(12, 12), gaussian(12, 12)));
  const others = [0, 1, 2, 3];
  const found = misfits(plain, takeRows(plain, others), invariantsOf(rowOf(seen, 17), takeRows(seen, others)));
  for (const [row, misfit] of found.entries()) assert.ok(row === 17 ? misfit < 1e-12 : misfit > 0.05, `${row}: ${misfit}`);
});

test("a state alone has its length", () => {
  const plain = stacked([Float64Array.of(3, 4), Float64Array.of(0, 1)], 2);
  const found = misfits(plain, matrix(0, 2), invariantsOf(Float64Array.of(0, -5), matrix(0, 2)));
  assert.deepEqual([...found], [0, Math.abs(1 / 25 - 1)]);
});
