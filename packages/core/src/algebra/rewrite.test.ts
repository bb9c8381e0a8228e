import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, rowBytes } from "../checkpoint/format.ts";
import type { FloatFormat } from "../checkpoint/tensor.ts";
import { Blocks } from "./blocks.ts";
import { wellConditioned } from "./dense.ts";
import { DirectSum } from "./direct-sum.ts";
import type { Element } from "./element.ts";
import { kernels } from "./kernels/kernels.ts";
import { arenaBytes, arenaStart } from "./kernels/memory.ts";
import { Monomial } from "./monomial.ts";
import { fixingOnes, structuredOrthogonal } from "./orthogonal.ts";
import { allocateBytes, withArena } from "./panel.ts";
import { deriveRandom, permutation, type RandomStream } from "./random.ts";
import type { AxisRewrite } from "./axis.ts";
import type { MatrixSource, RewriteTarget } from "./matrix.ts";
import { rewriteMatrix } from "./rewrite.ts";
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
  for (let r = 0; r < rows; r++)
    result.set(rewriteVector(columnAxis, columnMatrix, result.slice(r * columns, (r + 1) * columns)), r * columns);
  for (let c = 0; c < columns; c++) {
    const vector = rewriteVector(
      rowAxis,
      rowMatrix,
      Float64Array.from({ length: rows }, (_, r) => result[r * columns + c]!),
    );
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
    fused: {
      element: new DirectSum([
        {
          size: n - head,
          element: new Blocks(
            permutation(random, n / head - 1),
            Array.from({ length: n / head - 1 }, () => wellConditioned(random, head)),
          ),
        },
        { size: head, element: null },
      ]),
    },
    rotation: { element: structuredOrthogonal(random, n), gain: vector() },
    centred: { element: fixingOnes(random, n), gain: vector(), centre: true, shift: vector() },
    "centred alone": { element: null, centre: true },
    chain: { element: Monomial.scaled(random, n, { signs: true }).compose(structuredOrthogonal(random, n)) },
  };
}

// The half unit in the last place of each format, relative, and its smallest step.
const precision: Record<FloatFormat, [number, number]> = {
  F32: [2 ** -24, 2 ** -149],
  F16: [2 ** -11, 2 ** -25],
  BF16: [2 ** -8, 2 ** -133],
  Q8_0: [0, 0],
};

function assertClose(actual: Float64Array, expected: Float64Array, format: FloatFormat, label: string): void {
  const [relative, absolute] = precision[format];
  for (let i = 0; i < actual.length; i++) {
    const allowed = Math.abs(expected[i]!) * relative * 1.001 + absolute + 1e-12;
    assert.ok(
      Math.abs(actual[i]! - expected[i]!) <= allowed,
      `${label}: number ${i}: expected ${expected[i]} within ${allowed}, got ${actual[i]}`,
    );
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
        assert.ok(
          output.written.every((times) => times === 1),
          "every row is written",
        );
        assertClose(
          output.numbers(),
          expectedOf(input.numbers(), rows, columns, rowAxis, columnAxis),
          other,
          `${rowName} x ${columnName} ${format} -> ${other}`,
        );
      }
    }
  });
}

test("without kernel memory, plain JavaScript does the same", () => {
  const random = deriveRandom(master, "plain");
  const [rows, columns] = [16, 24];
  let turn = 0;
  for (const [rowName, rowAxis] of Object.entries(axisKinds(random, rows, 4))) {
    for (const [columnName, columnAxis] of Object.entries(axisKinds(random, columns, 6))) {
      const format = (["F32", "F16", "BF16"] as const)[turn++ % 3]!;
      const input = stored(
        format,
        rows,
        columns,
        Float64Array.from({ length: rows * columns }, () => random.gaussian()),
      );
      const output = stored(format, rows, columns);
      withArena(() => {
        const rest = allocateBytes(arenaBytes - arenaStart); // takes all there is
        assert.equal(rest.buffer, kernels!.memory.buffer);
        rewriteMatrix(input.source, rowAxis, columnAxis, output.target);
      });
      assertClose(output.numbers(), expectedOf(input.numbers(), rows, columns, rowAxis, columnAxis), format, `${rowName} x ${columnName}`);
    }
  }
});

test("moves and signs keep every bit in every format, and any split into ranges gives the same", () => {
  for (const format of ["F32", "F16", "BF16"] as const) {
    for (const columns of [24, 33]) {
      const random = deriveRandom(master, `bits/${format}`);
      const rows = 36;
      const rowElement = new Blocks(
        permutation(random, 9),
        Array.from({ length: 9 }, () => Rotary.signs(random, 4, { layout: "half" })),
      );
      const columnElement = Monomial.signed(random, columns);
      const original = Float64Array.from({ length: rows * columns }, () => random.gaussian() * 2 ** -20);
      original[5] = -0;
      original[7] = 2 ** -149; // a subnormal
      const input = stored(format, rows, columns, original);
      const whole = stored(format, rows, columns);
      rewriteMatrix(input.source, { element: rowElement }, { element: columnElement }, whole.target);
      const parts = stored(format, rows, columns);
      for (const from of [0, 12, 24])
        rewriteMatrix(input.source, { element: rowElement }, { element: columnElement }, parts.target, { from, to: from + 12 });
      assert.deepEqual(parts.bytes, whole.bytes);
      const back = stored(format, rows, columns);
      rewriteMatrix(whole.source, { element: rowElement.inverse() }, { element: columnElement.inverse() }, back.target);
      assert.deepEqual(back.bytes, input.bytes, "there and back is the identity on bits");
      const values = input.numbers();
      const moved = whole.numbers();
      const expected = expectedOf(values, rows, columns, { element: rowElement }, { element: columnElement });
      for (let i = 0; i < values.length; i++) assert.equal(moved[i]! + 0, expected[i]! + 0);
    }
  }
});

test("ranges of a computed matrix give the same bytes as the whole", () => {
  const random = deriveRandom(master, "ranges");
  const rows: AxisRewrite = {
    element: new Blocks(
      permutation(random, 10),
      Array.from({ length: 10 }, () => wellConditioned(random, 6)),
    ),
  };
  const columns: AxisRewrite = {
    element: structuredOrthogonal(random, 40),
    gain: Float64Array.from({ length: 40 }, () => random.gaussian()),
  };
  const input = stored(
    "BF16",
    60,
    40,
    Float64Array.from({ length: 2400 }, () => random.gaussian()),
  );
  const whole = stored("BF16", 60, 40);
  rewriteMatrix(input.source, rows, columns, whole.target);
  const parts = stored("BF16", 60, 40);
  for (const [from, to] of [
    [0, 6],
    [6, 30],
    [30, 30],
    [30, 60],
  ] as const)
    rewriteMatrix(input.source, rows, columns, parts.target, { from, to });
  assert.deepEqual(parts.bytes, whole.bytes);
  assert.throws(() => rewriteMatrix(input.source, rows, columns, parts.target, { from: 3, to: 6 }), /multiples of 6/);
  assert.throws(() => rewriteMatrix(input.source, rows, columns, parts.target, { from: 0, to: 66 }), /up to 60/);
});

test("a plain copy is bit-identical and neighbouring rows are read at once", () => {
  const random = deriveRandom(master, "copy");
  const input = stored(
    "BF16",
    50,
    7,
    Float64Array.from({ length: 350 }, () => random.gaussian()),
  );
  const output = stored("BF16", 50, 7);
  let reads = 0;
  const source = {
    ...input.source,
    read: (row: number, count: number, into: Uint8Array) => (reads++, input.source.read(row, count, into)),
  };
  rewriteMatrix(source, { element: null }, { element: null }, output.target);
  assert.deepEqual(output.bytes, input.bytes);
  assert.equal(reads, 1);
});

test("Q8_0 rows move without loss; else they pass through F32", () => {
  const random = deriveRandom(master, "q8");
  const input = stored(
    "Q8_0",
    20,
    64,
    Float64Array.from({ length: 1280 }, () => random.gaussian()),
  );
  const moved = stored("Q8_0", 20, 64);
  const rows = Monomial.permutation(random, 20);
  rewriteMatrix(input.source, { element: rows }, { element: null }, moved.target);
  for (let j = 0; j < 20; j++)
    assert.deepEqual(moved.bytes.subarray(j * 68, (j + 1) * 68), input.bytes.subarray(rows.source(j) * 68, (rows.source(j) + 1) * 68));

  const columns: AxisRewrite = { element: structuredOrthogonal(random, 64) };
  const single = stored("F32", 20, 64);
  rewriteMatrix(input.source, { element: rows }, columns, single.target);
  assertClose(single.numbers(), expectedOf(input.numbers(), 20, 64, { element: rows }, columns), "F32", "Q8_0 -> F32");
  const quantised = stored("Q8_0", 20, 64);
  rewriteMatrix(input.source, { element: rows }, columns, quantised.target);
  const expected = stored("Q8_0", 20, 64, single.numbers());
  assert.deepEqual(quantised.bytes, expected.bytes);
  const narrow = stored("F32", 4, 20, new Float64Array(80));
  assert.throws(() => rewriteMatrix(narrow.source, { element: null }, { element: null }, { format: "Q8_0", write: () => {} }), {
    code: "CHECKPOINT_WRONG_SHAPE",
  });
});

test("a NaN or infinity anywhere in the source is refused by name on every path", () => {
  const random = deriveRandom(master, "bad");
  const [rows, columns] = [16, 24];
  const rowKinds = axisKinds(random, rows, 4);
  const columnKinds = axisKinds(random, columns, 6);
  for (const format of ["F32", "F16", "BF16"] as const)
    for (const rowAxis of Object.values(rowKinds))
      for (const columnAxis of Object.values(columnKinds)) {
        const values = new Float64Array(rows * columns).fill(1);
        values[random.below(values.length)] = [Number.NaN, Infinity, -Infinity][random.below(3)]!;
        const input = stored(format, rows, columns, values);
        assert.throws(() => rewriteMatrix(input.source, rowAxis, columnAxis, stored(format, rows, columns).target), {
          code: "CHECKPOINT_NON_FINITE",
          message: /layer\.weight: expected finite/,
        });
      }
});

test("a result beyond F16 is refused with the hint to use bf16", () => {
  const random = deriveRandom(master, "overflow");
  const input = stored("F16", 8, 16, new Float64Array(128).fill(60000));
  const gain = new Float64Array(16).fill(2);
  const dense: AxisRewrite = { element: structuredOrthogonal(random, 8) };
  const scaled: AxisRewrite = { element: null, gain: new Float64Array(8).fill(1.5) };
  for (const rows of [{ element: null }, dense, scaled])
    for (const columns of [
      { element: null, gain },
      { element: structuredOrthogonal(random, 16), gain: gain.map(() => 16) },
    ])
      assert.throws(() => rewriteMatrix(input.source, rows, columns, stored("F16", 8, 16).target), {
        code: "CHECKPOINT_NON_FINITE",
        message: /F16/,
        hint: /bf16/,
      });
});

test("axes that do not fit are refused", () => {
  const input = stored("F32", 8, 16, new Float64Array(128));
  for (const columns of [
    { element: Monomial.identity(8) },
    { element: null, gain: new Float64Array(3) },
    { element: null, shift: new Float64Array(17) },
  ])
    assert.throws(() => rewriteMatrix(input.source, { element: null }, columns, input.target), {
      code: "CHECKPOINT_WRONG_SHAPE",
      message: /layer\.weight: expected \d+ columns, got 16/,
    });
});

test("streaming memory does not grow with the number of rows", () => {
  const random = deriveRandom(master, "memory");
  const columns: AxisRewrite = { element: structuredOrthogonal(random, 1024) };
  const row = new Uint8Array(2048).fill(0x3c);
  let largest = 0;
  const source: MatrixSource = {
    rows: 200_000,
    columns: 1024,
    format: "BF16",
    name: "wide",
    read: (_row, count, into) => {
      largest = Math.max(largest, into.length);
      for (let r = 0; r < count; r++) into.set(row, r * 2048);
    },
  };
  let written = 0;
  rewriteMatrix(
    source,
    { element: Monomial.identity(200_000) },
    columns,
    {
      format: "BF16",
      write: (_row, count, bytes) => {
        largest = Math.max(largest, bytes.length);
        written += count;
      },
    },
    { from: 0, to: 20_000 },
  );
  assert.equal(written, 20_000);
  assert.ok(largest <= 2 ** 22, `${largest} bytes at once`);
});
