import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import type { ErrorCode, UnseenError } from "@unseen/core/errors.ts";
import { vocabularyPermutation, vocabularySpace } from "@unseen/core/blueprint/spaces.ts";
import type { WireEvent } from "../engines/blind.ts";
import { BOS, END, testTokenizer, VOCABULARY } from "../gateway/test-model.fixture.ts";
import { ordered, plainToy, SECRET, toyClassifier, toyEmbedder, ToyHost, toyOn, type Toy } from "./toy-host.fixture.ts";

const { signal } = new AbortController();
const tokenizer = testTokenizer();

async function start(context: TestContext, toy: Toy): Promise<ToyHost> {
  const host = await ToyHost.start(toy);
  context.after(() => host.close());
  return host;
}

function near(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-6): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(actual[i]! - expected[i]!) <= tolerance, `${actual[i]} is not ${expected[i]}`);
}

const refuses =
  (code: ErrorCode, message = /./) =>
  (error: UnseenError): boolean =>
    error.code === code && message.test(error.line);

const idsOf = (text: string, pair: string | null = null): number[] => tokenizer.encodeSequence(text, pair, 32).ids;

test("classifies: plain logits, softmax and labels, in the order of the inputs, whatever the batches", async (context) => {
  const toy = toyClassifier(["bad", "good", "odd"]);
  const host = await start(context, toy);
  const { encoder } = toyOn(toy, [host]);
  const texts = Array.from({ length: 150 }, (_, i) => "ab".repeat((i * 7) % 16) + String(i));
  const { results, tokens } = await encoder.classify(texts, { signal });
  for (const [place, text] of texts.entries()) {
    const expected = plainToy(toy, idsOf(text));
    const { logits, probabilities, label, index } = results[place]!;
    near(logits, expected);
    near([probabilities.reduce((a, b) => a + b)], [1], 1e-12);
    assert.equal(index, expected.indexOf(Math.max(...expected)));
    assert.equal(label, ["bad", "good", "odd"][index]);
  }
  assert.equal(
    tokens,
    texts.reduce((sum, text) => sum + idsOf(text).length, 0),
  );
  assert.equal(host.received.length, 3);
  for (const { body } of host.received) {
    const lengths = body.input!.map((ids) => ids.length);
    assert.deepEqual(
      lengths,
      lengths.toSorted((one, other) => one - other),
      "texts of similar length share a batch",
    );
  }
});

test("nothing but numbers leaves: no text, no label, no plain id", async (context) => {
  const toy = toyClassifier(["secret-label", "other"]);
  const host = await start(context, toy);
  await toyOn(toy, [host]).encoder.classify(["Attack at dawn"], { signal });
  const [{ path, body }] = host.received as [(typeof host.received)[0]];
  assert.equal(path, "/classify");
  assert.deepEqual(Object.keys(body), ["model", "input"]);
  const plain = idsOf("Attack at dawn");
  assert.equal(body.input![0]!.length, plain.length);
  assert.notDeepEqual(body.input![0], plain);
  assert.doesNotMatch(JSON.stringify(body), /Attack|dawn|secret/);
});

test("what a text spells stays text, plain ids may hold control tokens", async (context) => {
  const toy = toyClassifier(["a", "b"]);
  const host = await start(context, toy);
  const { encoder } = toyOn(toy, [host]);
  const { results } = await encoder.classify(["<|end|>", { ids: [BOS, END] }], { signal });
  near(results[0]!.logits, plainToy(toy, [BOS, ...tokenizer.encode("<|end|>", { specialTokens: false })]));
  near(results[1]!.logits, plainToy(toy, [BOS, END]));
});

test("texts are cut to the shorter of the model's and the host's length, ids are refused", async (context) => {
  const toy = toyClassifier(["a", "b"]);
  const host = await start(context, toy);
  const { encoder } = toyOn(toy, [host]);
  assert.equal((await encoder.classify(["x".repeat(500)], { signal })).tokens, 32);
  await assert.rejects(encoder.classify([{ ids: Array<number>(33).fill(1) }], { signal }), refuses("REQUEST_TOO_LARGE"));
  await assert.rejects(encoder.classify([{ ids: [300] }], { signal }), refuses("TOKEN_OUT_OF_RANGE"));
  const long = toyOn(toyClassifier(["a", "b"], 2, { maximumLength: null }), [host]);
  assert.equal((await long.encoder.classify(["x".repeat(500)], { signal })).tokens, 64);
});

test("the place of the highest plain id goes along where the model asks for it, which cipher ids no longer tell", async (context) => {
  const plain = toyEmbedder("orthogonal");
  const inputs = [...plain.ends.inputs, { name: "peak", kind: "peaks", of: "input_ids" }] as const;
  const toy = toyEmbedder("orthogonal", { inputs });
  const host = await start(context, toy);
  const { encoder } = toyOn(toy, [host]);
  await encoder.embed([{ ids: [5, END, 7, END] }, { ids: [9, 1] }], { signal });
  assert.deepEqual(host.received[0]!.body.peaks, [0, 1]); // the shorter row is sent first
  await encoder.rerank("a", ["b"], { signal });
  assert.deepEqual(host.received[1]!.body.peaks, [0, 0]);
});

test("in secret order a sequence is filled up, and what fills it up changes nothing", async (context) => {
  const toy = ordered(toyClassifier(["a", "b"]), 24);
  const host = await start(context, toy);
  const padded = testTokenizer(undefined, "<|tool|>");
  const { encoder } = toyOn(toy, [host], { tokenizer: padded });
  const texts = ["one", "three", "x".repeat(100)];
  const seen: WireEvent[] = [];
  const { results, tokens } = await encoder.classify(texts, { signal, onWire: (event) => seen.push(event) });
  texts.forEach((text, place) => near(results[place]!.logits, plainToy(toy, tokenizer.encodeSequence(text, null, 24).ids)));
  assert.equal(tokens, 4 + 6 + 24, "usage counts the texts' own tokens");
  assert.equal(encoder.maximumLength, 24);
  const { input, mask, ...rest } = host.received[0]!.body;
  assert.deepEqual(Object.keys(rest), ["model"]);
  const cipher = vocabularyPermutation(SECRET, VOCABULARY);
  const padding = cipher[padded.paddingId!];
  const sent = host.received[0]!.body.input!.map((ids, row) => ids.filter((_, place) => mask![row]![place] === 1));
  const masked = input!.flatMap((ids, row) => ids.filter((_, place) => mask![row]![place] === 0));
  assert.deepEqual([...input!, ...mask!].map(({ length }) => length), Array(6).fill(24)); // prettier-ignore
  assert.deepEqual([...new Set(masked)], [padding]);
  const plain = ["one", "three", "x".repeat(100)].map((text) => tokenizer.encodeSequence(text, null, 24).ids.map((id) => cipher[id]!));
  const byNumber = (ids: number[]): number[] => ids.toSorted((one, other) => one - other);
  assert.deepEqual(sent.map(byNumber), plain.map(byNumber)); // prettier-ignore
  assert.notDeepEqual(sent[1], plain[1]);
  assert.equal(sent[1]![0], plain[1]![0], "the first token keeps its place");
  assert.deepEqual(
    seen.filter(({ direction }) => direction === "sent").map(({ ids, mask: own }) => [ids, own]),
    input!.map((ids, row) => [ids, mask![row]]),
    "the wire view shows both",
  );
});

test("ids of a model without a tokenizer are filled up with one of their own, and too many refused", async (context) => {
  const toy = ordered(toyClassifier(["a", "b"]), 8);
  const host = await start(context, toy);
  const { encoder } = toyOn(toy, [host], { tokenizer: null });
  near((await encoder.classify([{ ids: [7, 9] }], { signal })).results[0]!.logits, plainToy(toy, [7, 9]));
  const [sent] = host.received[0]!.body.input!;
  assert.equal(new Set(sent).size, 2);
  await assert.rejects(encoder.classify([{ ids: Array<number>(9).fill(1) }], { signal }), refuses("REQUEST_TOO_LARGE", /at most 8 ids/));
});

test("pairs in secret order carry their segments, in the same order", async (context) => {
  const toy = ordered(toyClassifier(null, 1), 24);
  const host = await start(context, toy);
  const { results, tokens } = await toyOn(toy, [host]).encoder.rerank("query", ["first", "second one"], { signal });
  const expected = ["first", "second one"].map((document) => tokenizer.encodeSequence("query", document, 24));
  near(
    results,
    expected.map(({ ids, segments }) => 1 / (1 + Math.exp(-plainToy(toy, ids, segments)[0]!))),
  );
  assert.equal(tokens, expected[0]!.ids.length + expected[1]!.ids.length);
  assert.deepEqual(Object.keys(host.received[0]!.body), ["model", "input", "mask", "segments"]);
});

test("in secret order vectors are compared here: a ranking request has no room for masks", async (context) => {
  const toy = ordered(toyEmbedder("orthogonal"), 24);
  const host = await start(context, toy);
  const { encoder } = toyOn(toy, [host]);
  const documents = ["one", "two!", "three"];
  const { results, tokens } = await encoder.rerank("two!", documents, { signal });
  assert.equal(results.indexOf(Math.max(...results)), 1);
  near([results[1]!], [1]);
  assert.equal(tokens, `two!${documents.join("")}`.length + 4);
  assert.deepEqual([...new Set(host.received.map(({ path }) => path))], ["/v1/embeddings"]);
  const { results: vectors } = await encoder.embed(documents, { signal });
  vectors.forEach((vector, place) => near(vector, plainToy(toy, idsOf(documents[place]!))));
});

test("outputs per token come back in the text's order, cut to its length", async (context) => {
  const toy = ordered(toyEmbedder("none"), 24);
  const host = await start(context, toy);
  // A model that gives each token's cipher id.
  host.misbehave = ({ body }) => ({
    answer: { data: body.input!.map((ids, index) => ({ index, shape: [24, 6], outputs: ids.flatMap((id) => Array<number>(6).fill(id)) })) },
  });
  const cipher = vocabularyPermutation(SECRET, VOCABULARY);
  const texts = ["one", "x".repeat(100), ""];
  const { results, tokens } = await toyOn(toy, [host]).encoder.outputs(texts, { signal });
  texts.forEach((text, place) => {
    const { ids } = tokenizer.encodeSequence(text, null, 24);
    assert.deepEqual(results[place]!.shape, [ids.length, 6]);
    assert.deepEqual([...results[place]!.values], ids.flatMap((id) => Array<number>(6).fill(cipher[id]!))); // prettier-ignore
  });
  assert.equal(tokens, 4 + 24 + 1);
  host.misbehave = ({ body }) => ({
    answer: { data: body.input!.map((_, index) => ({ index, shape: [4, 6], outputs: Array<number>(24).fill(0) })) },
  });
  await assert.rejects(toyOn(toy, [host]).encoder.outputs(["one"], { signal }), refuses("HOST_PROTOCOL"));
});

test("a host that takes fewer tokens than every sequence has is named, before any id leaves", async (context) => {
  const toy = ordered(toyClassifier(["a", "b"]), 65);
  const host = await start(context, toy);
  await assert.rejects(toyOn(toy, [host]).encoder.classify(["x"], { signal }), refuses("HOST_REFUSED", /take 64 tokens.*have 65/));
  assert.equal(host.received.length, 0);
});

test("ids that keep their number are named by the label, and all others move", async (context) => {
  const [input, ...rest] = toyClassifier(["a", "b"]).ends.inputs;
  const toy = toyClassifier(["a", "b"], 2, { inputs: [{ ...input, label: "vocabulary.fixing.1" } as typeof input & object, ...rest] });
  const host = await start(context, toy);
  const plain = Array.from({ length: 32 }, (_, id) => id);
  await toyOn(toy, [host]).encoder.classify([{ ids: plain }], { signal });
  const [sent] = host.received[0]!.body.input!;
  assert.equal(sent![1], 1);
  assert.ok(sent!.filter((id, place) => id === place).length < 4);
  const expected = vocabularyPermutation(SECRET, vocabularySpace(VOCABULARY, [1]));
  assert.deepEqual(
    sent,
    plain.map((id) => expected[id]),
  );
  const wrong = toyClassifier(["a", "b"], 2, { inputs: [{ ...input, label: "vocabulary.fixing.9999" } as typeof input & object] });
  await assert.rejects(toyOn(wrong, [host]).encoder.classify(["x"], { signal }), refuses("BUNDLE_INVALID"));
});

test("embeds: deciphered vectors; encrypted ones keep their angles where the map does", async (context) => {
  const toy = toyEmbedder("orthogonal");
  const host = await start(context, toy);
  const { encoder } = toyOn(toy, [host]);
  const texts = ["one", "two", "three"];
  const { results } = await encoder.embed(texts, { signal });
  results.forEach((vector, place) => near(vector, plainToy(toy, idsOf(texts[place]!))));
  const hidden = (await encoder.embed(texts, { signal, encrypted: true })).results;
  const dot = (one: Float64Array, other: Float64Array): number => one.reduce((sum, value, i) => sum + value * other[i]!, 0);
  near([dot(hidden[0]!, hidden[1]!), dot(hidden[2]!, hidden[2]!)], [dot(results[0]!, results[1]!), dot(results[2]!, results[2]!)]);
  assert.ok(hidden[0]!.some((value, i) => Math.abs(value - results[0]![i]!) > 1e-3));
  assert.equal(host.received[0]!.path, "/v1/embeddings");
});

test("vectors have length 1 where the model wants it", async (context) => {
  const toy = toyEmbedder("orthogonal", { normalise: true });
  const { encoder } = toyOn(toy, [await start(context, toy)]);
  const [vector] = (await encoder.embed(["one"], { signal })).results;
  near([vector!.reduce((sum, value) => sum + value * value, 0)], [1], 1e-12);
});

test("angles that change are refused as encrypted vectors, and ranked here", async (context) => {
  const toy = toyEmbedder("general");
  const host = await start(context, toy);
  const { encoder } = toyOn(toy, [host]);
  await assert.rejects(encoder.embed(["one"], { signal, encrypted: true }), refuses("REQUEST_UNSUPPORTED", /angles/));
  const documents = ["one", "two", "three"];
  const { results } = await encoder.rerank("two!", documents, { signal });
  const exact = toyEmbedder("orthogonal");
  const blind = await start(context, exact);
  const ranked = await toyOn(exact, [blind]).encoder.rerank("two!", documents, { signal });
  near(results, ranked.results, 1e-6);
  assert.equal(ranked.tokens, `two!${documents.join("")}`.length + 4);
  assert.deepEqual([host.received.at(-1)!.path, blind.received.at(-1)!.path], ["/v1/embeddings", "/v1/rerank"]);
});

test("many documents go in several requests and keep their places", async (context) => {
  const toy = toyEmbedder("orthogonal");
  const host = await start(context, toy);
  const documents = Array.from({ length: 130 }, (_, i) => `document ${i}`);
  const { results } = await toyOn(toy, [host]).encoder.rerank("document 99", documents, { signal });
  assert.equal(host.received.length, 3);
  assert.equal(results.indexOf(Math.max(...results)), 99);
});

test("a cross-encoder scores pairs, with segments where the model takes them", async (context) => {
  const toy = toyClassifier(null, 1);
  const host = await start(context, toy);
  const { results } = await toyOn(toy, [host]).encoder.rerank("query", ["first", "second"], { signal });
  const expected = ["first", "second"].map((document) => {
    const { ids, segments } = tokenizer.encodeSequence("query", document, 32);
    return 1 / (1 + Math.exp(-plainToy(toy, ids, segments)[0]!));
  });
  near(results, expected);
  assert.deepEqual(Object.keys(host.received[0]!.body), ["model", "input", "segments"]);
});

test("each model says what it cannot do and what can", async (context) => {
  const classifier = toyOn(toyClassifier(["a", "b"]), [await start(context, toyClassifier(["a", "b"]))]).encoder;
  const embedder = toyOn(toyEmbedder("orthogonal"), [await start(context, toyEmbedder("orthogonal"))]).encoder;
  await assert.rejects(classifier.embed(["x"], { signal }), refuses("REQUEST_UNSUPPORTED", /\/classify/));
  await assert.rejects(classifier.rerank("x", ["y"], { signal }), refuses("REQUEST_UNSUPPORTED", /does not score pairs/));
  await assert.rejects(embedder.classify(["x"], { signal }), refuses("REQUEST_UNSUPPORTED", /\/v1\/embeddings/));
  await assert.rejects(embedder.embed([new Uint8Array(3)], { signal }), refuses("REQUEST_UNSUPPORTED", /pictures/));
  const silent = toyOn(toyClassifier(["a", "b"]), [await start(context, toyClassifier(["a", "b"]))], { tokenizer: null }).encoder;
  await assert.rejects(silent.classify(["x"], { signal }), refuses("TOKENIZER_MISSING"));
});

test("another model at the host is BUNDLE_MISMATCH, before any id leaves", async (context) => {
  const toy = toyClassifier(["a", "b"]);
  const host = await start(context, toy);
  host.fingerprint = "0".repeat(32);
  await assert.rejects(toyOn(toy, [host]).encoder.classify(["x"], { signal }), refuses("BUNDLE_MISMATCH"));
  assert.equal(host.received.length, 0);
});

test("a host that fails is replaced by the next one", async (context) => {
  const toy = toyClassifier(["a", "b"]);
  const [dying, lying, good] = await Promise.all([start(context, toy), start(context, toy), start(context, toy)]);
  dying.misbehave = () => "die";
  lying.misbehave = () => ({ answer: { data: [] } });
  const { encoder } = toyOn(toy, [dying, lying, good]);
  near((await encoder.classify(["x"], { signal })).results[0]!.logits, plainToy(toy, idsOf("x")));
  assert.deepEqual(
    [dying, lying, good].map(({ received }) => received.length),
    [1, 1, 1],
  );
  await encoder.classify(["x"], { signal });
  assert.equal(dying.received.length, 1, "a host that failed just now is asked last");
});

test("a crashed engine is asked once more, a full queue is not", async (context) => {
  const toy = toyClassifier(["a", "b"]);
  const host = await start(context, toy);
  host.misbehave = (_, call) => (call === 0 ? { status: 500, body: { error: { message: "x", code: "ENGINE_CRASHED" } } } : null);
  const { encoder } = toyOn(toy, [host]);
  assert.equal((await encoder.classify(["x"], { signal })).results.length, 1);
  host.misbehave = () => ({ status: 429 });
  await assert.rejects(encoder.classify(["x"], { signal }), refuses("OVERLOADED"));
  assert.equal(host.received.length, 3);
});

test("silence ends, and so does the caller's patience", async (context) => {
  const toy = toyClassifier(["a", "b"]);
  const host = await start(context, toy);
  host.misbehave = () => "hang";
  await assert.rejects(toyOn(toy, [host], { silence: 100 }).encoder.classify(["x"], { signal }), refuses("HOST_TIMEOUT"));
  const controller = new AbortController();
  const asked = toyOn(toy, [host]).encoder.classify(["x"], { signal: controller.signal });
  await sleep(20);
  controller.abort(new Error("enough"));
  await assert.rejects(asked, /enough/);
});

const violations: readonly (readonly [name: string, answer: unknown])[] = [
  ["no rows", { data: [] }],
  ["a row too many", { data: [0, 1].map((index) => ({ index, outputs: [1, 2], shape: [2] })) }],
  ["an index twice", { data: [0, 0].map((index) => ({ index, outputs: [1, 2], shape: [2] })) }],
  ["an index out of range", { data: [{ index: 7, outputs: [1, 2], shape: [2] }] }],
  ["another shape", { data: [{ index: 0, outputs: [1, 2, 3], shape: [3] }] }],
  ["another rank", { data: [{ index: 0, outputs: [1, 2], shape: [1, 2] }] }],
  ["numbers missing", { data: [{ index: 0, outputs: [1], shape: [2] }] }],
  ["words for numbers", { data: [{ index: 0, outputs: ["1", "2"], shape: [2] }] }],
  ["null for numbers", { data: [{ index: 0, outputs: [null, 2], shape: [2] }] }],
  ["another form", { result: "fine" }],
];
for (const [name, answer] of violations) {
  test(`${name} is HOST_PROTOCOL`, async (context) => {
    const toy = toyClassifier(["a", "b"]);
    const host = await start(context, toy);
    host.misbehave = () => ({ answer });
    await assert.rejects(toyOn(toy, [host]).encoder.classify(["x"], { signal }), refuses("HOST_PROTOCOL"));
  });
}

const float = (...values: number[]): string => Buffer.from(Float32Array.from(values).buffer).toString("base64");
for (const [name, embedding] of [
  ["a vector of another length", float(1, 2, 3)],
  ["no number", float(1, 2, 3, 4, 5, Number.NaN)],
  ["infinity", float(1, 2, 3, 4, 5, Infinity)],
  ["half a number", Buffer.from([1, 2, 3, 4, 5]).toString("base64")],
  ["nothing", ""],
  ["what is not base64", "%%%%"],
] as const) {
  test(`${name} among vectors is HOST_PROTOCOL`, async (context) => {
    const toy = toyEmbedder("orthogonal");
    const host = await start(context, toy);
    host.misbehave = () => ({ answer: { data: [{ index: 0, embedding }] } });
    await assert.rejects(toyOn(toy, [host]).encoder.embed(["x"], { signal }), refuses("HOST_PROTOCOL"));
  });
}

test("every message of a failed request is free of its text", async (context) => {
  const toy = toyClassifier(["a", "b"]);
  const host = await start(context, toy);
  for (const misdeed of [{ status: 400, body: { error: { message: "no" } } }, { answer: {} }, "die"] as const) {
    host.misbehave = () => misdeed;
    await assert.rejects(
      toyOn(toy, [host]).encoder.classify(["Attack at dawn"], { signal }),
      (error: UnseenError) => !/Attack/.test(error.line + String(error.cause)),
    );
  }
});
