/**
 * Encoders end to end: text and pictures at the key holder, the real blind host in between, equal to the plain model.
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { loadBundle, loadBundleInterface } from "@unseen/client/bundle.ts";
import { openEncoder } from "@unseen/client/encoders/open-encoder.ts";
import { startGateway } from "@unseen/client/gateway/serve.ts";
import type { EncoderModel } from "@unseen/client/gateway/model.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { startHost, type Host } from "@unseen/host/serve.ts";
import OpenAI from "openai";
import { ask, runCommand, temporaryDirectory } from "./command-line.ts";
import { encryptByHand, leaf, type HandEncrypted, type HandEncryption } from "./hand-encrypted.ts";
import { needs, sharedPath } from "./shared.ts";

const { signal } = new AbortController();
const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closing.toReversed()) await close();
});

async function serve(file: string, plain = false): Promise<Host> {
  const host = await startHost({ model: file, port: 0, threads: 1, plain, log: () => {} });
  closing.push(() => host.close());
  return host;
}

interface Served {
  readonly model: EncoderModel;
  readonly host: Host;
  readonly home: string;
  readonly encrypted: HandEncrypted;
}

async function serveEncrypted(options: Omit<HandEncryption, "home">): Promise<Served> {
  const place = temporaryDirectory(`encoder-${options.name}`);
  const encrypted = await encryptByHand({ ...options, home: place });
  const host = await serve(encrypted.file);
  const home = resolveHome({ UNSEEN_HOME: place });
  const bundle = await loadBundle(home, options.name);
  const ends = await loadBundleInterface(home, bundle);
  const model = await openEncoder(home, bundle, ends!, encrypted.key.secret, [{ url: host.url }]);
  await model.encoder.connect();
  closing.push(async () => model.encoder.close());
  return { model, host, home: place, encrypted };
}

/** The outputs of a plain model on plain ids. */
async function plainOutputs(host: Host, input: unknown): Promise<{ outputs: number[]; shape: number[] }[]> {
  const response = await fetch(`${host.url}/classify`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(input),
  });
  assert.equal(response.status, 200);
  return ((await response.json()) as { data: { outputs: number[]; shape: number[] }[] }).data;
}

function near(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(actual[i]! - expected[i]!) <= tolerance, `${i}: ${actual[i]} is not ${expected[i]}`);
}

function tokenizerFiles(directory: string): Record<string, Uint8Array> {
  return {
    "tokenizer.json": readFileSync(join(directory, "tokenizer.json")),
    "tokenizer_config.json": readFileSync(join(directory, "tokenizer_config.json")),
  };
}

const noPicture = { normalise: false, labels: null, image: null };

describe("a classifier of texts", needs("assets/sst2-distilbert"), () => {
  const directory = sharedPath("assets/sst2-distilbert") ?? "";
  const plainFile = join(directory, "onnx/model.onnx");
  const serving = serveOnce(() =>
    serveEncrypted({
      source: plainFile,
      name: "sst2",
      table: "m.distilbert.embeddings.word_embeddings.weight",
      output: leaf("logits", 2, "general"),
      ends: { ...noPicture, task: "classification", pooling: null, maximumLength: 128, labels: ["NEGATIVE", "POSITIVE"] },
      isometric: false,
      files: tokenizerFiles(directory),
    }),
  );

  test(
    "classifies 872 sentences as well as its card says, and computes the plain model's logits",
    needs("data/text/sst2-dev.tsv"),
    async () => {
      const { model } = await serving();
      const rows = readFileSync(sharedPath("data/text/sst2-dev.tsv")!, "utf8").trimEnd().split("\n");
      const texts = rows.map((row) => row.split("\t")[0]!);
      const { results, tokens } = await model.encoder.classify(texts, { signal });
      const right = results.filter(({ index }, place) => rows[place]!.split("\t")[1] === String(index)).length;
      assert.ok(Math.abs(right / texts.length - 0.792) < 0.003, `${right} of ${texts.length}`);

      const tokenizer = await TextTokenizer.load(directory);
      const ids = texts.slice(0, 64).map((text) => tokenizer.encodeSequence(text, null, 128).ids);
      const plain = await plainOutputs(await serve(plainFile, true), { input: ids });
      plain.forEach(({ outputs }, place) => near(results[place]!.logits, outputs, 1e-4));
      assert.ok(tokens > 15_000);
    },
  );

  test("the host sees cipher ids and enciphered logits", async () => {
    const { model } = await serving();
    const seen: { direction: string; ids: readonly number[]; values: number[] }[] = [];
    const { results } = await model.encoder.classify(["a gorgeous film"], {
      signal,
      onWire: ({ direction, ids, values }) => seen.push({ direction, ids, values: Array.from(values ?? []) }),
    });
    const plain = model.tokenizer!.encodeSequence("a gorgeous film", null, 128).ids;
    assert.equal(seen.length, 2);
    assert.equal(seen[0]!.ids.length, plain.length);
    assert.equal(seen[0]!.ids.filter((id, place) => id === plain[place]).length, 0);
    assert.ok(Math.abs(seen[1]!.values[0]! - results[0]!.logits[0]!) > 1e-3);
  });

  test("the command line classifies arguments, shows the wire, and says what a classifier cannot do", async () => {
    const { home, host, encrypted } = await serving();
    const answer = await ask<{ results: { label: string }[]; promptTokens: number; hostSaw: { ids: number[] } }>(
      ["classify", "--host", host.url, "--model", "sst2", "--key", encrypted.key.name, "--show-wire", "a gorgeous film", "a dull mess"],
      { home },
    );
    assert.deepEqual(
      answer.results.map(({ label }) => label),
      ["POSITIVE", "NEGATIVE"],
    );
    assert.equal(answer.hostSaw.ids.length, answer.promptTokens);
    const shown = await runCommand(["classify", "--host", host.url, "a gorgeous film"], { home });
    assert.match(shown.stdout, /^POSITIVE {2}\s*\d+\.\d % {2}a gorgeous film$/m);
    for (const [command, expected] of [
      [["embed", "--host", host.url, "x"], /REQUEST_UNSUPPORTED.*\/classify/],
      [["chat", "--host", host.url, "--message", "x"], /REQUEST_UNSUPPORTED.*unseen classify/],
    ] as const) {
      const refused = await runCommand([...command, "--json"], { home });
      assert.equal(refused.code, 1);
      assert.match(refused.stdout, expected);
    }
  });
});

describe("an encoder of sentences", needs("assets/sentence-encoder"), () => {
  const directory = sharedPath("assets/sentence-encoder") ?? "";
  const serving = serveOnce(() =>
    serveEncrypted({
      source: join(directory, "onnx/model.onnx"),
      name: "sentences",
      table: "m.embeddings.word_embeddings.weight",
      output: leaf("stream", 128, "orthogonal"),
      ends: { ...noPicture, task: "embedding", pooling: "mean", maximumLength: 256, normalise: true },
      isometric: true,
      files: tokenizerFiles(directory),
    }),
  );
  const texts = ["A dog runs after a ball.", "The court dismissed the appeal.", "", "dog ".repeat(400)];

  test("its vectors are the plain model's, and encrypted ones keep their angles", async () => {
    const { model } = await serving();
    const { results } = await model.encoder.embed(texts, { signal });
    const plain = await plainOutputs(await serve(join(directory, "onnx/model.onnx"), true), {
      input: texts.map((text) => model.tokenizer!.encodeSequence(text, null, 256).ids),
    });
    const pooled = plain.map(({ outputs, shape }) => unit(mean(outputs, shape[0]!, shape[1]!)));
    pooled.forEach((vector, place) => near(results[place]!, vector, 1e-5));

    const hidden = (await model.encoder.embed(texts, { signal, encrypted: true })).results;
    near([dot(hidden[0]!, hidden[1]!)], [dot(results[0]!, results[1]!)], 1e-6);
    assert.ok(Math.abs(dot(hidden[0]!, results[0]!)) < 0.5, "an encrypted vector is another vector");
  });

  test("the host ranks what it cannot read, and so does the client", async () => {
    const { model } = await serving();
    const documents = texts.slice(0, 2);
    const { results } = await model.encoder.rerank("A puppy plays.", documents, { signal });
    const [query, ...vectors] = (await model.encoder.embed(["A puppy plays.", ...documents], { signal })).results;
    near(
      results,
      vectors.map((vector) => dot(query!, vector)),
      1e-5,
    );
  });

  test("the official client's embeddings, as floats and as base64, through the gateway", async () => {
    const { model } = await serving();
    const gateway = await startGateway({ models: [model], port: 0 });
    try {
      const client = new OpenAI({ baseURL: gateway.baseUrl, apiKey: "none", maxRetries: 0 });
      const answer = await client.embeddings.create({ model: "sentences", input: texts.slice(0, 2) });
      const floats = await client.embeddings.create({ model: "sentences", input: texts.slice(0, 2), encoding_format: "float" });
      const { results, tokens } = await model.encoder.embed(texts.slice(0, 2), { signal });
      answer.data.forEach(({ embedding }, place) => near(embedding, results[place]!, 1e-6));
      floats.data.forEach(({ embedding }, place) => near(embedding, results[place]!, 1e-6));
      assert.deepEqual(answer.usage, { prompt_tokens: tokens, total_tokens: tokens });
    } finally {
      await gateway.close();
    }
  });

  test("the command line embeds and ranks", async () => {
    const { home, host } = await serving();
    const { vectors } = await ask<{ vectors: number[][] }>(["embed", "--host", host.url, "A dog."], { home });
    near([vectors.length, vectors[0]!.length, dot(vectors[0]!, vectors[0]!)], [1, 128, 1], 1e-5);
    const ranked = await ask<{ results: { index: number }[] }>(
      ["rerank", "--host", host.url, "--top", "1", "dogs", ...texts.slice(0, 2).toReversed()],
      { home },
    );
    assert.deepEqual(
      ranked.results.map(({ index }) => index),
      [1],
    );
  });
});

describe("a classifier of pictures", needs("assets/xray-cnn"), () => {
  const directory = sharedPath("assets/xray-cnn") ?? "";
  const image = { width: 28, height: 28, channels: 1, rescale: 1 / 255, mean: [0], deviation: [1], layout: "NCHW" } as const;
  const options: Omit<HandEncryption, "home" | "name"> = {
    source: join(directory, "model.onnx"),
    output: leaf("logits", 2, "general"),
    input: { value: { name: "image", type: "float32", shape: ["batch", 1, 28, 28] }, recipe: leaf("columns", 28, "orthogonal") },
    ends: {
      ...noPicture,
      task: "classification",
      pooling: null,
      maximumLength: null,
      labels: ["normal", "pneumonia"],
      image: {
        ...image,
        shortestEdge: null,
        resample: "bilinear",
      },
    },
    isometric: false,
    files: {},
  };
  const serving = serveOnce(() => serveEncrypted({ ...options, name: "xray" }));

  test("labels every sample as the plain model does, from files", async () => {
    const { model, home, host } = await serving();
    const files = ["test-064-pneumonia.png", "test-237-normal.png", "test-351-normal.png"].map((name) => join(directory, "samples", name));
    const { results, tokens } = await model.encoder.classify(
      files.map((file) => readFileSync(file)),
      { signal },
    );
    assert.equal(tokens, 0);
    const plainHost = await serve(options.source, true);
    for (const [place, file] of files.entries()) {
      const { readPicture } = await import("@unseen/client/pictures/preprocess.ts");
      const { values } = await readPicture(readFileSync(file), options.ends.image!);
      const tensors = {
        image: { type: "float32", shape: [1, 1, 28, 28], data: Buffer.from(Float32Array.from(values).buffer).toString("base64") },
      };
      near(results[place]!.logits, (await plainOutputs(plainHost, { tensors }))[0]!.outputs, 1e-4);
    }
    const shown = await ask<{ results: { label: string }[] }>(["classify", "--host", host.url, ...files], { home });
    assert.deepEqual(
      shown.results.map(({ label }) => label),
      results.map(({ label }) => label),
    );
  });

  test("with a stem at the client, the host gets the first layer's enciphered numbers and the answer is the same", async () => {
    const value = { name: "conv1_out", type: "float32", shape: ["batch", 16, 14, 14] } as const;
    const stemmed = await serveEncrypted({
      ...options,
      name: "xray-stem",
      input: { value, recipe: leaf("columns", 14, "orthogonal") },
      hasStem: true,
    });
    const file = readFileSync(join(directory, "samples/test-064-pneumonia.png"));
    const sent: number[] = [];
    const { results } = await stemmed.model.encoder.classify([file], {
      signal,
      onWire: ({ direction, values }) => direction === "sent" && sent.push(values!.length),
    });
    const [expected] = (await (await serving()).model.encoder.classify([file], { signal })).results;
    near(results[0]!.logits, expected!.logits, 1e-4);
    assert.deepEqual(sent, [16 * 14 * 14]);
  });
});

function serveOnce(start: () => Promise<Served>): () => Promise<Served> {
  let served: Promise<Served> | null = null;
  return () => (served ??= start());
}

function mean(values: readonly number[], rows: number, width: number): number[] {
  return Array.from(
    { length: width },
    (_, i) => Array.from({ length: rows }, (_row, r) => values[r * width + i]!).reduce((a, b) => a + b) / rows,
  );
}

function unit(vector: readonly number[]): number[] {
  const length = Math.sqrt(dot(vector, vector));
  return vector.map((value) => value / length);
}

function dot(one: ArrayLike<number>, other: ArrayLike<number>): number {
  return Array.from(one, (value, i) => value * other[i]!).reduce((sum, value) => sum + value, 0);
}
