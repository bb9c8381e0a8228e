import assert from "node:assert/strict";
import { test } from "node:test";
import { matrix } from "../numeric/matrix.ts";
import { joinColumns, ofColumns, standardised } from "./features.ts";

test("columns side by side", () => {
  const [a, b] = [matrix(2, 1, Float64Array.of(1, 2)), matrix(2, 2, Float64Array.of(3, 4, 5, 6))];
  assert.deepEqual([...joinColumns([a, b]).values], [1, 3, 4, 2, 5, 6]);
  assert.deepEqual(joinColumns([a, b]), ofColumns([Float64Array.of(1, 2), Float64Array.of(3, 5), Float64Array.of(4, 6)]));
});

test("standardising takes away offset and scale, and constants", () => {
  const column = Float64Array.of(1, 2, 4, 9);
  const { values } = standardised(ofColumns([column, column.map((value) => 100 - 3 * value), column.map(() => 0.1)]));
  for (let row = 0; row < 4; row += 1) {
    const [first, second, third] = values.subarray(3 * row, 3 * row + 3) as unknown as [number, number, number];
    assert.ok(Math.abs(first + second) < 1e-12);
    assert.equal(third, 0);
  }
  assert.ok(Math.abs([0, 3, 6, 9].reduce((sum, at) => sum + values[at]! ** 2 / 4, 0) - 1) < 1e-12);
});
