/**
 * `unseen encipher` and `unseen decipher` around an untrusted machine that runs encrypted encoders by itself. Here that machine is the
 * reference implementation, or ONNX Runtime; it gets the encrypted model and enciphered files, and nothing else.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { volume } from "@unseen/client/encoders/tensor.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { createKey, removeKey } from "@unseen/client/keyring.ts";
import { readTensorFile, writeTensorFile, type NamedTensor, type NumberFormat } from "@unseen/client/tensors/tensor-file.ts";
import { RandomStream } from "@unseen/core/algebra/random.ts";
import type { JsonObject } from "@unseen/core/blueprint/config.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { openOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { encode, type EncoderInput } from "@unseen/core/reference/encoder.ts";
import { forward } from "@unseen/core/reference/forward.ts";
import { OnnxRunner } from "unseen/onnx/runner.ts";
import { writeVariant } from "../packages/core/src/blueprint/variant.fixture.ts";
import { ask, runCommand, STORY_LLAMA, temporaryDirectory } from "./command-line.ts";
import { needs, sharedPath } from "./shared.ts";

const home = temporaryDirectory("decipher");
const here = { home };
const at = (name: string): string => join(home, name);
const random = new RandomStream(new Uint8Array(32).fill(5));

interface Input {
  name: string;
  shape: number[];
  protection: string;
}

const SIZES = { hidden_size: 32, intermediate_size: 40, num_hidden_layers: 2, num_attention_heads: 4 } as const satisfies JsonObject;
const TEXT = { vocab_size: 64, max_position_embeddings: 40, ...SIZES } as const satisfies JsonObject;
const IMAGE = { image_size: 12, patch_size: 4, num_channels: 3, ...SIZES } as const satisfies JsonObject;
const model = (family: string, architecture: string, config: JsonObject): JsonObject => ({
  model_type: family,
  architectures: [architecture],
  ...config,
});
const models: Readonly<Record<string, JsonObject>> = {
  bert: model("bert", "BertForSequenceClassification", { ...TEXT, id2label: { 0: "SECRET no", 1: "SECRET yes", 2: "SECRET maybe" } }),
  roberta: model("roberta", "RobertaForMaskedLM", { ...TEXT, type_vocab_size: 1, pad_token_id: 1 }),
  vit: model("vit", "ViTModel", IMAGE),
  clip: model("clip", "CLIPModel", {
    projection_dim: 24,
    text_config: { model_type: "clip_text_model", ...TEXT, bos_token_id: 62, eos_token_id: 63, pad_token_id: 1 },
    vision_config: { model_type: "clip_vision_model", ...IMAGE },
  }),
};

/** Two rows of plain inputs, as a program would save them. */
function plainInputs(name: string): NamedTensor[] {
  const tensors: NamedTensor[] = [];
  const rows = (key: string, format: NumberFormat, shape: number[], value: (i: number) => number): void =>
    void tensors.push({
      name: key,
      format,
      shape: [2, ...shape],
      values: Float64Array.from({ length: 2 * volume(shape) }, (_, i) => value(i)),
    });
  if (name !== "vit") {
    rows("input_ids", name === "bert" ? "I32" : "I64", [9], (i) => (i % 9 === 8 ? (name === "clip" ? 63 : 1) : 3 + random.below(59)));
    rows("attention_mask", "I64", [9], (i) => (i % 9 === 8 && name !== "clip" ? 0 : 1));
  }
  if (name === "bert") rows("token_type_ids", "U8", [9], (i) => (i % 9 < 4 ? 0 : 1));
  if (name === "vit" || name === "clip") rows("pixel_values", "F32", [3, 12, 12], () => Math.fround(random.gaussian()));
  return tensors;
}

/** What a program makes of a file of inputs: outputs with a batch axis. */
async function runReference(directory: string, inputs: readonly NamedTensor[]): Promise<NamedTensor[]> {
  const opened = await openModel(directory);
  const rowOf = (key: string, row: number): number[] | undefined => {
    const tensor = inputs.find(({ name }) => name === key);
    const length = tensor ? volume(tensor.shape.slice(1)) : 0;
    return tensor && [...tensor.values.subarray(row * length, (row + 1) * length)];
  };
  const rows = [0, 1].map((row) => {
    const [ids, types, mask, pixels] = ["input_ids", "token_type_ids", "attention_mask", "pixel_values"].map((key) => rowOf(key, row));
    const input: EncoderInput = {
      ...(ids ? { ids } : {}),
      ...(types ? { types } : {}),
      ...(mask ? { mask } : {}),
      ...(pixels ? { pixels: Float64Array.from(pixels) } : {}),
    };
    return encode(opened, input);
  });
  return [...rows[0]!].map(([name, { rows: length, columns }]) => ({
    name,
    format: "F32",
    shape: name === "last_hidden_state" || length > 1 ? [2, length, columns] : [2, columns],
    values: Float64Array.from(rows.flatMap((row) => [...row.get(name)!.values])),
  }));
}

async function readAll(file: string): Promise<NamedTensor[]> {
  return (await readTensorFile(file)).map((tensor) => tensor.read());
}

async function write(file: string, tensors: readonly NamedTensor[]): Promise<string> {
  rmSync(file, { force: true });
  await writeTensorFile(file, tensors, 0o600);
  return file;
}

/** Largest difference as a share of the largest number. */
function relative(expected: Float64Array, actual: Float64Array): number {
  assert.equal(actual.length, expected.length);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0) / largest;
}

function near(expected: readonly NamedTensor[], actual: readonly NamedTensor[], bar: number): void {
  const sorted = (tensors: readonly NamedTensor[]): NamedTensor[] => tensors.toSorted((a, b) => a.name.localeCompare(b.name));
  assert.deepEqual(
    sorted(actual).map(({ name, format, shape }) => ({ name, format, shape })),
    sorted(expected).map(({ name, shape }) => ({ name, format: "F32", shape })),
  );
  sorted(actual).forEach(({ name, values }, place) => {
    const found = relative(sorted(expected)[place]!.values, values);
    assert.ok(found <= bar, `${name}: ${found}`);
  });
}

describe("an encoder that somebody else runs", () => {
  // One key in 64 gives CLIP's end the id 2, and `encrypt` refuses it by name: another key is made, as its hint says.
  before(async () => {
    const keyring = resolveHome({ UNSEEN_HOME: home });
    while (vocabularyPermutation((await createKey(keyring, "default")).secret, TEXT.vocab_size)[63] === 2)
      await removeKey(keyring, "default", { force: true });
  });

  for (const [name, config] of Object.entries(models)) {
    test(`${name}: encrypted, enciphered, run, deciphered`, async () => {
      writeVariant(at(name), { config, biases: true });
      writeFileSync(join(at(name), "preprocessor_config.json"), JSON.stringify({ size: 12 }));
      const { fingerprint } = await ask<{ fingerprint: string }>(["encrypt", at(name), "--out", at(`${name}-out`)], here);
      const { plain, sent, inputs } = await through(name, `${name}-out`);
      assert.deepEqual(
        sent.map(({ name: key, format, shape }) => [key, format, shape]).toSorted(),
        plain.map(({ name: key, format, shape }) => [key, format, shape]).toSorted(),
      );
      for (const { name: key, values } of sent) {
        const before = plain.find((tensor) => tensor.name === key)!.values;
        assert.equal(relative(before, values) === 0, key !== "input_ids", key);
        const expected = { input_ids: "enciphered", pixel_values: "clear" }[key] ?? "no content";
        assert.equal(inputs.find((input) => input.name === key)?.protection, expected);
      }
      assert.equal(statSync(at("out.plain.safetensors")).mode & 0o077, 0, "plain outputs are their owner's alone");
      assert.deepEqual(readdirSync(at(`bundles/${fingerprint}`)).toSorted(), [
        "bundle.json",
        "interface.json",
        ...(["vit", "roberta"].includes(name) ? ["outputs.json"] : []),
        ...(["vit", "clip"].includes(name) ? ["preprocessor_config.json"] : []),
      ]);
    });
  }

  test("a rekeyed model keeps its labels, and what its folded norms took", async () => {
    await ask(["key", "new", "other"], here);
    for (const name of ["bert", "vit"]) {
      const flags = ["--to", "other", "--out", at(`${name}-moved`), "--name", `${name}-moved`];
      const { fingerprint } = await ask<{ fingerprint: string }>(["rekey", at(`${name}-out`), ...flags], here);
      await through(name, `${name}-moved`, `${name}-moved`);
      const ends = JSON.parse(readFileSync(at(`bundles/${fingerprint}/interface.json`), "utf8")) as { labels: string[]; task: string };
      if (name === "bert") assert.deepEqual([ends.labels, ends.task], [["SECRET no", "SECRET yes", "SECRET maybe"], "classification"]);
    }
  });

  test("encode, decode and encipher take one permutation, in which RoBERTa's padding id keeps its number", async () => {
    const every = Array.from({ length: 64 }, (_, id) => id);
    const { cipher } = await ask<{ cipher: number[] }>(["encode", "--model", "roberta", "--ids", every.join(",")], here);
    assert.equal(cipher[1], 1);
    const file = await write(at("ids.safetensors"), [{ name: "input_ids", format: "I64", shape: [64], values: Float64Array.from(every) }]);
    const { output } = await ask<{ output: string }>(["encipher", file, "--model", "roberta"], here);
    assert.deepEqual([...(await readAll(output))[0]!.values], cipher);
    assert.deepEqual((await ask<{ plain: number[] }>(["decode", "--model", "roberta", cipher.join(",")], here)).plain, every);
  });

  test("what cannot be is refused with its code, and nothing is written", async () => {
    const logits = { name: "logits", format: "F32", shape: [1, 3], values: new Float64Array(3) } as const;
    const good = await write(at("good.safetensors"), [logits]);
    const never = ["--out", at("never.safetensors")];
    const cases: [string[], RegExp][] = [
      [["decipher", good, "--model", "vit", ...never], /USAGE.*logits.*pooler_output, last_hidden_state/],
      [["encipher", good, "--model", "bert", ...never], /USAGE.*logits.*input_ids.*in clear/],
      [["decipher", good, "--model", "bert", "--key", "other", ...never], /KEY_WRONG/],
      [["decipher", good, "--model", "bert", "--out", good], /OUTPUT_EXISTS/],
      [["decipher", good, ...never], /USAGE.*--model/],
      [["encode", "--model", "vit", "--ids", "1"], /USAGE.*no token ids.*encipher/],
      [["start", at("vit"), "--once"], /USAGE.*encoder \(vit\).*writes no text/],
      [["serve", at("vit-out"), "--port", "0"], /USAGE.*encoder \(vit\).*encrypt its ONNX export.*transformers/],
    ];
    for (const [parameters, expected] of cases) {
      const { stdout, code } = await runCommand([...parameters, "--json"], here);
      assert.equal(code, 1, parameters.join(" "));
      assert.match(stdout, expected);
    }
    assert.ok(!readdirSync(home).some((name) => name.startsWith("never") || name.startsWith(".")));
  });

  test("the gateway refuses a host that claims to serve the directory", async () => {
    const models = { object: "list", data: [{ id: "vit", object: "model", max_model_len: 64 }] };
    const server = createServer((_, response) => response.setHeader("content-type", "application/json").end(JSON.stringify(models)));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { stdout, code } = await runCommand(["gateway", "--port", "0", "--host", url, "--model", "vit", "--json"], here);
    server.close();
    assert.equal(code, 1);
    assert.match(stdout, /REQUEST_UNSUPPORTED.*vit weights, which no host serves.*ONNX export/);
  });

  test("verify compares a plain and an encrypted encoder", async () => {
    const figures = await ask<{ maxLogitDifference: number }>(["verify", at("clip"), at("clip-out")], here);
    assert.ok(figures.maxLogitDifference < 1e-4);
  });
});

/** The whole way of a tiny model; equal to the plain one. */
async function through(
  name: string,
  directory: string,
  bundle = name,
): Promise<{ plain: NamedTensor[]; sent: NamedTensor[]; inputs: Input[] }> {
  const plain = plainInputs(name);
  const file = await write(at("in.safetensors"), plain);
  for (const made of ["in.cipher.safetensors", "out.plain.safetensors"]) rmSync(at(made), { force: true });
  const { output, inputs } = await ask<{ output: string; inputs: Input[] }>(["encipher", file, "--model", bundle], here);
  const sent = await readAll(output);
  const said = await runReference(at(directory), sent);
  const read = await ask<{ output: string }>(["decipher", await write(at("out.safetensors"), said), "--model", bundle], here);
  const expected = await runReference(at(name), plain);
  near(expected, await readAll(read.output), 1e-5);
  for (const [i, { values }] of said.entries())
    assert.ok(relative(expected[i]!.values, values) > 0.05, "undeciphered it says something else");
  return { plain, sent, inputs };
}

test("a model that continues text: ids in, logits out", async () => {
  await ask(["encrypt", STORY_LLAMA, "--out", at("story"), "--name", "story", "--strength", "permute", "--no-measure"], here);
  const ids = [5, 300, 17, 4];
  const file = await write(at("story-in.safetensors"), [
    { name: "input_ids", format: "I64", shape: [1, 4], values: Float64Array.from(ids) },
  ]);
  const { output } = await ask<{ output: string }>(["encipher", file, "--model", "story"], here);
  const [sent] = await readAll(output);
  const [said] = forward(await openModel(at("story")), [[...sent!.values]]);
  const shape = [1, said!.positions, said!.vocabulary];
  const logits = await write(at("story-out.safetensors"), [
    { name: "logits", format: "F32", shape, values: Float64Array.from(said!.values) },
  ]);
  const read = await ask<{ output: string }>(["decipher", logits, "--model", "story"], here);
  const [expected] = forward(await openModel(STORY_LLAMA), [ids]);
  near([{ name: "logits", format: "F32", shape, values: Float64Array.from(expected!.values) }], await readAll(read.output), 1e-6);
});

describe("an ONNX model that somebody else runs", () => {
  const runner = new OnnxRunner();
  after(() => runner.close());
  const types: Readonly<Record<string, "int64" | "float32">> = { I64: "int64", F32: "float32" };
  const run = async (file: string, tensors: readonly NamedTensor[]): Promise<NamedTensor[]> => {
    const inputs = new Map(tensors.map(({ name, format, shape, values }) => [name, { type: types[format]!, shape, data: values }]));
    return [...(await runner.run(file, inputs))].map(([name, { shape, data }]) => ({ name, format: "F32", shape, values: data }));
  };
  const throughOnnx = async (source: string, inputs: NamedTensor[], flags: string[], name: string): Promise<Input[]> => {
    const output = at(`${name}.onnx`);
    await ask(["encrypt", source, "--out", output, "--name", name, "--no-measure", ...flags], here);
    const file = await write(at(`${name}-in.safetensors`), inputs);
    const enciphered = await ask<{ output: string; inputs: Input[] }>(["encipher", file, "--model", name], here);
    const said = await run(output, await readAll(enciphered.output));
    const result = await ask<{ output: string }>(["decipher", await write(at(`${name}-out.safetensors`), said), "--model", name], here);
    const expected = await run(source, inputs);
    near(expected, await readAll(result.output), 1e-5);
    assert.ok(
      said.some(({ values }, i) => relative(expected[i]!.values, values) > 0.05),
      "undeciphered it says something else",
    );
    return enciphered.inputs;
  };

  for (const flags of [[], ["--secret-order", "6"]]) {
    test(`texts ${flags.join(" ")}`, needs("assets/sst2-distilbert"), async () => {
      const source = sharedPath("assets/sst2-distilbert/onnx/model.onnx")!;
      const taken = (await openOnnx(source)).graph.inputs.map(({ name }) => name);
      const ids = [101, 2023, 3185, 2003, 6659, 102, 101, 1037, 9882, 2143, 102, 0];
      const inputs = [
        { name: "input_ids", format: "I64", shape: [2, 6], values: Float64Array.from(ids) },
        { name: "attention_mask", format: "I64", shape: [2, 6], values: Float64Array.from(ids, (id) => (id === 0 ? 0 : 1)) },
      ] as const satisfies NamedTensor[];
      const given = inputs.filter(({ name }) => taken.includes(name));
      const sent = await throughOnnx(source, given, flags, `sst2${flags.length}`);
      assert.equal(sent.find(({ name }) => name === "input_ids")?.protection, "enciphered");
    });
  }

  for (const mode of ["clear", "client-stem"] as const) {
    test(`pictures, ${mode}`, needs("assets/xray-cnn"), async () => {
      const source = sharedPath("assets/xray-cnn/model.onnx")!;
      const [info] = (await openOnnx(source)).graph.inputs;
      const values = Float64Array.from({ length: 2 * 28 * 28 }, () => Math.fround(random.uniform()));
      const sent = await throughOnnx(
        source,
        [{ name: info!.name, format: "F32", shape: [2, 1, 28, 28], values }],
        ["--input", mode],
        `xray-${mode}`,
      );
      assert.deepEqual(
        sent.map(({ protection }) => protection),
        [mode === "clear" ? "clear" : "enciphered"],
      );
    });
  }
});
