/**
 * Encoders in secret order end to end: the answers are the plain model's, and what crossed to the host is a bag of ids.
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { BlindEncoder } from "@unseen/client/encoders/blind-encoder.ts";
import { EncoderHost } from "@unseen/client/encoders/encoder-host.ts";
import { testTokenizer, VOCABULARY } from "@unseen/client/gateway/test-model.fixture.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { loadKey } from "@unseen/client/keyring.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { encryptOnnx } from "@unseen/core/blueprint/trace/encrypt.ts";
import { startHost, type Host } from "@unseen/host/serve.ts";
import { TINY_ONNX_CLASSES, TINY_ONNX_WIDTH, writeTinyEncoder, type TinyEncoderOptions } from "@unseen/host/tiny-onnx.fixture.ts";
import { ask, post, startServer, temporaryDirectory, type RunningServer } from "./command-line.ts";
import { startRecordingProxy, type RecordingProxy } from "./recording-proxy.ts";
import { needs, sharedPath } from "./shared.ts";

const { signal } = new AbortController();
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.toReversed()) await close();
});

/** What a host received of one text. */
interface Row {
  readonly ids: readonly number[];
  readonly mask: readonly number[];
}

interface PlainRow {
  readonly outputs: number[];
  readonly shape: number[];
}

async function serve(model: string, plain: boolean): Promise<Host> {
  const host = await startHost({ model, port: 0, threads: 1, plain, log: () => {} });
  closing.push(() => host.close());
  return host;
}

/** The outputs of a plain model on plain ids. */
async function plainOutputs(host: Host, body: object): Promise<PlainRow[]> {
  const { status, body: answer } = await post<{ data: PlainRow[] }>(`${host.url}/classify`, body);
  assert.equal(status, 200, JSON.stringify(answer));
  return answer.data;
}

/** Everything that was asked of a path. */
function rowsAt(proxy: RecordingProxy, path: string): Row[] {
  return (proxy.bodies(path) as { input: number[][]; mask: number[][] }[]).flatMap(({ input, mask }) =>
    input.map((ids, place) => ({ ids, mask: mask[place]! })),
  );
}

/** The ids that the mask lets through, as they came. */
const ownIds = ({ ids, mask }: Row): number[] => ids.filter((_, place) => mask[place] === 1);
const bagOf = (ids: readonly number[]): string => ids.toSorted((one, other) => one - other).join(" ");

function near(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(actual[i]! - expected[i]!) <= tolerance, `${i}: ${actual[i]} is not ${expected[i]}`);
}

/** Ids from which on chance does not keep an order: the first stays, the others are in one of more than a million orders. */
const LONG = 11;

/** Every text crossed as the bag of its cipher ids, none in its own order. */
function assertBags(rows: readonly Row[], texts: readonly (readonly number[])[], length: number): void {
  assert.ok(rows.every(({ ids, mask }) => ids.length === length && mask.length === length));
  const bags = new Set(rows.map((row) => bagOf(ownIds(row))));
  const orders = new Set(rows.flatMap((row) => [ownIds(row).join(" "), row.ids.join(" ")]));
  for (const [place, ids] of texts.entries()) {
    assert.ok(bags.has(bagOf(ids)), `text ${place} did not cross`);
    if (ids.length >= LONG) assert.ok(!orders.has(ids.join(" ")), `text ${place} crossed in its own order`);
  }
  assert.ok(texts.some((ids) => ids.length >= LONG));
  const starts = rows.filter((row) => texts.some((ids) => ids.length >= LONG && ids.every((id, at) => row.ids[at] === id)));
  assert.equal(starts.length, 0);
}

describe("a tiny encoder with positions", () => {
  const LENGTH = 12;
  const secret = Uint8Array.from({ length: 32 }, (_, index) => (index * 37 + 5) % 256);
  const tokenizer = testTokenizer(undefined, "<|end|>");
  const cipher = vocabularyPermutation(secret, VOCABULARY);

  async function encrypted(
    name: string,
    options: TinyEncoderOptions,
  ): Promise<{ encoder: BlindEncoder; plain: Host; proxy: RecordingProxy }> {
    const directory = temporaryDirectory(`order-${name}`);
    const source = join(directory, "plain.onnx");
    writeTinyEncoder(source, { length: LENGTH, hasPositions: true, vocabulary: VOCABULARY, ...options });
    const { output, manifest, clientInterface } = await encryptOnnx({
      source,
      output: join(directory, "encrypted.onnx"),
      key: { secret, strength: "rotate" },
      task: options.output === "tokens" ? "embedding" : "classification",
      secretOrder: LENGTH,
    });
    const proxy = await startRecordingProxy((await serve(output, false)).url);
    closing.push(() => proxy.close());
    const encoder = new BlindEncoder({
      identity: { name, fingerprint: manifest.fingerprint, vocabularySize: VOCABULARY },
      ends: { ...clientInterface, stem: null, normalise: false, labels: null, image: null },
      tokenizer,
      secret,
      engines: [new EncoderHost({ url: proxy.url })],
      stem: null,
    });
    return { encoder, plain: await serve(source, true), proxy };
  }

  const texts = ["abcdefghij", "jihgfedcba", "no", "a longer text than fits", ""];
  const idsOf = (text: string, pair: string | null = null): number[] => tokenizer.encodeSequence(text, pair, LENGTH).ids;

  test("classifies texts and pairs as the plain model does, which heeds their order", async () => {
    const { encoder, plain, proxy } = await encrypted("classes", { hasSegments: true });
    const expected = await plainOutputs(plain, { input: texts.map((text) => idsOf(text)) });
    assert.ok(Math.abs(expected[0]!.outputs[0]! - expected[1]!.outputs[0]!) > 1e-3, "the plain model heeds the order");
    const { results, tokens } = await encoder.classify(texts, { signal });
    expected.forEach(({ outputs }, place) => near(results[place]!.logits, outputs, 1e-4));
    assert.equal(results[0]!.logits.length, TINY_ONNX_CLASSES);
    assert.equal(tokens, texts.reduce((sum, text) => sum + idsOf(text).length, 0)); // prettier-ignore
    const rows = rowsAt(proxy, "/classify");
    assertBags(rows, texts.map((text) => idsOf(text).map((id) => cipher[id]!)), LENGTH); // prettier-ignore
    // The same letters the other way round.
    assert.equal(new Set(rows.map((row) => bagOf(ownIds(row)))).size, texts.length - 1);

    const pairs = [["abc", "defg"], ["query", "a much longer document"]] as const; // prettier-ignore
    const sequences = pairs.map(([text, pair]) => tokenizer.encodeSequence(text, pair, LENGTH));
    const scores = await Promise.all(sequences.map(({ ids, segments }) => plainOutputs(plain, { input: ids, segments })));
    const scored = await encoder.classify(pairs, { signal });
    scores.forEach(([row], place) => near(scored.results[place]!.logits, row!.outputs, 1e-4));
  });

  test("gives each token's vector in the text's order, and pools what belongs to the text", async () => {
    const { encoder, plain } = await encrypted("tokens", { output: "tokens" });
    const expected = await plainOutputs(plain, { input: texts.map((text) => idsOf(text)) });
    const { results } = await encoder.outputs(texts, { signal });
    expected.forEach(({ outputs, shape }, place) => {
      assert.deepEqual(results[place]!.shape, shape);
      near(results[place]!.values, outputs, 1e-4);
    });
    const pooled = (await encoder.embed(texts, { signal })).results;
    expected.forEach(({ outputs, shape }, place) => near(pooled[place]!, mean(outputs, shape[0]!, TINY_ONNX_WIDTH), 1e-4));
  });
});

const LENGTH = 64;
const COUNT = 50;

interface Deployed {
  readonly gateway: RunningServer;
  readonly proxy: RecordingProxy;
  readonly plain: Host;
  readonly tokenizer: TextTokenizer;
  readonly cipher: Uint32Array;
}

/** From a plain file to a gateway, through the command line alone. */
async function deploy(asset: string): Promise<Deployed> {
  const directory = temporaryDirectory(`order-${asset}`);
  const [home, hostHome] = ["keyholder", "host"].map((name) => join(directory, name)) as [string, string];
  for (const path of [home, hostHome]) mkdirSync(path);
  const source = sharedPath(`assets/${asset}/onnx/model.onnx`) as string;
  const model = join(directory, "model.onnx");
  await ask(["encrypt", source, "--out", model, "--name", "hidden", "--secret-order", String(LENGTH), "--no-measure"], { home });
  const host = await startServer(["serve", model, "--port", "0"], { home: hostHome });
  closing.push(() => host.stop());
  const proxy = await startRecordingProxy(host.url);
  closing.push(() => proxy.close());
  const gateway = await startServer(["gateway", "--port", "0", "--host", proxy.url], { home });
  closing.push(() => gateway.stop());
  const { secret } = await loadKey(resolveHome({ UNSEEN_HOME: home }), "default");
  return {
    gateway,
    proxy,
    plain: await serve(source, true),
    tokenizer: await TextTokenizer.load(sharedPath(`assets/${asset}`) as string),
    cipher: vocabularyPermutation(secret, 30_522),
  };
}

function sentences(): string[] {
  const lines = readFileSync(sharedPath("data/text/sst2-dev.tsv") as string, "utf8")
    .trimEnd()
    .split("\n");
  return lines.slice(0, COUNT).map((line) => line.split("\t")[0] as string);
}

function skipped(asset: string): { skip: string | false } {
  return [needs(`assets/${asset}`), needs("data/text/sst2-dev.tsv")].find(({ skip }) => skip !== false) ?? { skip: false };
}

/** Equal words in another order. */
const SWAPPED = ["the plot bores but the actors charm", "the actors bores but the plot charm"];

describe("sst2-distilbert in secret order, from the command line to the gateway", skipped("sst2-distilbert"), () => {
  let deployed: Promise<Deployed> | null = null;
  const deploying = (): Promise<Deployed> => (deployed ??= deploy("sst2-distilbert"));

  test("labels, logits and usage are the plain model's; the host got bags of ids", async () => {
    const { gateway, proxy, plain, tokenizer, cipher } = await deploying();
    const input = [...sentences(), ...SWAPPED];
    const ids = input.map((text) => tokenizer.encodeSequence(text, null, LENGTH).ids);
    const expected = await plainOutputs(plain, { input: ids });
    const { body } = await post<{ data: { label: string; logits: number[] }[]; usage: { prompt_tokens: number } }>(
      `${gateway.url}/classify`,
      { model: "hidden", input },
    );
    expected.forEach(({ outputs }, place) => {
      near(body.data[place]!.logits, outputs, 1e-4);
      assert.equal(body.data[place]!.label, outputs[1]! > outputs[0]! ? "POSITIVE" : "NEGATIVE");
    });
    assert.equal(body.data.length, COUNT + 2);
    assert.equal(body.usage.prompt_tokens, ids.reduce((sum, row) => sum + row.length, 0)); // prettier-ignore

    const ciphered = ids.map((row) => row.map((id) => cipher[id]!));
    const rows = rowsAt(proxy, "/classify");
    assertBags(rows, ciphered, LENGTH);
    const swapped = rows.filter((row) => bagOf(ownIds(row)) === bagOf(ciphered.at(-1)!));
    assert.equal(swapped.length, 2, "two texts of the same words are one bag");
    assert.deepEqual(swapped[0]!.mask, swapped[1]!.mask);
    assert.notDeepEqual(swapped[0]!.ids, swapped[1]!.ids);
    assert.notEqual(body.data.at(-1)!.logits[0], body.data.at(-2)!.logits[0], "and yet two texts");
  });

  test("what the order does not hide: a host that sees texts of many lengths learns it, place by place", async () => {
    const { gateway, proxy, tokenizer, cipher } = await deploying();
    await post(`${gateway.url}/classify`, { model: "hidden", input: sentences() });
    const rows = rowsAt(proxy, "/classify").toSorted((one, other) => ownIds(one).length - ownIds(other).length);
    rows.slice(1).forEach((row, index) =>
      assert.ok(
        rows[index]!.mask.every((bit, place) => bit <= row.mask[place]!),
        "masks nest",
      ),
    );
    // The id that every text ends with stands at the last place of each length. A host knows it without the key: it is the
    // one id besides the first that no text lacks.
    const [first, ...others] = rows.map((row) => new Set(ownIds(row).slice(1)));
    const common = [...first!].filter((id) => others.every((ids) => ids.has(id)));
    assert.deepEqual(common, [cipher[tokenizer.idOf("[SEP]")!]]);
    const places = new Map(rows.map((row) => [ownIds(row).length, row.ids.indexOf(common[0]!)]));
    assert.equal(new Set(places.values()).size, places.size, "each length shows one more place");
    assert.ok(places.size > 20);
  });
});

describe("sentence-encoder in secret order, from the command line to the gateway", skipped("sentence-encoder"), () => {
  test("embeddings, ranks and usage are the plain model's; the host got bags of ids", async () => {
    const { gateway, proxy, plain, tokenizer, cipher } = await deploy("sentence-encoder");
    const input = [...sentences(), ...SWAPPED, "word ".repeat(200)];
    const ids = input.map((text) => tokenizer.encodeSequence(text, null, LENGTH).ids);
    const expected = (await plainOutputs(plain, { input: ids })).map(({ outputs, shape }) => unit(mean(outputs, shape[0]!, shape[1]!)));
    const { body } = await post<{ data: { embedding: number[] }[]; usage: { prompt_tokens: number } }>(`${gateway.url}/v1/embeddings`, {
      model: "hidden",
      input,
    });
    expected.forEach((vector, place) => near(body.data[place]!.embedding, vector, 1e-5));
    assert.equal(body.usage.prompt_tokens, ids.reduce((sum, row) => sum + row.length, 0)); // prettier-ignore
    const ciphered = ids.map((row) => row.map((id) => cipher[id]!));
    assertBags(rowsAt(proxy, "/v1/embeddings"), ciphered, LENGTH);

    const ranked = await post<{ results: { index: number; relevance_score: number }[] }>(`${gateway.url}/v1/rerank`, {
      model: "hidden",
      query: input[0],
      documents: input.slice(1, 20),
    });
    for (const { index, relevance_score: score } of ranked.body.results) near([score], [dot(expected[0]!, expected[index + 1]!)], 1e-5);
    assert.equal(ranked.body.results.length, 19);
    assert.deepEqual(proxy.bodies("/v1/rerank"), [], "ranked at the client");
  });
});

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

function dot(one: readonly number[], other: readonly number[]): number {
  return one.reduce((sum, value, i) => sum + value * other[i]!, 0);
}
