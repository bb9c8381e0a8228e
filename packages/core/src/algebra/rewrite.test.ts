import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, rowBytes } from "../checkpoint/format.ts";
import type { FloatFormat } from "../checkpoint/tensor.ts";
import { Blocks } from "./blocks.ts";
import { wellConditioned } from "./dense.ts";
import type { Element } from "./element.ts";
import { Monomial } from "./monomial.ts";
import { fixingOnes, structuredOrthogonal } from "./orthogonal.ts";
import { deriveRandom, permutation, type RandomStream } from "./random.ts";
import { rewriteMatrix, type AxisRewrite, type MatrixSource, type RewriteTarget } from "./rewrite.ts";
import { Rotary } from "./rotary.ts";

const master = new Uint8Array(32).fill(5);

/** A tensor in memory, as source and as target. */
function stored(format: FloatFormat, rows: number, columns: number, values?: Float64Array) {
  const stride = rowBytes(format, columns);
  const bytes = new Uint8Array(rows * stride);
  if (values) encode(format, values, bytes);
  const written = new Uint8Array(rows);
  const source: MatrixSource = {
    rows,
    columns,
    format,
    name: "layer.weight",
    read: (row, count, into) => {
      assert.equal(into.length, count * stride);
      into.set(bytes.subarray(row * stride, (row + count) * stride));
    },
  };
  const target: RewriteTarget = {
    format,
    write: (row, count, part) => {
      assert.equal(part.length, count * stride);
      for (let r = row; r < row + count; r++) {
        assert.equal(written[r], 0, "each row once");
        written[r] = 1;
      }
      bytes.set(part, row * stride);
    },
  };
  const numbers = (): Float64Array => {
    const result = new Float64Array(rows * columns);
    decode(format, bytes, result);
    return result;
  };
  return { source, target, numbers, bytes, written };
}

/** The element as a matrix, through one vector at a time in plain JavaScript. */
function matrixOf(element: Element): Float64Array[] {
  return Array.from({ length: element.size }, (_, i) => {
    const unit = new Float64Array(element.size);
    unit[i] = 1;
    element.apply(unit, 1);
    return unit;
  });
}

/** The definition of an axis rewriting, on one vector. */
function rewriteVector(axis: AxisRewrite, matrix: Float64Array[] | null, original: Float64Array): Float64Array {
  const n = original.length;
  let vector = original.map((value, i) => value * (axis.gain?.[i] ?? 1));
  const mean = axis.centre ? vector.reduce((a, b) => a + b, 0) / n : 0;
  const shift = axis.shift ? original.reduce((sum, value, i) => sum + value * axis.shift![i]!, 0) / n : 0;
  vector = vector.map((value) => value - mean + shift);
  if (matrix === null) return vector;
  const result = new Float64Array(n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) result[j] = result[j]! + vector[i]! * matrix[i]![j]!;
  return result;
}

function expectedOf(values: Float64Array, rows: number, columns: number, rowAxis: AxisRewrite, columnAxis: AxisRewrite): Float64Array {
  const result = Float64Array.from(values);
  const columnMatrix = columnAxis.element && matrixOf(columnAxis.element);
  const rowMatrix = rowAxis.element && matrixOf(rowAxis.element);
  for (let r = 0; r < rows; r++) result.set(rewriteVector(columnAxis, columnMatrix, result.slice(r * columns, (r + 1) * columns)), r * columns);
  for (let c = 0; c < columns; c++) {
    const vector = rewriteVector(rowAxis, rowMatrix, Float64Array.from({ length: rows }, (_, r) => result[r * columns + c]!));
    for (let r = 0; r < rows; r++) result[r * columns + c] = vector[r]!;
  }
  return result;
}

function axisKinds(random: RandomStream, n: number, head: number): Record<string, AxisRewrite> {
  const heads = (make: () => Element): Blocks => new Blocks(permutation(random, n / head), Array.from({ length: n / head }, make));
  const vector = (): Float64Array => Float64Array.from({ length: n }, () => random.gaussian());
  return {
    identity: { element: null },
    permutation: { element: Monomial.permutation(random, n) },
    signed: { element: Monomial.signed(random, n) },
    scaled: { element: Monomial.scaled(random, n, { signs: true }), gain: vector() },
    gain: { element: null, gain: vector() },
    "moved heads": { element: heads(() => Monomial.signed(random, head)) },
    "dense heads": { element: heads(() => wellConditioned(random, head)), gain: vector() },
    "rotary heads": { element: heads(() => Rotary.random(random, head, { layout: "half" })) },
    "sign heads": { element: heads(() => Rotary.signs(random, head, { layout: "interleaved" })) },
    rotation: { element: structuredOrthogonal(random, n), gain: vector() },
    centred: { element: fixingOnes(random, n), gain: vector(), centre: true, shift: vector() },
    "centred alone": { element: null, centre: true },
    chain: { element: Monomial.scaled(random, n, { signs: true }).compose(structuredOrthogonal(random, n)) },
  };
}

// The half unit in the last place of each format, relative, and its smallest step.
const precision: Record<FloatFormat, [number, number]> = { F32: [2 ** -24, 2 ** -149], F16: [2 ** -11, 2 ** -25], BF16: [2 ** -8, 2 ** -133], Q8_0: [0, 0] };

function assertClose(actual: Float64Array, expected: Float64Array, format: FloatFormat, label: string): void {
  const [relative, absolute] = precision[format];
  for (let i = 0; i < actual.length; i++) {
    const allowed = Math.abs(expected[i]!) * relative * 1.001 + absolute + 1e-12;
    assert.ok(Math.abs(actual[i]! - expected[i]!) <= allowed, `${label}: number ${i}: expected ${expected[i]} within ${allowed}, got ${actual[i]}`);
  }
}

const shapes = [
  { rows: 48, columns: 96, rowHead: 12, columnHead: 32 },
  { rows: 40, columns: 20, rowHead: 10, columnHead: 10 }, // not multiples of the kernels' eight lanes
  { rows: 64, columns: 128, rowHead: 16, columnHead: 64 },
  { rows: 6, columns: 90, rowHead: 2, columnHead: 6 },
];

for (const { rows, columns, rowHead, columnHead } of shapes) {
  test(`rewriteMatrix equals the definition for every pair of axis kinds at ${rows} x ${columns}`, () => {
    const random = deriveRandom(master, `rewrite/${rows}`);
    const rowKinds = axisKinds(random, rows, rowHead);
    const columnKinds = axisKinds(random, columns, columnHead);
    let turn = 0;
    for (const [rowName, rowAxis] of Object.entries(rowKinds)) {
      for (const [columnName, columnAxis] of Object.entries(columnKinds)) {
        const format = (["F32", "F16", "BF16"] as const)[turn++ % 3]!;
        const other = turn % 5 === 0 ? "F32" : format;
        const original = Float64Array.from({ length: rows * columns }, () => random.gaussian());
        const input = stored(format, rows, columns, original);
        const output = stored(other, rows, columns);
        rewriteMatrix(input.source, rowAxis, columnAxis, output.target);
        assert.ok(output.written.every((times) => times === 1), "every row is written");
        assertClose(output.numbers(), expectedOf(input.numbers(), rows, columns, rowAxis, columnAxis), other, `${rowName} x ${columnName} ${format} -> ${other}`);
      }
    }
  });
}
