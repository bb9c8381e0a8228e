import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seeded } from "../seed.ts";
import { compileMultiply } from "./build.ts";
import { principalDirections, procrustes, ridge, singularValues, symmetricEigen } from "./decompose.ts";
import { centreRows, matrix, meanRow, rowNorms, rowOf, sortRows, takeRows, transpose, type Matrix } from "./matrix.ts";
import { eachPanelOfProduct, kernelBytes, multiply, multiplyFirstTransposed, multiplyTransposed } from "./multiply.ts";
import { multiplyBase64 } from "./multiply.wasm.ts";
import { classesOfRows, nearest } from "./nearest.ts";

function gaussian(rows: number, columns: number, seed = 1): Matrix {
  const random = seeded(seed, "test");
  return matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, () => random.gaussian()),
  );
}

/** Rows · columns, one product at a time. */
function slowly(a: Matrix, b: Matrix): Float64Array {
  return Float64Array.from({ length: a.rows * b.columns }, (_, at) => {
    const [i, j] = [Math.floor(at / b.columns), at % b.columns];
    let sum = 0;
    for (let k = 0; k < a.columns; k += 1) sum += a.values[i * a.columns + k]! * b.values[k * b.columns + j]!;
    return sum;
  });
}

function near(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < expected.length; i += 1)
    assert.ok(Math.abs(actual[i]! - expected[i]!) <= tolerance, `${i}: ${actual[i]}, ${expected[i]}`);
}

const identity = (size: number): Matrix =>
  matrix(
    size,
    size,
    Float64Array.from({ length: size * size }, (_, at) => Number(at % (size + 1) === 0)),
  );

describe("products", () => {
  // Around the kernel's groups of four, its panels of 64 rows and 1024 columns, and its memory.
  for (const [n, k, m] of [
    [1, 1, 1],
    [3, 5, 7],
    [4, 4, 4],
    [65, 3, 1027],
    [130, 17, 33],
    [2, 20_000, 90],
    [5, 0, 3],
  ] as const)
    // prettier-ignore
    test(`${n} x ${k} times ${k} x ${m}`, () => {
      const [a, b] = [gaussian(n, k, 1), gaussian(k, m, 2)];
      const expected = slowly(a, b);
      near(multiply(a, b).values, expected, 1e-10);
      near(multiplyTransposed(a, transpose(b)).values, expected, 1e-10);
      near(multiplyFirstTransposed(transpose(a), b).values, expected, 1e-10);
    });

  test("shapes that do not fit are refused", () => {
    assert.throws(() => multiply(gaussian(2, 3), gaussian(2, 3)), RangeError);
    assert.throws(() => eachPanelOfProduct(gaussian(2, 3), gaussian(2, 4), () => {}), RangeError);
    assert.throws(() => multiplyTransposed(gaussian(1, 65_537), gaussian(1, 65_537)), RangeError);
    assert.throws(() => matrix(2, 2, new Float64Array(3)), RangeError);
  });

  test("the kernel is compiled from its source, over the memory that the panels assume", async () => {
    const bytes = await compileMultiply();
    assert.equal(Buffer.from(bytes).toString("base64"), multiplyBase64);
    assert.equal(kernelBytes, 64 * 2 ** 20);
  });
});

describe("nearest rows", () => {
  test("are those that comparing all finds, nearest first", () => {
    const [a, b] = [gaussian(70, 9, 1), gaussian(90, 9, 2)];
    const { indices, squares } = nearest(a, b, 3);
    for (let i = 0; i < a.rows; i += 1) {
      const all = Array.from({ length: b.rows }, (_, j) => rowOf(a, i).reduce((sum, value, k) => sum + (value - rowOf(b, j)[k]!) ** 2, 0));
      const order = [...all.keys()].toSorted((p, q) => all[p]! - all[q]!).slice(0, 3);
      assert.deepEqual([...indices.subarray(3 * i, 3 * i + 3)], order);
      near(squares.subarray(3 * i, 3 * i + 3), order.map((j) => all[j]!), 1e-12); // prettier-ignore
    }
  });

  test("of more rows than can be compared in full are found in a few dimensions first", () => {
    const b = gaussian(5000, 1300, 3);
    const a = takeRows(
      b,
      Uint32Array.from({ length: 4900 }, (_, i) => (i * 7) % 5000),
    );
    const { indices, squares } = nearest(a, b, 2);
    for (let i = 0; i < a.rows; i += 1) assert.equal(indices[2 * i], (i * 7) % 5000);
    assert.ok(squares.every((square, at) => (at % 2 === 0 ? square === 0 : square > 0)));
  });

  test("fewer rows than asked for leave -1", () => {
    assert.deepEqual([...nearest(gaussian(1, 2), gaussian(1, 2), 3).indices], [0, -1, -1]);
  });

  test("rows that are as good as equal share a class, and no others", () => {
    const rows = gaussian(40, 6);
    for (const [from, to] of [[0, 11], [0, 12], [5, 30]] as const) rows.values.set(rowOf(rows, from).map((value) => value + 1e-12), to * 6); // prettier-ignore
    const classes = classesOfRows(rows, 1e-9);
    assert.equal(new Set(classes).size, 37);
    assert.equal(classes[0], classes[11]);
    assert.equal(classes[0], classes[12]);
    assert.equal(classes[5], classes[30]);
  });
});

describe("decompositions", () => {
  test("eigenvectors of a symmetric matrix, the largest value first", () => {
    const x = gaussian(30, 8);
    const gram = multiplyFirstTransposed(x, x);
    const { values, vectors } = symmetricEigen(gram);
    assert.deepEqual(
      [...values],
      [...values].toSorted((a, b) => b - a),
    );
    near(multiplyFirstTransposed(vectors, vectors).values, identity(8).values, 1e-12);
    const diagonal = multiplyFirstTransposed(vectors, multiply(gram, vectors));
    for (let k = 0; k < 8; k += 1) assert.ok(Math.abs(diagonal.values[k * 9]! - values[k]!) < 1e-9);
    near(singularValues(x), values.map(Math.sqrt), 1e-10);
  });

  test("principal directions are the leading eigenvectors", () => {
    const x = gaussian(200, 60);
    for (let i = 0; i < x.rows; i += 1) for (let k = 0; k < 3; k += 1) x.values[i * 60 + k]! *= 40 / (k + 1);
    const directions = principalDirections(x, 3);
    near(multiplyFirstTransposed(directions, directions).values, identity(3).values, 1e-10);
    const { vectors } = symmetricEigen(multiplyFirstTransposed(x, x));
    for (let k = 0; k < 3; k += 1) {
      let cosine = 0;
      for (let i = 0; i < 60; i += 1) cosine += directions.values[i * 3 + k]! * vectors.values[i * 60 + k]!;
      assert.ok(Math.abs(cosine) > 0.999, `${k}: ${cosine}`);
    }
    assert.equal(principalDirections(gaussian(5, 3), 9).columns, 3);
  });

  test("Procrustes finds the rotation, also from noisy rows", () => {
    const x = gaussian(60, 8);
    const { vectors } = symmetricEigen(multiplyFirstTransposed(gaussian(20, 8, 7), gaussian(20, 8, 7)));
    const y = multiply(x, vectors);
    near(procrustes(x, y).values, vectors.values, 1e-12);
    const noise = gaussian(60, 8, 9);
    const noisy = matrix(60, 8, y.values.map((value, at) => value + 0.01 * noise.values[at]!)); // prettier-ignore
    const found = procrustes(x, noisy);
    near(multiplyFirstTransposed(found, found).values, identity(8).values, 1e-12);
    near(found.values, vectors.values, 0.02);
  });

  test("ridge finds the linear map, and shrinks it where rows are few", () => {
    const [x, map] = [gaussian(60, 8), gaussian(8, 5, 4)];
    near(ridge(x, multiply(x, map), 0).values, map.values, 1e-9);
    const few = ridge(takeRows(x, [0, 1, 2]), takeRows(multiply(x, map), [0, 1, 2]), 1e-3);
    assert.ok(rowNorms(few).every(Number.isFinite));
  });
});

test("rows are centred, sorted, averaged and measured", () => {
  const rows = matrix(2, 3, Float64Array.of(1, 2, 6, 0, -3, 3));
  assert.deepEqual([...centreRows(rows).values], [-2, -1, 3, 0, -3, 3]);
  assert.deepEqual([...meanRow(rows)], [0.5, -0.5, 4.5]);
  near(rowNorms(rows), [Math.sqrt(41), Math.sqrt(18)], 1e-15);
  assert.deepEqual([...sortRows(takeRows(rows, [1, 0])).values], [3, 0, -3, 6, 2, 1]);
  assert.deepEqual([...rows.values], [1, 2, 6, 0, -3, 3]);
});
