/** Damaged ONNX files: refused with a typed error, or read, checked and written again byte for byte. Never a crash, a hang or much memory. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { UnseenError } from "../errors.ts";
import { replaceFile, temporaryDirectory } from "./files.fixture.ts";
import { EXTERNAL_DATA, contentOf, edited, everything } from "./onnx.fixture.ts";
import { checkGraph } from "./onnx-graph.ts";
import { decodeOnnx, openOnnx, type OnnxModel } from "./onnx.ts";

const whole = everything({ external: false });

function refusal(error: unknown): "refused" {
  assert.ok(UnseenError.isInstance(error) && error.code.startsWith("CHECKPOINT_"), `expected a typed refusal, got ${String(error)}`);
  assert.match(error.line, /^[\x20-\x7e]+$/);
  return "refused";
}

/** Whatever is opened keeps its promises: tensors of their size, the same bytes when nothing changes, the same content when stripped. */
function opensOrRefuses(bytes: Uint8Array): "opened" | "refused" {
  const before = process.memoryUsage().arrayBuffers;
  let model: OnnxModel;
  try {
    model = decodeOnnx(bytes);
  } catch (error) {
    assert.ok(process.memoryUsage().arrayBuffers - before < 4e6);
    return refusal(error);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 4e6);
  const content = contentOf(model.graph);
  for (const tensor of model.graph.initializers.values()) assert.equal(tensor.read().length, tensor.bytes);
  assert.ok(Buffer.from(edited(model, {})).equals(bytes));
  try {
    const stripped = decodeOnnx(edited(model, { strip: true }));
    assert.deepEqual(contentOf(stripped.graph), content);
    checkGraph(model.graph);
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    refusal(error);
  }
  return "opened";
}

test("cut at any byte, a model is refused or has lost a whole field of its end", () => {
  assert.equal(opensOrRefuses(whole), "opened");
  const results = Array.from({ length: whole.length }, (_, length) => opensOrRefuses(whole.subarray(0, length)));
  assert.ok(results.filter((result) => result === "opened").length <= 4);
  assert.ok(results.lastIndexOf("opened") > results.lastIndexOf("refused") - 40);
});

test("every byte replaced by 0, 255 and each single flipped bit", { timeout: 60_000 }, () => {
  for (let at = 0; at < whole.length; at++)
    for (const value of [0, 255, ...Array.from({ length: 8 }, (_, bit) => whole[at]! ^ (1 << bit))]) opensOrRefuses(whole.with(at, value));
});

const edit = fc.oneof(
  fc.record({ at: fc.nat(whole.length - 1), remove: fc.nat(8), insert: fc.uint8Array({ maxLength: 8 }) }),
  // Lengths and counts that parsers stumble over.
  fc.record({
    at: fc.nat(whole.length - 1),
    remove: fc.constantFrom(0, 1, 2),
    insert: fc
      .constantFrom(
        [0xff, 0xff, 0xff, 0xff, 0x07],
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        [0x80, 0x00],
        [0x0a, 0x00],
        [0x2a, 0x00],
        [0x32, 0x00],
      )
      .map((bytes) => Uint8Array.from(bytes)),
  }),
  // A piece of the model inside itself.
  fc
    .tuple(fc.nat(whole.length - 1), fc.nat(whole.length - 1), fc.nat(60))
    .map(([at, from, length]) => ({ at, remove: length, insert: whole.slice(from, from + length) })),
);

test("any handful of edits", { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let bytes: Uint8Array = whole;
      for (const { at, remove, insert } of edits)
        bytes = new Uint8Array(Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]));
      opensOrRefuses(bytes);
    }),
    { numRuns: 3000 },
  );
});

test("any bytes after the first few", () => {
  fc.assert(
    fc.property(fc.nat(64), fc.uint8Array({ maxLength: 300 }), (kept, noise) => {
      opensOrRefuses(new Uint8Array(Buffer.concat([whole.subarray(0, kept), noise])));
    }),
    { numRuns: 2000 },
  );
});

test("files with external data under random edits", { timeout: 60_000 }, async (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, "model.onnx");
  writeFileSync(join(directory, "model.data"), EXTERNAL_DATA);
  const complete = everything({ external: true });
  const start = Buffer.from(complete).indexOf("model.data") - 60;
  let opened = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(220), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 }), async (edits) => {
      const bytes = complete.slice();
      for (const [at, value] of edits) bytes[start + at] = value;
      replaceFile(path, bytes);
      try {
        const model = await openOnnx(path);
        for (const tensor of model.graph.initializers.values()) assert.equal(tensor.read().length, tensor.bytes);
        for (const file of model.files) assert.ok(file.startsWith(directory));
        opened++;
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        refusal(error);
      }
    }),
    { numRuns: 1500 },
  );
  assert.ok(opened > 10);
});

test("a real model under random edits", needs("data/vision/mnist-cnn.onnx"), () => {
  const real = new Uint8Array(readFileSync(sharedPath("data/vision/mnist-cnn.onnx")!));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(real.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 }), (edits) => {
      const bytes = real.slice();
      for (const [at, value] of edits) bytes[at] = value;
      opensOrRefuses(bytes);
    }),
    { numRuns: 200 },
  );
});

test("many small things cost little: a megabyte of empty nodes, values, tensors or numbers", () => {
  for (const tag of [0x0a, 0x5a, 0x2a, 0x7a]) {
    const graph = new Uint8Array(2 ** 20);
    for (let at = 0; at < graph.length; at += 2) graph[at] = tag;
    const bytes = Buffer.concat([Uint8Array.of(8, 8, 0x42, 2, 0x10, 17, 0x3a, 0x80, 0x80, 0x40), graph]);
    assert.equal(opensOrRefuses(new Uint8Array(bytes)), "refused");
  }
});
