import assert from "node:assert/strict";
import { test } from "node:test";
import { singularValues } from "../numeric/decompose.ts";
import { matrix } from "../numeric/matrix.ts";
import { seeded } from "../seed.ts";
import { addUpdate } from "./private-tuning.ts";

test("a simulated tune is an update of rank 8 and of the size that is asked for", () => {
  const [rows, columns] = [40, 24];
  const random = seeded(1, "weights");
  const plain = Float64Array.from({ length: rows * columns }, () => random.gaussian());
  const tuned = plain.slice();
  addUpdate(tuned, { rows, columns }, 0.03, seeded(1, "update"));
  const norm = (values: Float64Array): number => Math.hypot(...values);
  const update = tuned.map((value, at) => value - (plain[at] as number));
  assert.ok(Math.abs(norm(update) / norm(plain) - 0.03) < 1e-12);
  const values = singularValues(matrix(rows, columns, update));
  assert.ok((values[7] as number) > 0.05 * (values[0] as number));
  assert.ok((values[8] as number) < 1e-12 * (values[0] as number));
});
