/** Tensors of every type, raw or in typed fields, and what is refused. */
import assert from "node:assert/strict";
import { openSync, closeSync, ftruncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { temporaryDirectory } from "./files.fixture.ts";
import { bytesOf, modelMessage, tensorMessage, throwsWith, varints } from "./onnx.fixture.ts";
import { tensorOf } from "./onnx-tensor.ts";
import { decodeOnnx, openOnnx, type OnnxTensor } from "./onnx.ts";
import { Rope } from "./protobuf-write.ts";

function tensorIn(message: Rope): OnnxTensor {
  return [...decodeOnnx(bytesOf(modelMessage(new Rope().bytes(5, message)))).graph.initializers.values()][0]!;
}

const integersBelow = (bits: number): fc.Arbitrary<bigint[]> =>
  fc.array(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }).map((value) => BigInt.asIntN(bits, value)),
    { maxLength: 5 },
  );

const TYPED: readonly { type: string; number: number; field: number; bits: number; name?: string }[] = [
  { type: "uint8", number: 2, field: 5, bits: 8 },
  { type: "int8", number: 3, field: 5, bits: 8 },
  { type: "uint16", number: 4, field: 5, bits: 16 },
  { type: "int16", number: 5, field: 5, bits: 16 },
  { type: "int32", number: 6, field: 5, bits: 32 },
  { type: "int64", number: 7, field: 7, bits: 64 },
  { type: "float16", number: 10, field: 5, bits: 16 },
  { type: "uint32", number: 12, field: 11, bits: 32 },
  { type: "uint64", number: 13, field: 11, bits: 64 },
  { type: "bfloat16", number: 16, field: 5, bits: 16 },
  { type: "other", number: 17, field: 5, bits: 8, name: "float8e4m3fn" },
];

for (const { type, number, field, bits, name } of TYPED) {
  test(`typed data of ${name ?? type}: packed, one by one or both, they are the raw data`, () => {
    fc.assert(
      fc.property(integersBelow(bits), integersBelow(bits), (packed, single) => {
        const values = [...packed, ...single];
        const expected = new Uint8Array((values.length * bits) / 8);
        for (const [index, value] of values.entries())
          for (let byte = 0; byte < bits / 8; byte++) expected[(index * bits) / 8 + byte] = Number((value >> BigInt(8 * byte)) & 0xffn);
        const typed = tensorIn(
          tensorMessage("t", [values.length], number, (rope) => {
            if (packed.length > 0) rope.bytes(field, varints(...packed));
            for (const value of single) rope.varint(field, value);
            return rope;
          }),
        );
        const raw = tensorIn(tensorMessage("t", [values.length], number, (rope) => rope.bytes(9, expected)));
        for (const tensor of [typed, raw]) {
          assert.equal(tensor.type, type);
          assert.equal(tensor.bytes, expected.length);
          assert.deepEqual(tensor.read(), expected);
        }
      }),
      { numRuns: 50 },
    );
  });
}

test("typed data of float32 and float64: packed, one by one or both", () => {
  const single = tensorIn(
    tensorMessage("t", [3], 1, (rope) => rope.float32(4, 1.5).bytes(4, new Uint8Array(Float32Array.of(-2, 3).buffer))),
  );
  assert.deepEqual(new Float32Array(single.read().buffer as ArrayBuffer), Float32Array.of(1.5, -2, 3));
  const double = tensorIn(tensorMessage("t", [2], 11, (rope) => rope.bytes(10, new Uint8Array(Float64Array.of(1 / 3, 7).buffer))));
  assert.deepEqual(new Float64Array(double.read().buffer as ArrayBuffer), Float64Array.of(1 / 3, 7));
  throwsWith(
    () => tensorIn(tensorMessage("t", [1], 1, (rope) => rope.bytes(4, new Uint8Array(5)))),
    "CHECKPOINT_MALFORMED",
    /numbers of 4 bytes/,
  );
});

test("booleans, four-bit numbers, complex numbers and empty tensors have their packed sizes", () => {
  assert.deepEqual(tensorIn(tensorMessage("t", [2], 9, (rope) => rope.bytes(5, varints(1, 0)))).read(), Uint8Array.of(1, 0));
  assert.deepEqual(tensorIn(tensorMessage("t", [3], 22, (rope) => rope.bytes(5, varints(0x21, 3)))).read(), Uint8Array.of(0x21, 3));
  assert.deepEqual(tensorIn(tensorMessage("t", [5], 21, (rope) => rope.bytes(9, Uint8Array.of(1, 2, 3)))).bytes, 3);
  assert.equal(tensorIn(tensorMessage("t", [1], 14, (rope) => rope.bytes(4, new Uint8Array(8)))).bytes, 8);
  assert.deepEqual(tensorIn(tensorMessage("t", [0, 7], 1, (rope) => rope)).read(), new Uint8Array(0));
  assert.deepEqual(tensorIn(tensorMessage("t", [0], 1, (rope) => rope.bytes(9, ""))).read(), new Uint8Array(0));
});

for (const { what, message, code, pattern } of [
  {
    what: "too few raw bytes",
    message: tensorMessage("t", [2], 1, (rope) => rope.bytes(9, new Uint8Array(4))),
    pattern: /expected 8 bytes/,
  },
  {
    what: "too many typed numbers",
    message: tensorMessage("t", [1], 7, (rope) => rope.bytes(7, varints(1, 2))),
    pattern: /expected 8 bytes/,
  },
  { what: "no data", message: tensorMessage("t", [1], 7, (rope) => rope), pattern: /got 0/ },
  { what: "data of another type", message: tensorMessage("t", [1], 7, (rope) => rope.bytes(5, varints(1))), pattern: /in field 7/ },
  {
    what: "typed data of two types",
    message: tensorMessage("t", [1], 7, (rope) => rope.varint(7, 1).varint(5, 1)),
    pattern: /fields 7 and 5/,
  },
  {
    what: "both raw and typed data",
    message: tensorMessage("t", [1], 7, (rope) => rope.varint(7, 1).bytes(9, new Uint8Array(8))),
    pattern: /both/,
  },
  { what: "raw data twice", message: tensorMessage("t", [1], 3, (rope) => rope.bytes(9, "a").bytes(9, "b")), pattern: /twice/ },
  { what: "a negative dimension", message: tensorMessage("t", [-1], 1, (rope) => rope), pattern: /non-negative/ },
  { what: "a segment", message: tensorMessage("t", [1], 3, (rope) => rope.bytes(3, "").bytes(9, "a")), pattern: /segments/ },
  {
    what: "an overflow",
    message: tensorMessage("t", [2 ** 30, 2 ** 30], 1, (rope) => rope),
    code: "CHECKPOINT_TOO_LARGE",
    pattern: /2\^53/,
  },
  {
    what: "an overflow in bits",
    message: tensorMessage("t", [2 ** 50], 1, (rope) => rope),
    code: "CHECKPOINT_TOO_LARGE",
    pattern: /2\^53 bits/,
  },
  {
    what: "nine dimensions",
    message: tensorMessage("t", [1, 1, 1, 1, 1, 1, 1, 1, 1], 3, (rope) => rope.bytes(9, "a")),
    code: "CHECKPOINT_TOO_LARGE",
    pattern: /9 dimensions/,
  },
  {
    what: "65 dimensions",
    message: new Rope().bytes(1, varints(...Array<number>(65).fill(1))),
    code: "CHECKPOINT_TOO_LARGE",
    pattern: /dimensions/,
  },
  {
    what: "an unknown type",
    message: tensorMessage("t", [1], 27, (rope) => rope),
    code: "CHECKPOINT_DTYPE_UNSUPPORTED",
    pattern: /type 27/,
  },
  { what: "too few texts", message: tensorMessage("t", [2], 8, (rope) => rope.bytes(6, "a")), pattern: /2 texts/ },
  { what: "a shape of a wrong wire type", message: new Rope().float32(1, 1), pattern: /wire type/ },
  { what: "external data in memory", message: tensorMessage("t", [1], 3, (rope) => rope.varint(14, 1)), pattern: /another file/ },
  { what: "no name", message: tensorMessage("", [1], 3, (rope) => rope.bytes(9, "a")), pattern: /name/ },
] as const) {
  test(`refuses a tensor with ${what}`, () => {
    throwsWith(() => tensorIn(message), code ?? "CHECKPOINT_MALFORMED", pattern);
  });
}

test("a tensor of 2 GB is opened without being read", async (context) => {
  const path = join(temporaryDirectory(context), "model.onnx");
  const elements = (2 ** 31 - 4096) / 4;
  const header = tensorMessage("w", [elements], 1, (rope) => rope.add(Uint8Array.of(0x4a)).add(varints(4 * elements)));
  const graph = new Rope()
    .add(Uint8Array.of(0x2a))
    .add(varints(header.length + 4 * elements))
    .append(header);
  const model = new Rope()
    .varint(1, 8)
    .bytes(8, new Rope().varint(2, 17))
    .add(Uint8Array.of(0x3a))
    .add(varints(graph.length + 4 * elements))
    .append(graph);
  const file = openSync(path, "w");
  writeSync(file, bytesOf(model));
  ftruncateSync(file, model.length + 4 * elements);
  writeSync(file, Uint8Array.of(1, 2, 3, 4), 0, 4, model.length + 4 * elements - 4);
  closeSync(file);
  const before = process.memoryUsage().arrayBuffers;
  const tensor = (await openOnnx(path)).graph.initializers.get("w")!;
  assert.ok(process.memoryUsage().arrayBuffers - before < 1e6);
  assert.deepEqual([tensor.bytes, tensor.location], [4 * elements, { file: path, offset: model.length }]);
});

test("tensors in memory are checked too", () => {
  throwsWith(() => tensorOf("w", "float32", [2], new Uint8Array(4)), "CHECKPOINT_MALFORMED", /expected 8 bytes/);
  throwsWith(() => tensorOf("w", "other", [2], new Uint8Array(4)), "CHECKPOINT_DTYPE_UNSUPPORTED");
  throwsWith(() => tensorOf("w", "string", [2], new Uint8Array(4)), "CHECKPOINT_DTYPE_UNSUPPORTED");
});
