import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { ClientInterface } from "@unseen/core/blueprint/interface.ts";
import type { ModelOutput } from "@unseen/core/blueprint/output.ts";
import { elementOf, type LeafRecipe } from "@unseen/core/blueprint/recipe.ts";
import { Elements, vocabularyPermutation, vocabularySpace } from "@unseen/core/blueprint/spaces.ts";
import { layoutSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import type { Bundle } from "../bundle.ts";
import { TensorCipher, type StemRunner } from "./tensor-cipher.ts";
import { readTensorFile, writeTensorFile, type NamedTensor, type NumberFormat } from "./tensor-file.ts";

const secret = Uint8Array.from({ length: 32 }, (_, index) => index * 3 + 1);
const bundle: Bundle = {
  version: 1,
  fingerprint: "12".repeat(16),
  name: "m",
  keyId: "ab".repeat(8),
  strength: "rotate",
  family: "onnx",
  vocabularySize: 8,
  contextLength: 4,
  created: "2026-11-21T10:00:00.000Z",
  eosIds: [],
  bosId: null,
  generation: {},
};
const leaf = (id: string, size: number, map: LeafRecipe["map"] = "orthogonal"): LeafRecipe => ({
  kind: "leaf",
  id,
  size,
  map,
  dual: false,
  scales: [],
  signs: [],
  within: [],
});
const unused = { stem: null, task: "other", pooling: null, normalise: false, maximumLength: null, labels: null, image: null } as const;
const ends: ClientInterface = {
  ...unused,
  fixedLength: 4,
  inputs: [
    { name: "input_ids", kind: "ids", label: "vocabulary.fixing.1", size: 8, order: leaf("order", 4, "permutation") },
    { name: "attention_mask", kind: "mask", order: leaf("order", 4, "permutation") },
    { name: "places", kind: "peaks", of: "input_ids" },
    { name: "patches", kind: "tensor", axes: [null, leaf("patches", 3, "permutation"), leaf("pixels", 2)] },
    { name: "scale", kind: "tensor", axes: [null] },
  ],
  outputs: [
    { name: "logits", axes: [null, leaf("classes", 3, "general")] },
    { name: "index", axes: [null, null] },
    { name: "hidden", axes: [null, leaf("order", 4, "permutation"), leaf("stream", 2)] },
  ],
};
const stream: ModelOutput = {
  name: "last_hidden_state",
  space: { id: "stream", size: 4, group: { kind: "stream", norm: "layer", foldable: true } },
  norm: { gain: [1, 0.5, 2, 0], bias: [0, 1, 2, 3], offset: 1 },
};
const cipher = new TensorCipher({ bundle, ends, outputs: [stream], secret, stem: null });
const tensor = (name: string, shape: number[], values: readonly number[], format: NumberFormat = "F32"): NamedTensor => ({
  name,
  format,
  shape,
  values: Float64Array.from(values),
});
const near = (actual: Float64Array, expected: ArrayLike<number>): void => {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, i) => assert.ok(Math.abs(value - expected[i]!) < 1e-9, `${i}: ${value} ${expected[i]}`));
};
const refuses = async (work: () => unknown, code: string, message: RegExp): Promise<void> =>
  assert.rejects(
    async () => work(),
    (error: { code: string; message: string }) => error.code === code && message.test(error.message),
  );

describe("inputs", () => {
  const ids = tensor("input_ids", [2, 4], [5, 3, 1, 1, 2, 7, 7, 1], "I64");
  const mask = tensor("attention_mask", [2, 4], [1, 1, 0, 0, 1, 1, 1, 0], "BOOL");

  test("ids in their permutation and secret order, the mask with them, and the place of the highest id", async () => {
    const [sentIds, sentMask, places] = await cipher.encipher([ids, mask]);
    const permutation = vocabularyPermutation(secret, vocabularySpace(8, [1]));
    const order = elementOf(leaf("order", 4, "permutation"), secret)!;
    const expected = Float64Array.from(
      [0, 4].flatMap((row) => {
        const plain = ids.values.slice(row, row + 4);
        order.apply(plain, 1);
        return [...plain].map((id) => permutation[id]!);
      }),
    );
    assert.deepEqual(sentIds, { ...ids, values: expected, protection: "enciphered" });
    // Where the padding id stands, which keeps its number, the mask is 0.
    sentMask!.values.forEach((value, i) => assert.equal(value, expected[i] === 1 ? 0 : 1));
    assert.deepEqual([sentMask!.format, sentMask!.protection], ["BOOL", "no content"]);
    assert.deepEqual(places, { ...tensor("places", [2], [0, 1], "I64"), protection: "clear" });
    assert.deepEqual([...ids.values], [5, 3, 1, 1, 2, 7, 7, 1], "the plain ones stay");
  });

  test("numbers under a key along each axis, and numbers in clear", async () => {
    const plain = tensor("patches", [1, 3, 2], [1, 2, 3, 4, 5, 6]);
    const [sent] = await cipher.encipher([plain]);
    assert.equal(sent!.protection, "enciphered");
    const rows = [0, 2, 4].map((at) => sent!.values.subarray(at, at + 2));
    const length = (pair: ArrayLike<number>): number => Math.hypot(pair[0]!, pair[1]!);
    near(
      Float64Array.from(rows.map(length)).toSorted(),
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ].map(length),
    );
    assert.deepEqual(await cipher.encipher([tensor("scale", [1], [3])]), [{ ...tensor("scale", [1], [3]), protection: "clear" }]);
  });

  test("the client's own part makes the host's inputs of a picture", async () => {
    const stem: StemRunner = {
      run: async ({ shape }) => new Map([["patches", { shape: [shape[0]!, 3, 2], values: Float64Array.of(1, 2, 3, 4, 5, 6) }]]),
    };
    const stemmed = new TensorCipher({ bundle, ends, outputs: [], secret, stem });
    const [expected] = await cipher.encipher([tensor("patches", [1, 3, 2], [1, 2, 3, 4, 5, 6])]);
    assert.deepEqual(await stemmed.encipher([tensor("pixel_values", [1, 1, 2, 2], [0, 0, 0, 0])]), [expected]);
    const astray: StemRunner = { run: async () => new Map([["elsewhere", { shape: [1], values: Float64Array.of(1) }]]) };
    await refuses(
      () => new TensorCipher({ bundle, ends, outputs: [], secret, stem: astray }).encipher([tensor("x", [1], [0])]),
      "USAGE",
      /elsewhere/,
    );
  });

  test("what does not fit is refused", async () => {
    await refuses(() => cipher.encipher([tensor("labels", [1], [0])]), "USAGE", /labels/);
    await refuses(() => cipher.encipher([tensor("places", [1], [0], "I64")]), "USAGE", /places/);
    await refuses(() => cipher.encipher([tensor("input_ids", [1, 4], [1, 2, 8, 1], "I64")]), "TOKEN_OUT_OF_RANGE", /below 8/);
    await refuses(() => cipher.encipher([tensor("input_ids", [1, 3], [1, 2, 3], "I64")]), "CHECKPOINT_WRONG_SHAPE", /filled up to 4/);
    await refuses(
      () => cipher.encipher([tensor("input_ids", [1, 4], [1, 2, 3, 1])]),
      "CHECKPOINT_DTYPE_UNSUPPORTED",
      /whole numbers, got F32/,
    );
    await refuses(
      () => cipher.encipher([tensor("patches", [1, 3, 2], [1, 2, 3, 4, 5, 6], "I32")]),
      "CHECKPOINT_DTYPE_UNSUPPORTED",
      /floating/,
    );
    await refuses(
      () => cipher.encipher([tensor("patches", [1, 2, 3], [1, 2, 3, 4, 5, 6])]),
      "CHECKPOINT_WRONG_SHAPE",
      /\(any, 3, 2\), got \(1, 2, 3\)/,
    );
  });
});

describe("outputs", () => {
  const classes = elementOf(leaf("classes", 3, "general"), secret)!;
  const encrypted = (plain: readonly number[]): number[] => {
    const values = Float64Array.from(plain);
    for (let at = 0; at < plain.length; at += 3) classes.apply(values.subarray(at, at + 3), 1);
    return [...values];
  };
  const plain = [1, 2, 3, 4, 5, 6];

  test("with any leading axes, in any format that holds fractions", () => {
    for (const shape of [
      [2, 3],
      [1, 2, 3],
      [1, 2, 1, 3],
    ]) {
      const read = cipher.decipher(tensor("logits", shape, encrypted(plain), "BF16"));
      assert.deepEqual([read.format, read.shape], ["F32", shape]);
      near(read.values, plain);
    }
    near(cipher.decipher(tensor("logits", [3], encrypted([7, 8, 9]))).values, [7, 8, 9]);
    assert.deepEqual(cipher.decipher(tensor("logits", [0, 3], [])).shape, [0, 3]);
    assert.deepEqual(cipher.decipher(tensor("index", [2, 1], [4, 5], "I64")), tensor("index", [2, 1], [4, 5], "I64"));
    assert.deepEqual(cipher.decipher(tensor("index", [1, 1], [4], "F16")), tensor("index", [1, 1], [4]));
  });

  test("behind a folded norm, in more rows than are read at once", () => {
    const element = new Elements({ secret, strength: "rotate" }, "half").of(stream.space)!;
    const { gain, bias, offset } = stream.norm!;
    const rows = (1 << 18) + 3;
    const values = new Float64Array(4 * rows);
    const expected = new Float64Array(4 * rows);
    for (const row of [0, 1, (1 << 18) - 1, 1 << 18, rows - 1]) {
      const panel = Float64Array.from([row % 7, 1, -2, row % 3]);
      expected.set(
        panel.map((value, i) => value * gain[i]! + bias[i]!),
        4 * row,
      );
      element.apply(panel, 1);
      values.set(
        panel.map((value) => value + offset),
        4 * row,
      );
    }
    const read = cipher.decipher({ name: "last_hidden_state", format: "F32", shape: [1, rows, 4], values });
    for (const row of [0, 1, (1 << 18) - 1, 1 << 18, rows - 1])
      near(read.values.slice(4 * row, 4 * row + 4), expected.slice(4 * row, 4 * row + 4));
  });

  test("what does not fit is refused", async () => {
    assert.deepEqual(cipher.outputs, ["logits", "index", "hidden", "last_hidden_state"]);
    await refuses(() => cipher.decipher(tensor("attentions", [1], [0])), "USAGE", /attentions/);
    await refuses(() => cipher.decipher(tensor("logits", [3, 2], plain)), "CHECKPOINT_WRONG_SHAPE", /\(any, 3\), got \(3, 2\)/);
    await refuses(() => cipher.decipher(tensor("logits", [], [1])), "CHECKPOINT_WRONG_SHAPE", /got \(\)/);
    await refuses(() => cipher.decipher(tensor("logits", [1, 3], [1, 2, 3], "I64")), "CHECKPOINT_DTYPE_UNSUPPORTED", /got I64/);
    await refuses(() => cipher.decipher(tensor("hidden", [2], [1, 2])), "CHECKPOINT_WRONG_SHAPE", /\(any, 4, 2\), got \(2\)/);
    await refuses(() => cipher.decipher(tensor("last_hidden_state", [2, 2], [1, 2, 3, 4])), "CHECKPOINT_WRONG_SHAPE", /4 numbers/);
  });

  test("a model that continues text: logits over cipher ids", () => {
    const decoder = new TensorCipher({ bundle: { ...bundle, family: "llama" }, ends: null, outputs: [], secret, stem: null });
    const values = new Float64Array(8);
    vocabularyPermutation(secret, 8).forEach((id, plainId) => (values[id] = plainId));
    assert.deepEqual([...decoder.decipher({ name: "logits", format: "F32", shape: [1, 1, 8], values }).values], [0, 1, 2, 3, 4, 5, 6, 7]);
  });
});

describe("files", async () => {
  const directory = await mkdtemp(join(tmpdir(), "unseen-tensors-"));
  after(() => rm(directory, { recursive: true }));
  const at = (name: string): string => join(directory, name);

  test("every format comes back number for number, metadata does not", async () => {
    const tensors = [
      tensor("I64", [2], [-(2 ** 53) + 1, 7], "I64"),
      tensor("I32", [2], [-(2 ** 31), 7], "I32"),
      tensor("U8", [2], [0, 255], "U8"),
      tensor("BOOL", [2], [0, 1], "BOOL"),
      tensor("F64", [1], [Math.PI], "F64"),
      tensor("F32", [2, 2], [0.5, -0.25, Infinity, 3], "F32"),
      tensor("F16", [1], [0.5], "F16"),
      tensor("BF16", [1], [-2], "BF16"),
      tensor("scalar", [], [4], "F32"),
      tensor("none", [0, 3], [], "F32"),
    ];
    await writeTensorFile(at("all.safetensors"), tensors, 0o600);
    const read = (await readTensorFile(at("all.safetensors"))).map((entry) => entry.read());
    const sorted = (list: readonly NamedTensor[]): NamedTensor[] => list.toSorted((a, b) => a.name.localeCompare(b.name));
    assert.deepEqual(sorted(read), sorted(tensors));
    await refuses(() => writeTensorFile(at("all.safetensors"), tensors, 0o600), "OUTPUT_EXISTS", /all\.safetensors/);
  });

  test("hostile files are refused before anything is computed", async () => {
    const write = async (name: string, dtype: "I64" | "BOOL" | "I16", shape: number[], bytes: Uint8Array): Promise<string> => {
      const { files } = layoutSafetensors([{ name: "x", format: dtype, shape }]);
      await writeFile(at(name), Buffer.concat([files[0]!.header, bytes]));
      return at(name);
    };
    const readFirst = async (path: string): Promise<unknown> => (await readTensorFile(path))[0]!.read();
    const large = await write("large.safetensors", "I64", [1], Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 64));
    await refuses(() => readFirst(large), "CHECKPOINT_MALFORMED", /I64 from/);
    const two = await write("two.safetensors", "BOOL", [1], Uint8Array.of(2));
    await refuses(() => readFirst(two), "CHECKPOINT_MALFORMED", /BOOL from 0 to 1/);
    const short = await write("short.safetensors", "I16", [1], Uint8Array.of(2, 0));
    await refuses(() => readFirst(short), "CHECKPOINT_DTYPE_UNSUPPORTED", /got I16/);
    const cut = await write("cut.safetensors", "I64", [4], Uint8Array.of(2, 0));
    await refuses(() => readFirst(cut), "CHECKPOINT_TRUNCATED", /./);
    await refuses(() => readTensorFile(at("config.json")), "USAGE", /\.safetensors/);
    await refuses(() => readTensorFile(at("absent.safetensors")), "CHECKPOINT_NOT_FOUND", /absent/);
  });
});
