import assert from "node:assert/strict";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import { procrustes } from "../numeric/decompose.ts";
import { matrix, rowOf, takeRows, type Matrix } from "../numeric/matrix.ts";
import { multiply } from "../numeric/multiply.ts";
import { seeded } from "../seed.ts";
import { alignClouds, alignPairs } from "./alignment.ts";

/** Points whose axes vary differently, lopsidedly and not about zero: what a trained encoder's vectors are like. */
function cloud(points: number, axes: Matrix, seed: number): Matrix {
  const random = seeded(seed, "cloud");
  const drawn = matrix(points, axes.rows);
  for (let i = 0; i < points; i += 1)
    for (let k = 0; k < axes.rows; k += 1) drawn.values[i * axes.rows + k] = (0.5 - Math.log(random.uniform())) * 1.25 ** -k;
  return multiply(drawn, axes);
}

function gaussian(rows: number, columns: number, seed: number): Matrix {
  const random = seeded(seed, "gaussian");
  return matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, () => random.gaussian()),
  );
}

const rotation = (size: number, seed: number): Matrix => procrustes(gaussian(size, size, seed), gaussian(size, size, seed + 1));

function signedPermutation(size: number, sign: number): Matrix {
  const out = matrix(size, size);
  for (const [from, to] of permutation(seeded(9, "coordinates"), size).entries()) out.values[from * size + to] = sign;
  return out;
}

/** Mean cosine of corresponding rows. */
function agreement(a: Matrix, b: Matrix): number {
  let sum = 0;
  for (let i = 0; i < a.rows; i += 1) {
    const [p, q] = [rowOf(a, i), rowOf(b, i)];
    sum += p.reduce((total, value, k) => total + value * (q[k] as number), 0) / Math.hypot(...p) / Math.hypot(...q);
  }
  return sum / a.rows;
}

const rows = (from: Matrix, start: number, end: number): Matrix =>
  takeRows(
    from,
    Array.from({ length: end - start }, (_, i) => start + i),
  );

test("pairs give a rotation once there are as many as dimensions, and part of it before", () => {
  const plain = cloud(300, rotation(16, 1), 2);
  const secret = multiply(plain, rotation(16, 5));
  const after = (pairs: number): number => {
    const map = alignPairs(rows(secret, 0, pairs), rows(plain, 0, pairs));
    return agreement(multiply(rows(secret, 100, 300), map), rows(plain, 100, 300));
  };
  assert.ok(after(16) > 1 - 1e-9);
  assert.ok(after(4) < 0.95 && after(4) > 0.2, `${after(4)}`);
});

for (const sign of [1, -1])
  test(`a single pair gives a permutation of coordinates with the sign ${sign}`, () => {
    const plain = gaussian(50, 24, 3);
    const secret = multiply(plain, signedPermutation(24, sign));
    const map = alignPairs(rows(secret, 0, 1), rows(plain, 0, 1));
    assert.ok(agreement(multiply(secret, map), plain) > 1 - 1e-9);
  });

test("without pairs, clouds of different points whose axes differ are laid over each other", () => {
  const axes = rotation(8, 1);
  const [plain, other] = [cloud(4000, axes, 2), cloud(4000, axes, 3)];
  const map = alignClouds(multiply(other, rotation(8, 5)), plain);
  assert.ok(agreement(multiply(multiply(other, rotation(8, 5)), map), other) > 0.97);
});

for (const sign of [1, -1])
  test(`without pairs, a permutation of coordinates with the sign ${sign} is found from different points`, () => {
    const axes = rotation(24, 1);
    const [plain, other] = [cloud(600, axes, 2), cloud(300, axes, 3)];
    const secret = multiply(other, signedPermutation(24, sign));
    assert.ok(agreement(multiply(secret, alignClouds(secret, plain)), other) > 0.99);
  });

test("nothing is found between clouds that have nothing to do with each other", () => {
  const [plain, secret] = [gaussian(300, 24, 1), gaussian(300, 24, 2)];
  const own = multiply(secret, rotation(24, 4));
  for (const map of [alignClouds(own, plain), alignPairs(rows(own, 0, 100), rows(plain, 0, 100))]) {
    const found = multiply(rows(own, 100, 300), map);
    assert.ok(Math.abs(agreement(found, rows(secret, 100, 300))) < 0.3);
    assert.ok(Math.abs(agreement(found, rows(plain, 100, 300))) < 0.1);
  }
});
