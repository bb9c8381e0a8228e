import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { WireEvent } from "../engines/blind.ts";
import OpenAI from "openai";
import sharp from "sharp";
import type { ClientInterface } from "@unseen/core/blueprint/interface.ts";
import { leaf, plainToy, toyClassifier, toyEmbedder, ToyHost, toyOn, type Toy } from "../encoders/toy-host.fixture.ts";
import { createGateway } from "./gateway.ts";
import type { LogEntry } from "./exchange.ts";
import { startGateway } from "./serve.ts";
import { modelOn, startHost, testTokenizer } from "./test-model.fixture.ts";

interface Body {
  readonly data: { index: number; embedding: number[] | string; label: string; probs: number[]; logits: number[]; num_classes: number }[];
  readonly results: { index: number; relevance_score: number; document?: { text: string } }[];
  readonly usage: { prompt_tokens: number; total_tokens: number };
  readonly error: { message: string; type: string; param: string | null; code: string };
}

type Post = (path: string, body: object, expected?: number) => Promise<Body>;

async function open(
  context: TestContext,
  toy: Toy,
  log: LogEntry[] = [],
  onWire?: (event: WireEvent) => void,
): Promise<{ host: ToyHost; post: Post }> {
  const host = await ToyHost.start(toy);
  context.after(() => host.close());
  const gateway = createGateway({ models: [toyOn(toy, [host])], log: (entry) => log.push(entry), onWire });
  const post: Post = async (path, body, expected = 200) => {
    const response = await gateway.request(`http://localhost${path}`, { method: "POST", body: JSON.stringify(body) });
    assert.equal(response.status, expected, await response.clone().text());
    return (await response.json()) as Body;
  };
  return { host, post };
}

function near(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++) assert.ok(Math.abs(actual[i]! - expected[i]!) < 1e-6, `${actual[i]} is not ${expected[i]}`);
}

const idsOf = (text: string): number[] => testTokenizer().encodeSequence(text, null, 32).ids;

test("the official client's embeddings", async (context) => {
  const toy = toyEmbedder("orthogonal");
  const host = await ToyHost.start(toy);
  const gateway = await startGateway({ models: [toyOn(toy, [host])], port: 0 });
  context.after(() => gateway.close().then(() => host.close()));
  const client = new OpenAI({ baseURL: gateway.baseUrl, apiKey: "none", maxRetries: 0 });
  const one = await client.embeddings.create({ model: "toy", input: "hello" });
  near(one.data[0]!.embedding, plainToy(toy, idsOf("hello")));
  assert.deepEqual([one.object, one.model, one.data[0]!.object, one.data[0]!.index], ["list", "toy", "embedding", 0]);
  const two = await client.embeddings.create({ model: "toy", input: ["hello", "world!"], encoding_format: "float" });
  near(two.data[1]!.embedding, plainToy(toy, idsOf("world!")));
  assert.deepEqual(two.usage, { prompt_tokens: 13, total_tokens: 13 });
  const ids = await client.embeddings.create({ model: "toy", input: [[72, 105], [33]] });
  near(ids.data[0]!.embedding, plainToy(toy, [72, 105]));
  const refused = client.embeddings.create({ model: "toy", input: "hello", dimensions: 3 });
  await assert.rejects(
    refused,
    (error: InstanceType<typeof OpenAI.BadRequestError>) => error.param === "dimensions" && /6 numbers/.test(error.message),
  );
  assert.equal((await client.embeddings.create({ model: "toy", input: "hello", dimensions: 6 })).data.length, 1);
});

test("encrypted vectors come as the host made them, on demand", async (context) => {
  const toy = toyEmbedder("orthogonal");
  const { post } = await open(context, toy);
  const plain = (await post("/v1/embeddings", { input: "x" })).data[0]!.embedding as number[];
  const hidden = (await post("/v1/embeddings", { input: "x", encrypted: true })).data[0]!.embedding as number[];
  const length = (vector: number[]): number => Math.hypot(...vector);
  near([length(plain)], [length(hidden)]);
  assert.ok(plain.some((value, i) => Math.abs(value - hidden[i]!) > 1e-3));
});

test("labels in vLLM's shape, with logits", async (context) => {
  const toy = toyClassifier(["bad", "good"]);
  const { post } = await open(context, toy);
  const { data, usage } = await post("/classify", { model: "toy", input: ["one", "three"] });
  for (const [place, text] of ["one", "three"].entries()) {
    const logits = plainToy(toy, idsOf(text));
    near(data[place]!.logits, logits);
    near(
      data[place]!.probs,
      logits.map((value) => Math.exp(value) / logits.reduce((sum, other) => sum + Math.exp(other), 0)),
    );
    assert.deepEqual(
      [data[place]!.index, data[place]!.label, data[place]!.num_classes],
      [place, logits[1]! > logits[0]! ? "good" : "bad", 2],
    );
  }
  assert.deepEqual(usage, { prompt_tokens: 10, total_tokens: 10 });
});

test("rerank, best first, in the shape of Jina and Cohere, at both paths", async (context) => {
  const { post } = await open(context, toyEmbedder("orthogonal"));
  const documents = ["aaaa", { text: "zz" }, "query"];
  for (const path of ["/v1/rerank", "/rerank"]) {
    const { results } = await post(path, { model: "toy", query: "query", documents });
    near([results[0]!.relevance_score], [1]);
    assert.deepEqual([results[0]!.index, results[0]!.document], [2, { text: "query" }]);
    assert.ok(results[0]!.relevance_score >= results[1]!.relevance_score && results[1]!.relevance_score >= results[2]!.relevance_score);
  }
  const best = await post("/rerank", { query: "query", documents, top_n: 1, return_documents: false });
  assert.deepEqual(
    best.results.map((result) => [result.index, "document" in result]),
    [[2, false]],
  );
});

test("models that write and models that encode stand side by side, each says where to go", async (context) => {
  const toy = toyEmbedder("orthogonal");
  const [host, writer] = [await ToyHost.start(toy), await startHost("hi")];
  const gateway = await startGateway({ models: [modelOn([writer]), toyOn(toy, [host])], port: 0 });
  context.after(() => Promise.all([gateway.close(), host.close(), writer.close()]));
  const client = new OpenAI({ baseURL: gateway.baseUrl, apiKey: "none", maxRetries: 0 });
  const messages = [{ role: "user", content: "Hello" }] as const;
  assert.equal((await client.chat.completions.create({ model: "test-model", messages: [...messages] })).choices[0]!.message.content, "hi");
  assert.equal((await client.embeddings.create({ model: "toy", input: "x" })).data.length, 1);
  const unsupported =
    (hint: RegExp) =>
    (error: InstanceType<typeof OpenAI.BadRequestError>): boolean =>
      error.status === 400 && error.code === "unsupported" && error.param === "model" && hint.test(error.message);
  await assert.rejects(
    client.chat.completions.create({ model: "toy", messages: [...messages] }),
    unsupported(/\/v1\/embeddings or \/v1\/rerank/),
  );
  await assert.rejects(client.completions.create({ model: "toy", prompt: "x" }), unsupported(/\/v1\/embeddings/));
  await assert.rejects(client.responses.create({ model: "toy", input: "x" }), unsupported(/\/v1\/embeddings/));
  await assert.rejects(client.embeddings.create({ model: "test-model", input: "x" }), unsupported(/\/v1\/chat\/completions/));
  await assert.rejects(
    client.embeddings.create({ model: "nobody", input: "x" }),
    (error: InstanceType<typeof OpenAI.NotFoundError>) => error.status === 404,
  );
  const rows = (await (await fetch(`${gateway.baseUrl}/models`)).json()) as {
    data: { id: string; max_model_len: number; unseen: object }[];
  };
  assert.deepEqual(
    rows.data.map(({ id }) => id),
    ["test-model", "toy"],
  );
  assert.equal((rows.data[1]!.unseen as { task: string }).task, "embedding");
  const tokens = (await (
    await fetch(`${gateway.url}/tokenize`, { method: "POST", body: JSON.stringify({ model: "toy", prompt: "Hi" }) })
  ).json()) as {
    count: number;
  };
  assert.equal(tokens.count, 3);
});

const picture = await sharp(Buffer.from(Uint8Array.from({ length: 4 }, (_, i) => i * 60)), { raw: { width: 2, height: 2, channels: 1 } })
  .png()
  .toBuffer();

/** A model of 2 x 2 greys, whose host says what the test wants. */
const pictureEnds: ClientInterface = {
  inputs: [
    {
      name: "image",
      kind: "tensor",
      axes: [null, null, null, leaf("columns", 2, "permutation")],
    },
  ],
  outputs: [
    {
      name: "logits",
      axes: [null, leaf("logits", 2, "none")],
    },
  ],
  stem: null,
  task: "classification",
  pooling: null,
  fixedLength: null,
  normalise: false,
  maximumLength: null,
  labels: ["dark", "light"],
  image: {
    width: 2,
    height: 2,
    channels: 1,
    rescale: 1,
    mean: [0],
    deviation: [1],
    layout: "NCHW",
    shortestEdge: null,
    resample: "nearest",
  },
};

test("pictures as base64 and as data URL; the host gets enciphered numbers", async (context) => {
  const seen: WireEvent[] = [];
  const { host, post } = await open(context, { width: 2, recipe: null, ends: pictureEnds }, [], (event) => seen.push(event));
  host.misbehave = () => ({ answer: { data: [{ index: 0, outputs: [1, 3], shape: [2] }] } });
  const base64 = picture.toString("base64");
  const { data, usage } = await post("/classify", { image: base64 });
  assert.deepEqual([data[0]!.label, usage.prompt_tokens], ["light", 0]);
  assert.equal((await post("/classify", { images: [base64, `data:image/png;base64,${base64}`] })).data.length, 2);
  const { tensors } = host.received[0]!.body as unknown as { tensors: { image: { type: string; shape: number[]; data: string } } };
  assert.deepEqual([tensors.image.type, tensors.image.shape], ["float32", [1, 1, 2, 2]]);
  const sent = new Float32Array(Uint8Array.from(Buffer.from(tensors.image.data, "base64")).buffer);
  assert.deepEqual(
    [...sent].toSorted((a, b) => a - b),
    [0, 60, 120, 180],
  );
  assert.deepEqual(seen[0]!.values && Array.from(seen[0]!.values), [...sent]);
  assert.equal(seen[0]!.direction, "sent");
});

const badRequests: readonly (readonly [name: string, path: string, body: object, param: string | null, code?: string])[] = [
  ["no input", "/v1/embeddings", { model: "toy" }, "input"],
  ["two inputs", "/classify", { input: "x", image: "aGk=" }, "input"],
  ["an input of another kind", "/v1/embeddings", { input: 3 }, "input"],
  ["an empty list", "/v1/embeddings", { input: [] }, "input"],
  ["a mixed list", "/v1/embeddings", { input: ["a", 3] }, "input[0]"],
  ["an address", "/classify", { image: "https://example.com/cat.png" }, "image", "unsupported"],
  ["a file's address", "/classify", { images: ["file:///etc/passwd"] }, "images[0]", "unsupported"],
  ["no base64", "/classify", { image: "???" }, "image"],
  ["a text's data URL", "/classify", { image: "data:text/html,<b>" }, "image"],
  ["an unknown format", "/v1/embeddings", { input: "x", encoding_format: "int8" }, "encoding_format"],
  ["no documents", "/v1/rerank", { query: "x", documents: [] }, "documents"],
  ["no query", "/v1/rerank", { documents: ["x"] }, "query"],
  ["documents without text", "/rerank", { query: "x", documents: [{ title: "x" }] }, "documents[0].text"],
  ["nobody's id", "/v1/embeddings", { input: [300] }, null, "token_out_of_range"],
];
for (const [name, path, body, param, code = "invalid_value"] of badRequests) {
  test(`${name} is refused by name, and no host is asked: ${path}`, async (context) => {
    const { host, post } = await open(context, toyEmbedder("orthogonal"));
    const { error } = await post(path, body, 400);
    assert.deepEqual([error.type, error.param, error.code], ["invalid_request_error", param, code]);
    assert.equal(host.received.length, 0);
  });
}

test("what a host does wrong has its status; the log has counts and no content", async (context) => {
  const log: LogEntry[] = [];
  const { host, post } = await open(context, toyClassifier(["a", "b"]), log);
  await post("/classify", { input: "Attack at dawn" });
  host.misbehave = () => ({ answer: {} });
  assert.equal((await post("/classify", { input: "Attack at dawn" }, 502)).error.code, "host_protocol");
  host.misbehave = () => ({ status: 429 });
  assert.equal((await post("/classify", { input: "Attack at dawn" }, 429)).error.code, "overloaded");
  assert.deepEqual(
    log.map(({ route, status, model, promptTokens, code }) => [route, status, model, promptTokens, code]),
    [
      ["/classify", 200, "toy", 15, undefined],
      ["/classify", 502, "toy", undefined, "HOST_PROTOCOL"],
      ["/classify", 429, "toy", undefined, "OVERLOADED"],
    ],
  );
  assert.doesNotMatch(JSON.stringify(log), /Attack/);
});
