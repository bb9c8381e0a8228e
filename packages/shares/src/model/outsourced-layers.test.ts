/** Activations become whole numbers within their limit, as near as that allows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { quantiseRows } from "./outsourced-layers.ts";

test("rows stay within the limit and within half a step, each by its own scale", () => {
  const row = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 3 }), fc.integer({ min: 16, max: 2 ** 15 - 1 }), (values, limit) => {
      const x = Float64Array.from(values.flat());
      const { rows, scales } = quantiseRows(x, 3, limit);
      for (const [place, value] of x.entries()) {
        const scale = scales[Math.floor(place / 3)] as number;
        assert.ok(Math.abs(rows[place] as number) <= limit);
        // Rows below the normal numbers are zero.
        assert.ok(Math.abs((rows[place] as number) * scale - value) <= scale * 0.50001 || (scale === 0 && Math.abs(value) < 1e-303));
      }
    }),
    { seed: 3, numRuns: 500 },
  );
});

test("a row does not depend on its neighbours", () => {
  const alone = quantiseRows(Float64Array.of(0.3, -0.7), 2, 1000);
  const together = quantiseRows(Float64Array.of(1e9, 5, 0.3, -0.7, 0, 0), 2, 1000);
  assert.deepEqual([...together.rows.subarray(2, 4)], [...alone.rows]);
  assert.deepEqual([together.scales[1], together.scales[2]], [alone.scales[0], 0]);
});

for (const value of [Number.NaN, Infinity, -Infinity])
  test(`${value} is refused`, () => {
    assert.throws(() => quantiseRows(Float64Array.of(1, value), 2, 100), { code: "CHECKPOINT_NON_FINITE" });
  });
