import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { rejectsWith, temporaryDirectory, writeRaw } from "./files.fixture.ts";
import { layoutSafetensors, openSafetensors, type PlannedTensor } from "./safetensors.ts";
import type { Format } from "./tensor.ts";
import { createFiles, writeAt } from "./writer.ts";

const entry = (dtype: unknown, shape: unknown, offsets: unknown): object => ({ dtype, shape, data_offsets: offsets });
const header = (tensors: Record<string, unknown>): string => JSON.stringify(tensors);

/** Writes a planned checkpoint with each tensor's bytes counting up from its place in the list; returns what was planned. */
function write(
  directory: string,
  tensors: readonly PlannedTensor[],
  options: Parameters<typeof layoutSafetensors>[1] = {},
): ReturnType<typeof layoutSafetensors> {
  const layout = layoutSafetensors(tensors, options);
  createFiles(directory, layout.files);
  if (layout.index) writeFileSync(join(directory, "model.safetensors.index.json"), JSON.stringify(layout.index));
  tensors.forEach(({ name }, index) => {
    const { file, offset, bytes } = layout.locations.get(name)!;
    writeAt(join(directory, file), offset, new Uint8Array(bytes).fill(index + 1));
  });
  return layout;
}

const three: readonly PlannedTensor[] = [
  { name: "a", format: "BF16", shape: [3, 5] },
  { name: "b", format: "F32", shape: [4] },
  { name: "c", format: "F16", shape: [] },
];

test("what is written is read back: names, formats, shapes, metadata and bytes", async (context) => {
  const directory = temporaryDirectory(context);
  write(directory, three, { metadata: { format: "pt", note: 'a "quote"' } });
  const opened = await openSafetensors(directory);
  assert.deepEqual(opened.metadata, { format: "pt", note: 'a "quote"' });
  assert.deepEqual([...opened.tensors.keys()].toSorted(), ["a", "b", "c"]);
  for (const [index, { name, format, shape }] of three.entries()) {
    const tensor = opened.tensors.get(name)!;
    assert.deepEqual({ name: tensor.name, format: tensor.format, shape: tensor.shape }, { name, format, shape });
    const bytes = readFileSync(tensor.file).subarray(tensor.offset, tensor.offset + tensor.bytes);
    assert.ok(bytes.length === tensor.bytes && bytes.every((byte) => byte === index + 1));
  }
});

test("every tensor begins at a multiple of its number's size, in whatever order formats come", () => {
  const formats = fc.constantFrom<Format>("F64", "F32", "F16", "BF16", "I8", "BOOL");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(formats, fc.array(fc.nat(5), { maxLength: 3 })), { maxLength: 8 }),
      fc.integer({ min: 1, max: 200 }),
      (list, maximumShardBytes) => {
        const { locations } = layoutSafetensors(
          list.map(([format, shape], index) => ({ name: `t${index}`, format, shape })),
          { maximumShardBytes },
        );
        for (const { format, offset } of locations.values())
          assert.equal(offset % ({ F64: 8, F32: 4, F16: 2, BF16: 2 }[format as string] ?? 1), 0);
      },
    ),
  );
});

test("any list of tensors survives, in one file or many", async (context) => {
  const directory = temporaryDirectory(context);
  let run = 0;
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z.]{1,12}$/), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(names, fc.integer({ min: 1, max: 400 }), async (list, maximumShardBytes) => {
      const place = join(directory, String((run += 1)));
      mkdirSync(place);
      const tensors = list.map((name, index): PlannedTensor => ({ name, format: index % 2 ? "F32" : "BF16", shape: [index, name.length] }));
      const { files } = write(place, tensors, { maximumShardBytes });
      const opened = await openSafetensors(place);
      assert.equal(opened.files.length, files.length);
      assert.deepEqual(new Set(opened.tensors.keys()), new Set(list));
    }),
    { numRuns: 60 },
  );
});

test("shards are named, cut and indexed as transformers does", () => {
  const { files, index } = layoutSafetensors(three, { maximumShardBytes: 40 });
  assert.deepEqual(
    files.map(({ name }) => name),
    ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
  );
  assert.deepEqual(index, {
    metadata: { total_size: 48 },
    weight_map: { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors", c: "model-00002-of-00002.safetensors" },
  });
  assert.equal(layoutSafetensors(three).index, null);
});

test("a plan that no reader would accept is refused", () => {
  const plan = (tensor: Partial<PlannedTensor>) => () =>
    layoutSafetensors([
      { name: "a", format: "F32", shape: [1] },
      { name: "b", format: "F32", shape: [1], ...tensor },
    ]);
  assert.throws(plan({ name: "a" }), { code: "CHECKPOINT_DUPLICATE" });
  assert.throws(plan({ name: "__metadata__" }), { code: "CHECKPOINT_DUPLICATE" });
  assert.throws(plan({ name: "__proto__" }), { code: "CHECKPOINT_MALFORMED" });
  assert.throws(plan({ name: "line\nbreak" }), { code: "CHECKPOINT_MALFORMED" });
  assert.throws(plan({ format: "Q8_0", shape: [32] }), { code: "CHECKPOINT_DTYPE_UNSUPPORTED" });
  assert.throws(plan({ shape: [-1] }), { code: "CHECKPOINT_MALFORMED" });
  assert.throws(plan({ shape: [2 ** 30, 2 ** 30] }), { code: "CHECKPOINT_TOO_LARGE" });
});

test("crafted headers are refused by their own code", async (context) => {
  const directory = temporaryDirectory(context);
  const ok = entry("F32", [1], [0, 4]);
  const cases: [what: string, text: string, data: number, ...codes: Parameters<typeof rejectsWith>[1][]][] = [
    ["unknown number format", header({ a: entry("F13", [1], [0, 4]) }), 4, "CHECKPOINT_DTYPE_UNSUPPORTED"],
    ["GGUF's format", header({ a: entry("Q8_0", [32], [0, 34]) }), 34, "CHECKPOINT_DTYPE_UNSUPPORTED"],
    ["format that is no string", header({ a: entry(7, [1], [0, 4]) }), 4, "CHECKPOINT_MALFORMED"],
    ["negative dimension", header({ a: entry("F32", [-1], [0, 4]) }), 4, "CHECKPOINT_MALFORMED"],
    ["two negative dimensions", header({ a: entry("F32", [-1, -1], [0, 4]) }), 4, "CHECKPOINT_MALFORMED"],
    ["negative zero", '{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}', 0, "CHECKPOINT_MALFORMED"],
    ["fractional dimension", header({ a: entry("F32", [0.5, 2], [0, 4]) }), 4, "CHECKPOINT_MALFORMED"],
    ["dimension beyond 2^53", '{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}}', 4, "CHECKPOINT_MALFORMED"],
    ["infinite dimension", '{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}', 4, "CHECKPOINT_MALFORMED"],
    ["dimension as text", header({ a: entry("F32", ["1"], [0, 4]) }), 4, "CHECKPOINT_MALFORMED"],
    ["product that overflows", header({ a: entry("F32", [2 ** 52, 2 ** 52], [0, 4]) }), 4, "CHECKPOINT_TOO_LARGE"],
    ["a product that overflows before a zero", header({ a: entry("F32", [2 ** 52, 2 ** 52, 0], [0, 0]) }), 0, "CHECKPOINT_TOO_LARGE"],
    ["bytes that overflow", header({ a: entry("F64", [2 ** 52], [0, 8]) }), 8, "CHECKPOINT_TOO_LARGE"],
    ["nine dimensions", header({ a: entry("F32", [1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 4]) }), 4, "CHECKPOINT_TOO_LARGE"],
    ["offsets that contradict the shape", header({ a: entry("F32", [2], [0, 4]) }), 4, "CHECKPOINT_MALFORMED"],
    ["offsets that contradict the format", header({ a: entry("BF16", [1], [0, 4]) }), 4, "CHECKPOINT_MALFORMED"],
    ["descending offsets", header({ a: entry("F32", [1], [4, 0]) }), 4, "CHECKPOINT_MALFORMED"],
    ["three offsets", header({ a: entry("F32", [1], [0, 4, 8]) }), 4, "CHECKPOINT_MALFORMED"],
    ["negative offset", header({ a: entry("F32", [1], [-4, 0]) }), 4, "CHECKPOINT_MALFORMED"],
    ["offsets beyond the file", header({ a: ok, b: entry("F32", [1], [4, 8]) }), 7, "CHECKPOINT_TRUNCATED"],
    ["overlap", header({ a: entry("F32", [2], [0, 8]), b: entry("F32", [1], [4, 8]) }), 8, "CHECKPOINT_OVERLAP"],
    ["the same bytes", header({ a: ok, b: ok }), 4, "CHECKPOINT_OVERLAP"],
    ["a hole", header({ a: ok, b: entry("F32", [1], [5, 9]) }), 9, "CHECKPOINT_MALFORMED"],
    ["a hole at the start", header({ a: entry("F32", [1], [4, 8]) }), 8, "CHECKPOINT_MALFORMED"],
    ["bytes after the last tensor", header({ a: ok }), 5, "CHECKPOINT_MALFORMED"],
    ["duplicate tensor", `{"a":${JSON.stringify(ok)},"a":${JSON.stringify(ok)}}`, 4, "CHECKPOINT_DUPLICATE"],
    ["duplicate field", '{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}', 4, "CHECKPOINT_DUPLICATE"],
    ["__proto__", `{"__proto__":${JSON.stringify(ok)}}`, 4, "CHECKPOINT_MALFORMED"],
    ["unknown field", header({ a: { ...ok, pickle: "x" } }), 4, "CHECKPOINT_MALFORMED"],
    ["missing field", header({ a: { dtype: "F32", shape: [1] } }), 4, "CHECKPOINT_MALFORMED"],
    ["tensor that is no object", header({ a: 1 }), 0, "CHECKPOINT_MALFORMED"],
    ["metadata that is no object", header({ __metadata__: [] }), 0, "CHECKPOINT_MALFORMED"],
    ["metadata that is no text", header({ __metadata__: { a: 1 } }), 0, "CHECKPOINT_MALFORMED"],
    ["deep nesting", `{"a":${"[".repeat(50_000)}`, 0, "CHECKPOINT_TOO_LARGE"],
    ["empty name", header({ "": ok }), 4, "CHECKPOINT_MALFORMED"],
    ["terminal escapes in a name", header({ "\u001b[2Ja": ok }), 4, "CHECKPOINT_MALFORMED"],
    ["right-to-left override in a name", header({ "a\u202eb": ok }), 4, "CHECKPOINT_MALFORMED"],
    ["long name", header({ ["a".repeat(5000)]: ok }), 4, "CHECKPOINT_TOO_LARGE"],
    ["an array", "[]", 0, "CHECKPOINT_MALFORMED"],
    ["a space first", " {}", 0, "CHECKPOINT_MALFORMED"],
    ["no header", "", 0, "CHECKPOINT_MALFORMED"],
    ["text after the object", "{}x", 0, "CHECKPOINT_MALFORMED"],
  ];
  for (const [what, text, data, ...codes] of cases) {
    await context.test(what, () => rejectsWith(() => openSafetensors(writeRaw(directory, text, data)), ...codes));
  }
  await context.test("bytes that are not UTF-8", () =>
    rejectsWith(() => openSafetensors(writeRaw(directory, Buffer.from('{"\xff":1}', "latin1"), 0)), "CHECKPOINT_MALFORMED"),
  );
});

test("empty tensors, scalars and padding are no errors", async (context) => {
  const text = `${header({ a: entry("F32", [0, 7], [0, 0]), b: entry("F32", [], [0, 4]), c: entry("BF16", [3, 0], [4, 4]) })}     `;
  const { tensors } = await openSafetensors(writeRaw(temporaryDirectory(context), text, 4));
  assert.deepEqual(
    [...tensors.values()].map(({ name, bytes }) => `${name}:${bytes}`),
    ["a:0", "b:4", "c:0"],
  );
});

test("header lengths beyond the limit or the file are refused before anything is allocated", async (context) => {
  const directory = temporaryDirectory(context);
  const file = join(directory, "model.safetensors");
  for (const [length, code] of [
    [0xffffffffffffffffn, "CHECKPOINT_TOO_LARGE"],
    [100_000_001n, "CHECKPOINT_TOO_LARGE"],
    [100_000_000n, "CHECKPOINT_TRUNCATED"],
    [3n, "CHECKPOINT_TRUNCATED"],
  ] as const) {
    const bytes = Buffer.alloc(10, "{}");
    bytes.writeBigUInt64LE(length);
    writeFileSync(file, bytes);
    const before = process.memoryUsage().arrayBuffers;
    await rejectsWith(() => openSafetensors(file), code);
    assert.ok(process.memoryUsage().arrayBuffers - before < 1e6);
  }
});

test("a Git LFS pointer and a file of a few bytes say what they are", async (context) => {
  const file = join(temporaryDirectory(context), "model.safetensors");
  writeFileSync(file, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
  await assert.rejects(openSafetensors(file), { code: "CHECKPOINT_TOO_LARGE", hint: /git lfs pull/ });
  writeFileSync(file, "abc");
  await rejectsWith(() => openSafetensors(file), "CHECKPOINT_TRUNCATED");
});

test("directories: which file counts, and what a missing one says", async (context) => {
  const directory = temporaryDirectory(context);
  await rejectsWith(() => openSafetensors(join(directory, "absent")), "CHECKPOINT_NOT_FOUND");
  await rejectsWith(() => openSafetensors(directory), "CHECKPOINT_NOT_FOUND");
  writeRaw(directory, header({ a: entry("U8", [1], [0, 1]) }), 1, "other.safetensors");
  assert.deepEqual([...(await openSafetensors(directory)).tensors.keys()], ["a"]);
  writeRaw(directory, "{}", 0, "another.safetensors");
  await rejectsWith(() => openSafetensors(directory), "CHECKPOINT_NOT_FOUND");
  writeRaw(directory, header({ b: entry("U8", [1], [0, 1]) }), 1);
  assert.deepEqual([...(await openSafetensors(directory)).tensors.keys()], ["b"]);
});

test("an index is believed only where its shards agree", async (context) => {
  const directory = temporaryDirectory(context);
  const shard = "model-00001-of-00002.safetensors";
  const other = "model-00002-of-00002.safetensors";
  writeRaw(directory, header({ a: entry("U8", [1], [0, 1]) }), 1, shard);
  writeRaw(directory, header({ b: entry("U8", [1], [0, 1]) }), 1, other);
  const open = (index: unknown): (() => Promise<unknown>) => {
    writeFileSync(join(directory, "model.safetensors.index.json"), typeof index === "string" ? index : JSON.stringify(index));
    return () => openSafetensors(directory);
  };
  await open({ metadata: { total_size: 2.5 }, weight_map: { a: shard, b: other } })();
  await rejectsWith(open({ weight_map: { a: shard, b: shard } }), "CHECKPOINT_MISSING_TENSOR");
  await rejectsWith(open({ weight_map: { a: shard, b: other, c: other } }), "CHECKPOINT_MISSING_TENSOR");
  await rejectsWith(open({ weight_map: { a: shard, b: other, c: "model-00003.safetensors" } }), "CHECKPOINT_MISSING_SHARD");
  await rejectsWith(open({ weight_map: {} }), "CHECKPOINT_MALFORMED");
  await rejectsWith(open({ weight_map: [shard] }), "CHECKPOINT_MALFORMED");
  await rejectsWith(open({ weight_map: { a: 1 } }), "CHECKPOINT_MALFORMED");
  await rejectsWith(open({}), "CHECKPOINT_MALFORMED");
  await rejectsWith(open(`{"weight_map":{"a":"${shard}","a":"${other}"}}`), "CHECKPOINT_DUPLICATE");
  await rejectsWith(open("{"), "CHECKPOINT_MALFORMED");
  writeRaw(directory, header({ a: entry("U8", [1], [0, 1]), b: entry("U8", [1], [1, 2]) }), 2, shard);
  await rejectsWith(open({ weight_map: { a: shard, b: other } }), "CHECKPOINT_MALFORMED");
});

test("no name in an index leads out of its directory (CWE-22)", async (context) => {
  const outside = temporaryDirectory(context);
  const directory = join(outside, "model");
  mkdirSync(directory);
  const victim = writeRaw(outside, header({ a: entry("U8", [1], [0, 1]) }), 1, "victim.safetensors");
  writeRaw(directory, header({ a: entry("U8", [1], [0, 1]) }), 1, "inside.safetensors");
  const names = [
    "../victim.safetensors",
    victim,
    "./inside.safetensors",
    "..\\victim.safetensors",
    "x/../inside.safetensors",
    "..",
    "",
    ".safetensors",
    "inside.safetensors\0",
    "C:inside.safetensors",
    "%2e%2e/victim.safetensors",
    "inside.bin",
  ];
  for (const name of names) {
    writeFileSync(join(directory, "model.safetensors.index.json"), JSON.stringify({ weight_map: { a: name } }));
    await rejectsWith(() => openSafetensors(directory), "CHECKPOINT_MALFORMED");
  }
});

test(
  "links that lead out of the directory are refused, those of the hub's cache are followed (CWE-59)",
  { skip: process.platform === "win32" },
  async (context) => {
    const root = temporaryDirectory(context);
    const [directory, blobs, snapshot] = [join(root, "model"), join(root, "blobs"), join(root, "snapshots", "0123abcd")];
    for (const path of [directory, blobs, snapshot]) mkdirSync(path, { recursive: true });
    writeRaw(blobs, header({ a: entry("U8", [1], [0, 1]) }), 1, "beef");
    symlinkSync("../blobs/beef", join(directory, "model.safetensors"));
    await rejectsWith(() => openSafetensors(directory), "CHECKPOINT_MALFORMED");
    symlinkSync("../../blobs/beef", join(snapshot, "model.safetensors"));
    assert.deepEqual([...(await openSafetensors(snapshot)).tensors.keys()], ["a"]);
    symlinkSync(snapshot, join(root, "named"));
    assert.equal((await openSafetensors(join(root, "named"))).tensors.size, 1);
    // A shard as a link out, and one that dangles.
    const sharded = join(root, "sharded");
    mkdirSync(sharded);
    writeFileSync(join(sharded, "model.safetensors.index.json"), JSON.stringify({ weight_map: { a: "s.safetensors" } }));
    symlinkSync("../blobs/beef", join(sharded, "s.safetensors"));
    await rejectsWith(() => openSafetensors(sharded), "CHECKPOINT_MALFORMED");
    symlinkSync("absent", join(root, "model", "dangling.safetensors"));
    await rejectsWith(() => openSafetensors(join(root, "model", "dangling.safetensors")), "CHECKPOINT_NOT_FOUND");
  },
);

test(
  "a named pipe or a directory in place of a file does not make the reader wait",
  { skip: process.platform === "win32", timeout: 10_000 },
  async (context) => {
    const directory = temporaryDirectory(context);
    execFileSync("mkfifo", [join(directory, "model.safetensors")]);
    await rejectsWith(() => openSafetensors(directory), "CHECKPOINT_NOT_FOUND");
    const other = temporaryDirectory(context);
    mkdirSync(join(other, "model.safetensors"));
    await rejectsWith(() => openSafetensors(other), "CHECKPOINT_NOT_FOUND");
  },
);

test("the plan of a real checkpoint says what its own header says, in as many bytes", needs("data/models/families"), async (context) => {
  for (const name of readdirSync(sharedPath("data/models/families")!)) {
    await context.test(name, async () => {
      const opened = await openSafetensors(sharedPath(`data/models/families/${name}`)!);
      for (const file of opened.files) {
        const tensors = [...opened.tensors.values()].filter((tensor) => tensor.file === file);
        const { files } = layoutSafetensors(tensors, { metadata: opened.metadata });
        const original = readFileSync(file);
        assert.equal(files[0]!.bytes, original.length);
        assert.deepEqual(
          JSON.parse(Buffer.from(files[0]!.header.subarray(8)).toString()),
          JSON.parse(original.subarray(8, files[0]!.header.length).toString()),
        );
      }
    });
  }
});

test(
  "a sharded model is the same as the union of its files, and missing one file names it",
  needs("data/models/families/mistral"),
  async (context) => {
    const source = sharedPath("data/models/families/mistral")!;
    const { tensors, files } = await openSafetensors(source);
    assert.ok(files.length > 1);
    const sizes = await Promise.all(files.map(async (file) => (await openSafetensors(file)).tensors.size));
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      tensors.size,
    );
    const directory = temporaryDirectory(context);
    for (const name of readdirSync(source)) if (!name.includes("00003")) copyFileSync(join(source, name), join(directory, name));
    await assert.rejects(openSafetensors(directory), { code: "CHECKPOINT_MISSING_SHARD", message: /00003/ });
  },
);

test("an index beyond its limit is refused unread", async (context) => {
  const directory = temporaryDirectory(context);
  const file = join(directory, "model.safetensors.index.json");
  writeFileSync(file, "{");
  truncateSync(file, 100_000_001); // sparse: takes no space
  await rejectsWith(() => openSafetensors(directory), "CHECKPOINT_TOO_LARGE");
});
