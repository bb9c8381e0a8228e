/** Damaged files: each is refused with a typed error or still describes tensors that lie inside it. Never a crash, a hang or a lie. */
import assert from "node:assert/strict";
import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { opensOrRefuses, replaceFile, temporaryDirectory } from "./files.fixture.ts";
import { layoutGguf, openGguf } from "./gguf.ts";
import { layoutSafetensors, openSafetensors } from "./safetensors.ts";

const tensors = [
  { name: "model.embed_tokens.weight", format: "BF16", shape: [8, 32] },
  { name: "model.norm.weight", format: "F32", shape: [32] },
  { name: "lm_head.weight", format: "F16", shape: [8, 32] },
] as const;

function smallSafetensors(): Buffer {
  const { files } = layoutSafetensors(tensors, { metadata: { format: "pt" } });
  return Buffer.concat([files[0]!.header, Buffer.alloc(files[0]!.bytes - files[0]!.header.length)]);
}

function smallGguf(): Buffer {
  const { header, bytes } = layoutGguf(
    new Map([
      ["general.architecture", { type: "string", value: "llama" }],
      ["llama.block_count", { type: "u32", value: 1 }],
      ["tokenizer.ggml.tokens", { type: "array", of: "string", value: ["<t0>", "<t1>"] }],
      ["tokenizer.ggml.scores", { type: "array", of: "f32", value: [0, -1] }],
    ]),
    tensors,
  );
  return Buffer.concat([header, Buffer.alloc(bytes - header.length)]);
}

const kinds = [
  { kind: "safetensors", whole: smallSafetensors(), name: "model.safetensors", open: openSafetensors },
  { kind: "GGUF", whole: smallGguf(), name: "model.gguf", open: openGguf },
] as const;

for (const { kind, whole, name, open } of kinds) {
  test(`${kind}: cut at any byte, it is refused`, async (context) => {
    const file = join(temporaryDirectory(context), name);
    replaceFile(file, whole);
    assert.equal(await opensOrRefuses(() => open(file)), "opened");
    // The padding after GGUF's last tensor carries nothing.
    for (let length = whole.length - 32; length >= 0; length--) {
      truncateSync(file, length);
      assert.equal(await opensOrRefuses(() => open(file)), "refused", `cut to ${length}`);
    }
  });

  test(`${kind}: every byte of the header replaced by 0, 255 and each single flipped bit`, { timeout: 60_000 }, async (context) => {
    const file = join(temporaryDirectory(context), name);
    const header = whole.length - (2 * 8 * 32 + 4 * 32 + 2 * 8 * 32);
    for (let at = 0; at < header; at++) {
      for (const value of [0, 255, ...Array.from({ length: 8 }, (_, bit) => whole[at]! ^ (1 << bit))]) {
        replaceFile(file, whole.with(at, value));
        await opensOrRefuses(() => open(file));
      }
    }
  });

  test(`${kind}: any handful of edits leaves it refused or consistent`, { timeout: 60_000 }, async (context) => {
    const file = join(temporaryDirectory(context), name);
    const place = fc.oneof(fc.nat(whole.length - 1), fc.nat(400));
    const edit = fc.oneof(
      fc.record({ at: place, remove: fc.nat(8), insert: fc.uint8Array({ maxLength: 8 }) }),
      // Numbers that parsers stumble over: as JSON text and as little-endian words.
      fc.record({
        at: place,
        remove: fc.constantFrom(1, 4, 8),
        insert: fc
          .constantFrom("-1", "1e99", "99999999999999999999", "0.5", "[[[[", '"a":', "\\u0000", "__proto__")
          .map((text) => new Uint8Array(Buffer.from(text))),
      }),
      fc.record({
        at: place,
        remove: fc.constant(8),
        insert: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((word) => new Uint8Array(BigUint64Array.of(word).buffer)),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        let bytes: Uint8Array = whole;
        for (const { at, remove, insert } of edits) bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
        replaceFile(file, bytes);
        const before = process.memoryUsage().arrayBuffers;
        await opensOrRefuses(() => open(file));
        assert.ok(process.memoryUsage().arrayBuffers - before < 4e6);
      }),
      { numRuns: 3000 },
    );
  });

  test(`${kind}: any bytes after the first few`, async (context) => {
    const file = join(temporaryDirectory(context), name);
    await fc.assert(
      fc.asyncProperty(fc.nat(64), fc.uint8Array({ maxLength: 300 }), async (kept, noise) => {
        replaceFile(file, Buffer.concat([whole.subarray(0, kept), noise]));
        await opensOrRefuses(() => open(file));
      }),
      { numRuns: 1000 },
    );
  });
}

test("a real GGUF header under random edits", needs("data/models/stories260K-f32.gguf"), async (context) => {
  const file = join(temporaryDirectory(context), "model.gguf");
  const whole = readFileSync(sharedPath("data/models/stories260K-f32.gguf")!);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(14_000), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 }),
      async (edits) => {
        const bytes = Uint8Array.from(whole);
        for (const [at, value] of edits) bytes[at] = value;
        replaceFile(file, bytes);
        await opensOrRefuses(() => openGguf(file));
      },
    ),
    { numRuns: 300 },
  );
});

test("a real index under random edits", needs("data/models/families/mistral"), async (context) => {
  const directory = temporaryDirectory(context);
  const source = sharedPath("data/models/families/mistral")!;
  const index = readFileSync(join(source, "model.safetensors.index.json"), "utf8");
  for (const file of (await openSafetensors(source)).files) replaceFile(join(directory, file.slice(source.length + 1)), readFileSync(file));
  const piece = fc.oneof(
    fc.string({ unit: "grapheme-ascii", maxLength: 6 }),
    fc.constantFrom("../", "\\", '"', "}", "00004", "null", "__proto__"),
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(index.length), fc.nat(6), piece, async (at, remove, insert) => {
      replaceFile(join(directory, "model.safetensors.index.json"), index.slice(0, at) + insert + index.slice(at + remove));
      await opensOrRefuses(() => openSafetensors(directory));
    }),
    { numRuns: 500 },
  );
});
