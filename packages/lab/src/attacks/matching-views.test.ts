import assert from "node:assert/strict";
import { test } from "node:test";
import { matrix, type Matrix } from "../numeric/matrix.ts";
import { multiplyTransposed } from "../numeric/multiply.ts";
import { seeded } from "../seed.ts";
import type { LayerMatrices } from "../weights/weights.ts";
import { layerViews, sketchOf, tableViews } from "./matching-views.ts";

const random = seeded(1, "views");
const gaussian = (rows: number, columns: number): Matrix => matrix(rows, columns, Float64Array.from({ length: rows * columns }, () => random.gaussian() + 0.3)); // prettier-ignore
const tables = { embedding: gaussian(700, 6), head: gaussian(700, 6) };
const layer = { gate: gaussian(9, 6), up: gaussian(9, 6), down: gaussian(6, 9) } as LayerMatrices;

test("a neuron's scale and sign are gone from every view", () => {
  const scale = [2, -0.5, 1, -1, 3, 0.1, -7, 1, 1];
  const changed = {
    ...layer,
    up: { ...layer.up!, values: layer.up!.values.map((value, at) => value * scale[Math.floor(at / 6)]!) },
    down: { ...layer.down!, values: layer.down!.values.map((value, at) => value / scale[at % 9]!) },
  };
  const [plain, other] = [layer, changed].map((of) => layerViews(tables, of).map(sketchOf)) as [Matrix[], Matrix[]];
  assert.equal(plain.length, 3);
  for (const [index, { values }] of plain.entries())
    values.forEach((value, at) => assert.ok(Math.abs(value - other[index]!.values[at]!) < 1e-9, `view ${index}`));
});

test("columns have mean square 1, and a positive mean where signs are free", () => {
  for (const [index, { table, readers }] of layerViews(tables, layer).entries()) {
    const product = multiplyTransposed(table, readers);
    for (let column = 0; column < 9; column += 1) {
      const values = Array.from({ length: 700 }, (_, row) => product.values[row * 9 + column] as number);
      assert.ok(Math.abs(values.reduce((sum, value) => sum + value ** 2, 0) / 700 - 1) < 1e-9);
      if (index > 0) assert.ok(values.reduce((sum, value) => sum + value, 0) >= 0);
    }
  }
});

test("without gates signs are kept, and without a head tokens are compared with what neurons write", () => {
  const [read, written] = layerViews({ ...tables, head: null }, { ...layer, gate: null });
  assert.ok(read!.readers.values.every((value, at) => Math.sign(value) === Math.sign(layer.up!.values[at]!)));
  assert.equal(written!.table, tables.embedding);
  assert.deepEqual([tableViews(tables).length, tableViews({ ...tables, head: null }).length], [1, 0]);
});
