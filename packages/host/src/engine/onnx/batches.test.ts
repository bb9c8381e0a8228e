import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PublicInterface } from "@unseen/core/blueprint/interface.ts";
import fc from "fast-check";
import { chooseRows, groupOf } from "./choose.ts";
import { toFloat32, wholeNumbers, type FeedType } from "./numbers.ts";
import { planBatches, type BatchPlan } from "./plan.ts";
import { pool } from "./pool.ts";
import { assemble, byteLengthOf, takeApart, tokensOf, type Row, type SequenceRow, type TensorRow } from "./rows.ts";

const shape = ["batch", "sequence"];
const TEXT: PublicInterface = {
  inputs: [
    { name: "input_ids", kind: "ids", type: "int64", shape, vocabularySize: 100 },
    { name: "attention_mask", kind: "mask", type: "float32", shape },
    { name: "token_type_ids", kind: "segments", type: "int32", shape },
    { name: "position_ids", kind: "positions", type: "int64", shape },
  ],
  outputs: [{ name: "output", shape: ["batch", "sequence", 2], isometric: true }],
  task: "embedding",
  pooling: "mean",
  maximumLength: null,
};
const IMAGES: PublicInterface = {
  ...TEXT,
  inputs: [{ name: "image", kind: "tensor", type: "float32", shape: ["batch", 2, 2] }],
  outputs: [{ name: "output", shape: ["batch", 4], isometric: true }],
};
const plan = planBatches(TEXT, true);

const sequence = (ids: number[], rest: Partial<SequenceRow> = {}): SequenceRow => ({
  kind: "sequence",
  ids: Uint32Array.from(ids),
  mask: null,
  segments: null,
  positions: null,
  peak: null,
  pool: null,
  ...rest,
});
const ofLength = (length: number): SequenceRow => sequence(Array.from({ length }, (_, index) => index + 1));
const entry = (row: Row, use = plan): { row: Row; group: string } => ({ row, group: groupOf(row, use) });
const feed = (batch: ReturnType<typeof assemble>, name: string): number[] =>
  Array.from(batch.feeds.find((one) => one.name === name)!.data as unknown as ArrayLike<number>, Number);

describe("a batch of sequences", () => {
  test("is padded to its longest row, and the mask says where", () => {
    const batch = assemble([sequence([7, 8], { segments: Uint32Array.of(0, 1) }), sequence([1, 2, 3])], TEXT, plan);
    assert.deepEqual(batch.feeds.map(({ shape: dimensions }) => dimensions), [[2, 3], [2, 3], [2, 3], [2, 3]]); // prettier-ignore
    assert.deepEqual(feed(batch, "input_ids"), [7, 8, 7, 1, 2, 3]);
    assert.deepEqual(feed(batch, "attention_mask"), [1, 1, 0, 1, 1, 1]);
    assert.deepEqual(feed(batch, "token_type_ids"), [0, 1, 0, 0, 0, 0]);
    assert.deepEqual(feed(batch, "position_ids"), [0, 1, 0, 0, 1, 2]);
    assert.deepEqual(batch.feeds.map(({ data }) => data.constructor.name), ["BigInt64Array", "Float32Array", "Int32Array", "BigInt64Array"]); // prettier-ignore
  });

  test("keeps the mask that a row came with, and hides the padding behind it", () => {
    const rows = [sequence([7, 8, 9], { mask: Uint8Array.of(1, 0, 1) }), sequence([1, 2, 3, 4])];
    const batch = assemble(rows, TEXT, plan);
    assert.deepEqual(feed(batch, "input_ids"), [7, 8, 9, 7, 1, 2, 3, 4]);
    assert.deepEqual(feed(batch, "attention_mask"), [1, 0, 1, 0, 1, 1, 1, 1]);
    assert.deepEqual(feed(batch, "position_ids"), [0, 1, 2, 0, 0, 1, 2, 3]);
    assert.deepEqual(batch.masks, [rows[0]!.mask, null]);
    assert.deepEqual(rows.map(tokensOf), [2, 4]);
    assert.deepEqual(rows.map(byteLengthOf), [15, 16]);
  });

  test("of a fixed size is filled up with copies of its last row", () => {
    const batch = assemble([sequence([4, 5])], TEXT, { ...plan, fixedRows: 3, fixedLength: 4 });
    assert.deepEqual(feed(batch, "input_ids"), [4, 5, 4, 4, 4, 5, 4, 4, 4, 5, 4, 4]);
  });

  test("comes apart into what went in, without padding", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }), (lengths) => {
        const rows = lengths.map(ofLength);
        const batch = assemble(rows, TEXT, plan);
        const ids = feed(batch, "input_ids");
        // A model that gives each token's id, and its square.
        const data = Float32Array.from(ids.flatMap((id) => [id, id * id]));
        const parts = takeApart({ shape: [batch.rows, batch.length, 2], data }, rows.length, batch, plan);
        assert.deepEqual(parts.map((part) => part.shape), lengths.map((length) => [length, 2])); // prettier-ignore
        parts.forEach((part, index) =>
          assert.deepEqual(
            [...part.data],
            [...rows[index]!.ids].flatMap((id) => [id, id * id]),
          ),
        );
      }),
    );
  });

  test("an output with another number of rows is no answer", () => {
    const batch = assemble([ofLength(2), ofLength(2)], TEXT, plan);
    assert.throws(() => takeApart({ shape: [4, 2], data: new Float32Array(8) }, 2, batch, plan), /number of rows/);
  });
});

describe("a batch of tensors", () => {
  const whole = Float32Array.from({ length: 12 }, (_, index) => index);
  const rows = [0, 1, 2].map((row): TensorRow => ({
    kind: "tensors",
    tensors: new Map([["image", { shape: [2, 2], bytes: new Uint8Array(whole.buffer, row * 16, 16) }]]),
    shapes: "[[2,2]]",
    pool: null,
  }));
  const images = planBatches(IMAGES, true);

  test("of one request is fed without a copy", () => {
    const batch = assemble(rows, IMAGES, images);
    assert.deepEqual(batch.feeds[0]!.shape, [3, 2, 2]);
    assert.equal(batch.feeds[0]!.data.buffer, whole.buffer);
    assert.deepEqual([...(batch.feeds[0]!.data as Float32Array)], [...whole]);
  });

  test("of several is joined in its order", () => {
    const batch = assemble([rows[2]!, rows[0]!], IMAGES, images);
    assert.deepEqual([...(batch.feeds[0]!.data as Float32Array)], [8, 9, 10, 11, 0, 1, 2, 3]);
  });
});

describe("the choice of rows", () => {
  const limits = { rows: 4, tokens: 64 };

  test("always has the oldest, is of one group, and keeps to the limits", () => {
    const row = fc.record({ length: fc.integer({ min: 1, max: 60 }), pool: fc.constantFrom(null, "mean" as const) });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 30 }), fc.boolean(), (given, pads) => {
        const use = { ...plan, pads };
        const waiting = given.map((one) => entry({ ...ofLength(one.length), pool: one.pool }, use));
        const chosen = chooseRows(waiting, use, limits);
        assert.equal(chosen[0], 0);
        assert.equal(new Set(chosen).size, chosen.length);
        assert.ok(chosen.length <= limits.rows);
        assert.equal(new Set(chosen.map((index) => waiting[index]!.group)).size, 1);
        const lengths = chosen.map((index) => given[index]!.length);
        const padded = lengths.length * Math.max(...lengths);
        assert.ok(lengths.length === 1 || padded <= limits.tokens);
        assert.ok(pads || new Set(lengths).size === 1);
      }),
    );
  });

  test("takes rows of like lengths first", () => {
    const waiting = [10, 60, 11, 9, 58, 10].map((length) => entry(ofLength(length)));
    assert.deepEqual(chooseRows(waiting, plan, { rows: 3, tokens: 1000 }), [0, 5, 2]);
    assert.deepEqual(
      chooseRows(waiting, plan, { rows: 9, tokens: 1000 }),
      [0, 5, 2, 3],
      "a long row would cost the short ones more than itself",
    );
  });

  test("is the oldest alone where rows may not meet", () => {
    const waiting = [3, 3, 3].map((length) => entry(ofLength(length)));
    for (const difference of [{ mixesRows: false }, { hasRows: false }, { fixedRows: 1 }] as Partial<BatchPlan>[])
      assert.deepEqual(chooseRows(waiting, { ...plan, ...difference }, limits), [0]);
  });

  test("a run's output stays in bounds, a row too long for any run runs alone", () => {
    const waiting = [5, 5].map((length) => entry(ofLength(length)));
    assert.deepEqual(chooseRows(waiting, { ...plan, outputValues: 2 << 20 }, limits), [0]);
    assert.deepEqual(chooseRows([500, 500].map((length) => entry(ofLength(length))), plan, limits), [0]); // prettier-ignore
  });
});

test("pooling leaves padding out", () => {
  const data = Float32Array.of(1, 2, 3, 4, 9, 9, 5, 6, 7, 8, 9, 10);
  const output = { shape: [2, 3, 2], data };
  const masks = [null, null];
  assert.deepEqual([...pool(output, { kind: "mean", lengths: [2, 3], masks }).data], [2, 3, 7, 8]);
  assert.deepEqual([...pool(output, { kind: "cls", lengths: [2, 3], masks }).data], [1, 2, 5, 6]);
});

test("pooling leaves out what a row's own mask hides", () => {
  const data = Float32Array.of(1, 2, 3, 4, 9, 9, 5, 6, 7, 8, 9, 10);
  const output = { shape: [2, 3, 2], data };
  const masks = [null, Uint8Array.of(1, 0, 1)];
  assert.deepEqual([...pool(output, { kind: "mean", lengths: [2, 3], masks }).data], [2, 3, 7, 8]);
  assert.deepEqual([...pool(output, { kind: "mean", lengths: [3, 3], masks: [Uint8Array.of(0, 1, 0), null] }).data], [3, 4, 7, 8]);
  assert.deepEqual([...pool(output, { kind: "cls", lengths: [2, 3], masks }).data], [1, 2, 5, 6]);
});

test("whole numbers are written in every type", () => {
  const types: FeedType[] = [
    "float32",
    "float64",
    "float16",
    "int8",
    "uint8",
    "bool",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
  ];
  for (const type of types) {
    const { numbers, set } = wholeNumbers(type, 3);
    set(1, 1);
    set(2, type === "bool" ? 1 : 100);
    assert.deepEqual([...toFloat32(type, numbers)!], [0, 1, type === "bool" ? 1 : 100], type);
  }
  assert.deepEqual(
    [...toFloat32("float16", Uint16Array.of(0x7bff, 0x8001, 0xfc00, 0x3555))!],
    [65504, -(2 ** -24), -Infinity, 0.333251953125],
  );
});

describe("what shapes promise", () => {
  const of = (inputs: (number | string)[][], output: (number | string)[]): BatchPlan =>
    planBatches({ ...IMAGES, inputs: inputs.map((one, index) => ({ name: `${index}`, kind: "tensor", type: "float32", shape: one })), outputs: [{ name: "o", shape: output, isometric: true }] }, true); // prettier-ignore

  test("rows are the first axis of everything, or there are none", () => {
    assert.equal(of([["b", 3]], ["b", 2]).hasRows, true);
    assert.deepEqual([of([[2, 3]], [2, 2]).hasRows, of([[2, 3]], [2, 2]).fixedRows], [true, 2]);
    assert.equal(of([[2, 3]], [6]).hasRows, false);
    assert.equal(of([["b", 3], [1, 3]], ["b", 2]).hasRows, false); // prettier-ignore
    assert.equal(of([[]], [1]).hasRows, false);
    assert.equal(of([], [1]).hasRows, false);
  });

  test("padding needs a mask, and ids that are only looked up", () => {
    assert.equal(plan.pads, true);
    assert.equal(planBatches(TEXT, false).pads, false);
    assert.equal(planBatches({ ...TEXT, inputs: TEXT.inputs.filter(({ kind }) => kind !== "mask") }, true).pads, false);
    assert.equal(plan.lengthAxis, 1);
  });
});
