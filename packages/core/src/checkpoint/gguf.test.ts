import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { rejectsWith, replaceFile, temporaryDirectory } from "./files.fixture.ts";
import { TENSOR_TYPES, WireWriter } from "./gguf-wire.ts";
import { layoutGguf, openGguf, type GgufArray, type GgufValue } from "./gguf.ts";
import type { Format } from "./tensor.ts";
import { createFiles } from "./writer.ts";

const everyValue: ReadonlyMap<string, GgufValue> = new Map<string, GgufValue>([
  ["u8", { type: "u8", value: 255 }],
  ["i8", { type: "i8", value: -128 }],
  ["u16", { type: "u16", value: 65535 }],
  ["i16", { type: "i16", value: -32768 }],
  ["u32", { type: "u32", value: 4294967295 }],
  ["i32", { type: "i32", value: -2147483648 }],
  ["f32", { type: "f32", value: Math.fround(0.1) }],
  ["f64", { type: "f64", value: 0.1 }],
  ["u64", { type: "u64", value: 2n ** 64n - 1n }],
  ["i64", { type: "i64", value: -(2n ** 63n) }],
  ["bool", { type: "bool", value: true }],
  ["string", { type: "string", value: "\ufeffñ\u0000▁<|end|>" }],
  ["empty", { type: "array", of: "string", value: [] }],
  ["tokens", { type: "array", of: "string", value: ["", "a", "🙂"] }],
  ["types", { type: "array", of: "i32", value: [1, -1] }],
  ["scores", { type: "array", of: "f32", value: [-0, 1.5] }],
  ["flags", { type: "array", of: "bool", value: [true, false] }],
  ["bytes", { type: "array", of: "u8", value: [0, 255] }],
  ["big", { type: "array", of: "u64", value: [2n ** 60n] }],
]);

test("metadata of every type and tensors of several formats are read back as written", async (context) => {
  const directory = temporaryDirectory(context);
  const tensors: { name: string; format: Format; shape: number[] }[] = [
    { name: "a.weight", format: "Q8_0", shape: [3, 64] },
    { name: "b.weight", format: "BF16", shape: [5, 7] },
    { name: "c.weight", format: "F32", shape: [2, 3, 4, 5] },
    { name: "d.weight", format: "GGML_Q4_K", shape: [1, 256] },
    { name: "e.scalar", format: "F16", shape: [] },
  ];
  const layout = layoutGguf(everyValue, tensors);
  createFiles(directory, [{ name: "m.gguf", header: layout.header, bytes: layout.bytes }]);
  const opened = await openGguf(join(directory, "m.gguf"));
  assert.deepEqual([...opened.metadata], [...everyValue]);
  for (const { name, format, shape } of tensors) {
    const { file, ...place } = opened.tensors.get(name)!;
    assert.equal(file, opened.file);
    assert.deepEqual(place, layout.locations.get(name));
    assert.deepEqual([place.format, place.shape, place.offset % 32], [format, shape, 0]);
  }
  assert.deepEqual(layoutGguf(opened.metadata, [...opened.tensors.values()]).header, layout.header);
});

test("any metadata and any tensors survive, at any alignment", async (context) => {
  const file = join(temporaryDirectory(context), "m.gguf");
  const value: fc.Arbitrary<GgufValue> = fc.oneof(
    fc.double({ noNaN: true }).map((number): GgufValue => ({ type: "f64", value: number })),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((number): GgufValue => ({ type: "u64", value: number })),
    fc.string({ unit: "grapheme" }).map((text): GgufValue => ({ type: "string", value: text })),
    fc.array(fc.integer({ min: -32768, max: 32767 })).map((numbers): GgufValue => ({ type: "array", of: "i16", value: numbers })),
  );
  // The one name of these letters that no object may have.
  const names = fc.stringMatching(/^[a-z._0-9]{1,30}$/).filter((name) => name !== "__proto__");
  const tensor = fc.record(
    {
      name: names,
      format: fc.constantFrom<Format>("F32", "F16", "I8"),
      shape: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }),
    },
    { noNullPrototype: true },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(names, value), { selector: ([key]) => key, maxLength: 6 }),
      fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 5 }),
      fc.constantFrom(1, 8, 32, 4096),
      async (entries, tensors, alignment) => {
        const { header, bytes } = layoutGguf(new Map(entries), tensors, { alignment });
        replaceFile(file, Buffer.concat([header, Buffer.alloc(bytes - header.length)]));
        const opened = await openGguf(file);
        assert.equal(opened.alignment, alignment);
        for (const [key, expected] of entries) assert.deepEqual(opened.metadata.get(key), expected);
        assert.deepEqual(
          [...opened.tensors.values()].map(({ name, format, shape }) => ({ name, format, shape })),
          tensors,
        );
      },
    ),
    { numRuns: 150 },
  );
});

test("the alignment is written down where it is not the default", () => {
  const { header } = layoutGguf(new Map(), [], { alignment: 64 });
  assert.ok(Buffer.from(header).includes("general.alignment"));
  assert.equal(header.length % 64, 0);
  const given = new Map<string, GgufValue>([["general.alignment", { type: "u32", value: 128 }]]);
  assert.equal(layoutGguf(given, []).header.length, 128);
});

test("values that their type cannot hold are refused when written", () => {
  const values: unknown[] = [
    { type: "u8", value: 256 },
    { type: "u32", value: -1 },
    { type: "i32", value: 0.5 },
    { type: "u32", value: "1" },
    { type: "u64", value: 1 },
    { type: "u64", value: -1n },
    { type: "i64", value: 2n ** 63n },
    { type: "bool", value: 1 },
    { type: "string", value: "\ud800" },
    { type: "array", of: "string", value: ["a", 1] },
  ];
  for (const value of values) assert.throws(() => layoutGguf(new Map([["key", value as GgufValue]]), []), { code: "CHECKPOINT_MALFORMED" });
});

test("tensors that llama.cpp would refuse are refused when written", () => {
  const plan = (name: string, format: Format, shape: number[]) => () =>
    layoutGguf(new Map(), [
      { name: "a", format: "F32", shape: [1] },
      { name, format, shape },
    ]);
  assert.throws(plan("a", "F32", [1]), { code: "CHECKPOINT_DUPLICATE" });
  assert.throws(plan("b".repeat(64), "F32", [1]), { code: "CHECKPOINT_TOO_LARGE" });
  assert.throws(plan("b", "F32", [1, 1, 1, 1, 1]), { code: "CHECKPOINT_TOO_LARGE" });
  assert.throws(plan("b", "F32", [0, 2]), { code: "CHECKPOINT_MALFORMED" });
  assert.throws(plan("b", "Q8_0", [32, 33]), { code: "CHECKPOINT_MALFORMED" });
  assert.throws(plan("b", "F8_E4M3", [1]), { code: "CHECKPOINT_DTYPE_UNSUPPORTED" });
});

/** A header put together by hand, so that it can be wrong. */
class Forgery extends WireWriter {
  constructor(tensors: number | bigint, entries: number | bigint, { magic = 0x46554747, version = 3 } = {}) {
    super();
    this.u32(magic);
    this.u32(version);
    this.u64(tensors);
    this.u64(entries);
  }

  number(key: string, value: number): this {
    this.string(key);
    this.u32(4);
    this.u32(value);
    return this;
  }

  /** Key and type numbers of a value whose bytes follow. */
  entry(key: string, ...types: number[]): this {
    this.string(key);
    for (const type of types) this.u32(type);
    return this;
  }

  tensor(name: string, dimensions: readonly (number | bigint)[], type: number, offset: number | bigint): this {
    this.string(name);
    this.u32(dimensions.length);
    for (const dimension of dimensions) this.u64(dimension);
    this.u32(type);
    this.u64(offset);
    return this;
  }

  word(value: number | bigint): this {
    this.u64(value);
    return this;
  }

  octet(value: number): this {
    this.grow(1).setUint8(0, value);
    return this;
  }

  /** The file: padded header, then zeros. */
  file(dataBytes = 0): Uint8Array {
    this.align(32);
    return Buffer.concat([this.bytes(), Buffer.alloc(dataBytes)]);
  }
}

test("crafted headers are refused by their own code", async (context) => {
  const file = join(temporaryDirectory(context), "m.gguf");
  const one = (...tensor: Parameters<Forgery["tensor"]>): Forgery => new Forgery(1, 0).tensor(...tensor);
  const cases: [what: string, bytes: Uint8Array, ...codes: Parameters<typeof rejectsWith>[1][]][] = [
    ["an empty file", new Uint8Array(0), "CHECKPOINT_TRUNCATED"],
    ["another magic", new Forgery(0, 0, { magic: 0x04034b50 }).file(), "CHECKPOINT_MALFORMED"],
    ["version 1", new Forgery(0, 0, { version: 1 }).file(), "CHECKPOINT_MALFORMED"],
    ["version 4", new Forgery(0, 0, { version: 4 }).file(), "CHECKPOINT_MALFORMED"],
    ["big-endian", new Forgery(0, 0, { version: 0x03000000 }).file(), "CHECKPOINT_MALFORMED"],
    ["2^64-1 tensors", new Forgery(2n ** 64n - 1n, 0).file(), "CHECKPOINT_TOO_LARGE"],
    ["a million tensors in no bytes", new Forgery(1_000_000, 0).file(), "CHECKPOINT_TRUNCATED"],
    ["2^63 metadata entries", new Forgery(0, 2n ** 63n).file(), "CHECKPOINT_TOO_LARGE"],
    ["65,536 metadata entries in no bytes", new Forgery(0, 65_536).file(), "CHECKPOINT_TRUNCATED"],
    ["a key of 2^64-1 bytes", new Forgery(0, 1).word(2n ** 64n - 1n).file(64), "CHECKPOINT_TOO_LARGE"],
    ["a key longer than the file", new Forgery(0, 1).word(500).file(64), "CHECKPOINT_TRUNCATED"],
    [
      "a string of 2^40 bytes",
      new Forgery(0, 1)
        .entry("k", 8)
        .word(2n ** 40n)
        .file(64),
      "CHECKPOINT_TOO_LARGE",
    ],
    ["a string longer than the file", new Forgery(0, 1).entry("k", 8).word(10_000_000).file(64), "CHECKPOINT_TRUNCATED"],
    [
      "an array of 2^60 strings",
      new Forgery(0, 1)
        .entry("k", 9, 8)
        .word(2n ** 60n)
        .file(64),
      "CHECKPOINT_TOO_LARGE",
    ],
    ["an array of 4 million strings in no bytes", new Forgery(0, 1).entry("k", 9, 8).word(4_000_000).file(64), "CHECKPOINT_TRUNCATED"],
    ["an array of arrays", new Forgery(0, 1).entry("k", 9, 9, 9, 9, 9, 9).file(64), "CHECKPOINT_MALFORMED"],
    ["value type 13", new Forgery(0, 1).entry("k", 13).file(64), "CHECKPOINT_MALFORMED"],
    ["array of value type 99", new Forgery(0, 1).entry("k", 9, 99).file(64), "CHECKPOINT_MALFORMED"],
    ["a boolean of 2", new Forgery(0, 1).entry("k", 7).octet(2).file(64), "CHECKPOINT_MALFORMED"],
    ["text that is not UTF-8", new Forgery(0, 1).entry("k", 8).word(1).octet(0xff).file(64), "CHECKPOINT_MALFORMED"],
    ["a key that is not UTF-8", new Forgery(0, 1).word(1).octet(0xff).file(64), "CHECKPOINT_MALFORMED"],
    ["a key __proto__", new Forgery(0, 1).number("__proto__", 1).file(), "CHECKPOINT_MALFORMED"],
    ["an empty key", new Forgery(0, 1).number("", 1).file(), "CHECKPOINT_MALFORMED"],
    ["a duplicate key", new Forgery(0, 2).number("k", 1).number("k", 2).file(), "CHECKPOINT_DUPLICATE"],
    ["one part of a split model", new Forgery(0, 1).number("split.count", 3).file(), "CHECKPOINT_MISSING_SHARD"],
    ["alignment 0", new Forgery(0, 1).number("general.alignment", 0).file(), "CHECKPOINT_MALFORMED"],
    ["alignment 33", new Forgery(0, 1).number("general.alignment", 33).file(), "CHECKPOINT_MALFORMED"],
    ["alignment 2^31", new Forgery(0, 1).number("general.alignment", 2 ** 31).file(), "CHECKPOINT_MALFORMED"],
    ["alignment of type i32", new Forgery(0, 1).entry("general.alignment", 5, 32).file(), "CHECKPOINT_MALFORMED"],
    ["five dimensions", one("a", [1, 1, 1, 1, 1], 0, 0).file(32), "CHECKPOINT_TOO_LARGE"],
    ["four thousand million dimensions", one("a", [1], 0, 0).file(32).with(36, 255), "CHECKPOINT_TOO_LARGE"],
    ["a dimension of 0", one("a", [4, 0], 0, 0).file(32), "CHECKPOINT_MALFORMED"],
    ["a negative dimension", one("a", [2n ** 64n - 1n], 0, 0).file(32), "CHECKPOINT_MALFORMED"],
    ["a dimension of 2^53 + 1", one("a", [2n ** 53n + 1n], 0, 0).file(32), "CHECKPOINT_MALFORMED"],
    ["a product that overflows", one("a", [2n ** 40n, 2n ** 40n], 0, 0).file(32), "CHECKPOINT_TOO_LARGE"],
    ["a row that ends inside a block", one("a", [33], 8, 0).file(64), "CHECKPOINT_MALFORMED"],
    ["a removed tensor type", one("a", [32], 4, 0).file(32), "CHECKPOINT_DTYPE_UNSUPPORTED"],
    ["tensor type 2^32-1", one("a", [32], 0xffffffff, 0).file(32), "CHECKPOINT_DTYPE_UNSUPPORTED"],
    ["an offset beyond 2^53", one("a", [8], 0, 2n ** 60n).file(32), "CHECKPOINT_TOO_LARGE"],
    ["an offset beyond the file", one("a", [8], 0, 2n ** 40n).file(32), "CHECKPOINT_MALFORMED"],
    ["an offset between alignments", one("a", [4], 0, 16).file(32), "CHECKPOINT_MALFORMED"],
    ["data beyond the file", one("a", [9], 0, 0).file(32), "CHECKPOINT_TRUNCATED"],
    ["no data at all", one("a", [8], 0, 0).file(0), "CHECKPOINT_TRUNCATED"],
    ["a hole at the start", one("a", [8], 0, 32).file(64), "CHECKPOINT_MALFORMED"],
    ["bytes after the last tensor", one("a", [8], 0, 0).file(64), "CHECKPOINT_MALFORMED"],
    ["overlap", new Forgery(2, 0).tensor("a", [16], 0, 0).tensor("b", [8], 0, 32).file(64), "CHECKPOINT_OVERLAP"],
    ["a hole", new Forgery(2, 0).tensor("a", [8], 0, 0).tensor("b", [8], 0, 64).file(96), "CHECKPOINT_MALFORMED"],
    ["a duplicate tensor", new Forgery(2, 0).tensor("a", [8], 0, 0).tensor("a", [8], 0, 32).file(64), "CHECKPOINT_DUPLICATE"],
    ["terminal escapes in a name", one("\u001b[2J", [8], 0, 0).file(32), "CHECKPOINT_MALFORMED"],
    ["a long name", one("a".repeat(2000), [8], 0, 0).file(32), "CHECKPOINT_TOO_LARGE"],
  ];
  for (const [what, bytes, ...codes] of cases) {
    await context.test(what, async () => {
      writeFileSync(file, bytes);
      const before = process.memoryUsage().arrayBuffers;
      await rejectsWith(() => openGguf(file), ...codes);
      assert.ok(process.memoryUsage().arrayBuffers - before < 4e6);
    });
  }
});

test("version 2, tensors out of order and a last tensor without padding are read", async (context) => {
  const file = join(temporaryDirectory(context), "m.gguf");
  const forged = new Forgery(2, 0, { version: 2 }).tensor("b", [1], 0, 32).tensor("a", [3, 2], 0, 0);
  writeFileSync(file, forged.file(36));
  const { tensors } = await openGguf(file);
  assert.deepEqual(
    [...tensors.values()].map(({ name, shape, bytes }) => [name, shape, bytes]),
    [
      ["a", [2, 3], 24],
      ["b", [1], 4],
    ],
  );
});

test("what is no file, or a Git LFS pointer, is named", async (context) => {
  const directory = temporaryDirectory(context);
  await rejectsWith(() => openGguf(join(directory, "absent.gguf")), "CHECKPOINT_NOT_FOUND");
  mkdirSync(join(directory, "d.gguf"));
  await rejectsWith(() => openGguf(join(directory, "d.gguf")), "CHECKPOINT_NOT_FOUND");
  writeFileSync(join(directory, "p.gguf"), "version https://git-lfs.github.com/spec/v1\n");
  await assert.rejects(openGguf(join(directory, "p.gguf")), { code: "CHECKPOINT_MALFORMED", hint: /git lfs pull/ });
});

test("a header larger than the reader's window keeps its strings whole", async (context) => {
  const file = join(temporaryDirectory(context), "m.gguf");
  const tokens: GgufArray = { type: "array", of: "string", value: Array.from({ length: 60_000 }, (_, index) => `token ▁${index}`) };
  const text: GgufValue = { type: "string", value: "ab▁".repeat(500_000) };
  const metadata = new Map<string, GgufValue>([
    ["tokens", tokens],
    ["text", text],
    ["more", tokens],
  ]);
  writeFileSync(file, layoutGguf(metadata, []).header);
  const opened = await openGguf(file);
  assert.ok([...metadata].every(([key, value]) => JSON.stringify(opened.metadata.get(key)) === JSON.stringify(value)));
});

test("every tensor type has a size", () => {
  const tensors = [...TENSOR_TYPES.values()].map((format) => ({ name: format, format, shape: [256] }));
  const { locations } = layoutGguf(new Map(), tensors);
  // gguf-py: GGUF's Q6_K takes 210 bytes for 256 weights, MXFP4 17 for 32, TQ1_0 54 for 256.
  assert.deepEqual(
    ["GGML_Q6_K", "GGML_MXFP4", "GGML_TQ1_0", "Q8_0", "I64"].map((name) => locations.get(name)!.bytes),
    [210, 136, 54, 272, 2048],
  );
});

for (const name of ["data/models/stories260K-f32.gguf", "assets/story-llama/story-llama-f16.gguf"]) {
  test(`${name}: planning what was read gives the same header, byte for byte`, needs(name), async () => {
    const path = sharedPath(name)!;
    const { metadata, tensors } = await openGguf(path);
    const { header, bytes } = layoutGguf(metadata, [...tensors.values()]);
    const original = readFileSync(path);
    assert.equal(bytes, original.length);
    assert.ok(original.subarray(0, header.length).equals(header));
  });
}
