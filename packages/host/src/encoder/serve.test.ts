import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { encodeOnnx, onnxNode } from "@unseen/core/checkpoint/onnx-encode.ts";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import fc from "fast-check";
import { admitModel } from "../admit.ts";
import { ask, difference, metric, outputs, tensor, whileStopped, type Path } from "../encoder-client.fixture.ts";
import { until } from "../host-client.fixture.ts";
import { startHost, type Host, type HostOptions } from "../serve.ts";
import { writeTinyModel } from "../tiny-model.fixture.ts";
import {
  TINY_ONNX_CLASSES,
  TINY_ONNX_FINGERPRINT,
  TINY_ONNX_VOCABULARY,
  TINY_ONNX_WIDTH,
  writeTinyEncoder,
  writeTinyVision,
  type TinyEncoderOptions,
} from "../tiny-onnx.fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-encoder-"));
const path = (name: string): string => join(directory, name);
after(() => rmSync(directory, { recursive: true }));

const row = (length: number, seed = 0): number[] =>
  Array.from({ length }, (_, index) => (1 + seed * 13 + index * 7) % TINY_ONNX_VOCABULARY);
const LENGTHS = [3, 9, 1, 30, 4, 64, 17, 2];
const ROWS = LENGTHS.map(row);

async function withHost(
  write: (file: string) => void,
  options: Partial<HostOptions>,
  use: (host: Host, lines: string[]) => Promise<void>,
): Promise<void> {
  const file = path("some.onnx");
  write(file);
  const lines: string[] = [];
  const host = await startHost({ model: file, port: 0, plain: true, log: (line) => lines.push(line), ...options });
  try {
    await use(host, lines);
  } finally {
    await host.close(0);
  }
}

/** What each row gives in a run of its own. */
async function singly(url: string, rows: readonly number[][]): Promise<number[][]> {
  const all = [];
  for (const input of rows) all.push((await outputs(url, { input }))[0]!);
  return all;
}

describe("a host of an encrypted sentence encoder", () => {
  const lines: string[] = [];
  let host: Host;
  let url: string;
  before(async () => {
    writeTinyEncoder(path("encoder.onnx"), { output: "tokens", hasSegments: true, encrypted: {} });
    host = await startHost({ model: path("encoder.onnx"), port: 0, log: (line) => lines.push(line) });
    ({ url } = host);
  });
  after(() => host.close(0));

  test("embeddings are the means over each row's tokens, in OpenAI's shape", async () => {
    const tokens = await ask(url, "/classify", { input: ROWS });
    const answer = await ask(url, "/v1/embeddings", { model: "encoder", input: ROWS });
    assert.deepEqual([answer.status, answer.object, answer.model], [200, "list", "encoder"]);
    const total = LENGTHS.reduce((sum, length) => sum + length, 0);
    assert.deepEqual(answer.usage, { prompt_tokens: total, total_tokens: total });
    answer.data!.forEach(({ embedding, index, object }, at) => {
      const { outputs: values, shape } = tokens.data![at]!;
      assert.deepEqual([object, index, shape], ["embedding", at, [LENGTHS[at], TINY_ONNX_WIDTH]]);
      const mean = Array.from({ length: TINY_ONNX_WIDTH }, (_, axis) => values!.filter((_value, place) => place % TINY_ONNX_WIDTH === axis).reduce((sum, value) => sum + value, 0) / LENGTHS[at]!); // prettier-ignore
      assert.ok(difference(mean, embedding as number[]) < 1e-6);
    });
  });

  test("base64 holds the same numbers", async () => {
    const plain = await ask(url, "/v1/embeddings", { input: ROWS[1] });
    const packed = await ask(url, "/v1/embeddings", { input: [ROWS[1]], encoding_format: "base64" });
    const bytes = Uint8Array.fromBase64(packed.data![0]!.embedding as string);
    assert.deepEqual([...new Float32Array(bytes.buffer)], plain.data![0]!.embedding);
  });

  test("rerank sorts by cosine, cut at top_n", async () => {
    const [query, ...documents] = ROWS as [number[], ...number[][]];
    const { data } = await ask(url, "/v1/embeddings", { input: ROWS });
    const [first, ...others] = data!.map(({ embedding }) => embedding as number[]) as [number[], ...number[][]];
    const dot = (left: number[], right: number[]): number => left.reduce((sum, value, index) => sum + value * right[index]!, 0);
    const expected = others
      .map((vector, index) => ({ index, score: dot(first, vector) / Math.sqrt(dot(first, first) * dot(vector, vector)) }))
      .toSorted((left, right) => right.score - left.score);
    const { results } = await ask(url, "/v1/rerank", { query, documents });
    assert.deepEqual(results!.map(({ index }) => index), expected.map(({ index }) => index)); // prettier-ignore
    assert.ok(difference(expected.map(({ score }) => score), results!.map((one) => one.relevance_score!)) < 1e-5); // prettier-ignore
    const best = await ask(url, "/v1/rerank", { query, documents, top_n: 2 });
    assert.deepEqual(best.results, results!.slice(0, 2));
  });

  /** Without positions a token's place means nothing, so a row may be filled up anywhere. */
  const filled = (ids: readonly number[], length: number): { ids: number[]; mask: number[] } => {
    const places = Array.from({ length }, (_, place) => place).toSorted((left, right) => ((left * 7) % length) - ((right * 7) % length));
    const own = new Set(places.slice(0, ids.length));
    const rest = [...ids];
    const mask = Array.from({ length }, (_, place) => Number(own.has(place)));
    return { ids: mask.map((bit, place) => (bit === 1 ? rest.shift()! : (place * 5) % TINY_ONNX_VOCABULARY)), mask };
  };

  test("a row's own mask hides what its client filled it up with, in every route that takes rows", async () => {
    const rows = ROWS.map((ids) => filled(ids, 64));
    const body = { input: rows.map(({ ids }) => ids), mask: rows.map(({ mask }) => mask) };
    const [plain, masked] = [await ask(url, "/v1/embeddings", { input: ROWS }), await ask(url, "/v1/embeddings", body)];
    plain.data!.forEach(({ embedding }, at) =>
      assert.ok(difference(embedding as number[], masked.data![at]!.embedding as number[]) < 1e-5, `row ${at}`),
    );
    assert.deepEqual(masked.usage, plain.usage, "hidden tokens are padding");
    const tokens = await ask(url, "/classify", body);
    const expected = await outputs(url, { input: ROWS });
    tokens.data!.forEach(({ outputs: values, shape }, at) => {
      assert.deepEqual(shape, [64, TINY_ONNX_WIDTH]);
      const own = values!.filter((_, place) => rows[at]!.mask[Math.floor(place / TINY_ONNX_WIDTH)] === 1);
      assert.ok(difference(expected[at]!, own) < 1e-5, `row ${at}`);
    });
    const unmasked = await ask(url, "/v1/embeddings", { input: body.input });
    assert.ok(difference(plain.data![0]!.embedding as number[], unmasked.data![0]!.embedding as number[]) > 1e-3);
  });

  test("rows with a mask of their own and rows without share runs", async () => {
    const alone = await Promise.all(ROWS.map(async (input) => (await ask(url, "/v1/embeddings", { input })).data![0]!.embedding));
    const together = await Promise.all(
      ROWS.map((input, index) => {
        const { ids, mask } = filled(input, Math.min(64, input.length + 3));
        return ask(url, "/v1/embeddings", index % 2 === 0 ? { input: ids, mask } : { input });
      }),
    );
    together.forEach(({ data }, at) => assert.ok(difference(alone[at] as number[], data![0]!.embedding as number[]) < 1e-5, `row ${at}`));
  });

  test("metrics count hidden tokens as padding", async () => {
    const before_ = { tokens: await metric(url, "prompt_tokens_total"), padding: await metric(url, "padding_tokens_total") };
    await ask(url, "/v1/embeddings", { input: [1, 2, 3, 4, 5], mask: [1, 0, 1, 0, 0] });
    assert.equal((await metric(url, "prompt_tokens_total")) - before_.tokens, 2);
    assert.equal((await metric(url, "padding_tokens_total")) - before_.padding, 3);
  });

  test("token types change the result, and absent ones are zeros", async () => {
    const input = row(5);
    const [zeros, ones] = [
      await outputs(url, { input, segments: [Array(5).fill(0)] }),
      await outputs(url, { input, segments: [0, 0, 1, 1, 1] }),
    ];
    assert.deepEqual(zeros, await outputs(url, { input }));
    assert.ok(difference(zeros[0]!, ones[0]!) > 1e-3);
  });

  test("models and version describe the server", async () => {
    const { data } = (await (await fetch(`${url}/v1/models`)).json()) as {
      data: { id: string; max_model_len: number; unseen: Record<string, unknown> }[];
    };
    assert.deepEqual([data[0]!.id, data[0]!.max_model_len], ["encoder", 64]);
    const { interface: described, ...facts } = data[0]!.unseen as { interface: { task: string; inputs: { name: string }[] } };
    assert.deepEqual(facts, {
      fingerprint: TINY_ONNX_FINGERPRINT,
      vocabularySize: TINY_ONNX_VOCABULARY,
      strength: "rotate",
      family: "onnx",
    });
    assert.deepEqual(
      [described.task, described.inputs.map(({ name }) => name)],
      ["embedding", ["input_ids", "attention_mask", "token_type_ids"]],
    );
    assert.equal(((await (await fetch(`${url}/version`)).json()) as { engine: string }).engine, "onnxruntime");
    assert.deepEqual(
      [host.vocabularySize, host.contextLength, host.manifest!.fingerprint],
      [TINY_ONNX_VOCABULARY, 64, TINY_ONNX_FINGERPRINT],
    );
  });

  test("metrics count rows, tokens and runs", async () => {
    const before_ = { tokens: await metric(url, "prompt_tokens_total"), rows: await metric(url, "batch_rows_sum") };
    await ask(url, "/v1/embeddings", { input: ROWS });
    assert.equal((await metric(url, "prompt_tokens_total")) - before_.tokens, LENGTHS.reduce((sum, length) => sum + length, 0)); // prettier-ignore
    assert.equal((await metric(url, "batch_rows_sum")) - before_.rows, LENGTHS.length);
    assert.equal(await metric(url, "num_requests_running"), 0);
    assert.equal(await metric(url, "batch_rows_count"), await metric(url, "batch_seconds_count"));
  });

  describe("refuses", () => {
    const input = [1, 2, 3];
    const cases: [name: string, path: Path, body: unknown, status: number, code: string, param?: string][] = [
      ["text", "/v1/embeddings", { input: "hello" }, 400, "REQUEST_UNSUPPORTED", "input"],
      ["texts", "/v1/embeddings", { input: ["hello"] }, 400, "REQUEST_UNSUPPORTED", "input"],
      ["texts among ids", "/v1/embeddings", { input: [[1], "hello"] }, 400, "REQUEST_UNSUPPORTED", "input"],
      ["no input", "/classify", {}, 400, "REQUEST_INVALID", "input"],
      ["an empty input", "/classify", { input: [] }, 400, "REQUEST_INVALID", "input"],
      ["an empty row", "/classify", { input: [[1], []] }, 400, "REQUEST_INVALID", "input"],
      ["ids beyond the vocabulary", "/classify", { input: [1, TINY_ONNX_VOCABULARY] }, 400, "TOKEN_OUT_OF_RANGE", "input"],
      ["negative ids", "/classify", { input: [[1], [-1]] }, 400, "TOKEN_OUT_OF_RANGE", "input"],
      ["huge ids", "/classify", { input: [2 ** 40] }, 400, "TOKEN_OUT_OF_RANGE", "input"],
      ["fractions", "/classify", { input: [1.5] }, 400, "REQUEST_INVALID", "input"],
      ["null ids", "/classify", { input: [1, null] }, 400, "REQUEST_INVALID", "input"],
      ["nested too deep", "/classify", { input: [[[1]]] }, 400, "REQUEST_INVALID", "input"],
      ["rows that are too long", "/classify", { input: Array(65).fill(1) }, 400, "REQUEST_TOO_LARGE", "input"],
      ["too many rows", "/v1/embeddings", { input: Array.from({ length: 3000 }, () => [1]) }, 400, "REQUEST_TOO_LARGE", "input"],
      ["token types of another length", "/classify", { input, segments: [0, 1] }, 400, "REQUEST_INVALID", "segments"],
      ["token types beyond the table", "/classify", { input, segments: [0, 1, 2] }, 400, "TOKEN_OUT_OF_RANGE", "segments"],
      ["a mask of another length", "/classify", { input, mask: [0, 1] }, 400, "REQUEST_INVALID", "mask"],
      ["a mask of fewer rows", "/classify", { input: [input, input], mask: [[1, 1, 1]] }, 400, "REQUEST_INVALID", "mask"],
      ["a mask that is no list", "/classify", { input, mask: 1 }, 400, "REQUEST_INVALID", "mask"],
      ["an empty mask", "/classify", { input, mask: [] }, 400, "REQUEST_INVALID", "mask"],
      ["text as mask", "/classify", { input, mask: "hello" }, 400, "REQUEST_UNSUPPORTED", "mask"],
      ["texts in a mask", "/classify", { input, mask: [1, "hello", 1] }, 400, "REQUEST_INVALID", "mask"],
      ["other numbers than 0 and 1 in a mask", "/classify", { input, mask: [1, 2, 1] }, 400, "REQUEST_INVALID", "mask"],
      ["fractions in a mask", "/v1/embeddings", { input, mask: [1, 0.5, 1] }, 400, "REQUEST_INVALID", "mask"],
      ["truth values in a mask", "/v1/embeddings", { input, mask: [true, false, true] }, 400, "REQUEST_INVALID", "mask"],
      ["a mask that hides a whole row", "/v1/embeddings", { input: [input, input], mask: [[1, 1, 1], [0, 0, 0]] }, 400, "REQUEST_INVALID", "mask"], // prettier-ignore
      ["a mask beside tensors", "/classify", { mask: [1], tensors: {} }, 400, "REQUEST_INVALID", "mask"],
      ["a mask beside documents", "/v1/rerank", { query: input, documents: [input], mask: [[1, 1, 1], [1, 1, 1]] }, 400, "REQUEST_UNSUPPORTED", "mask"], // prettier-ignore
      ["positions where the model has none", "/classify", { input, position: [0, 1, 2] }, 400, "REQUEST_UNSUPPORTED", "position"],
      ["another format", "/v1/embeddings", { input, encoding_format: "hex" }, 400, "REQUEST_INVALID", "encoding_format"],
      ["fields that it does not know", "/v1/embeddings", { input, dimensions: 8 }, 400, "REQUEST_UNSUPPORTED"],
      ["texts in fields that it does not know", "/classify", { input, note: "hello" }, 400, "REQUEST_UNSUPPORTED"],
      ["another model", "/v1/embeddings", { input, model: "gpt-9" }, 404, "MODEL_NOT_FOUND"],
      ["a model that is no name", "/v1/embeddings", { input, model: 9 }, 400, "REQUEST_INVALID", "model"],
      ["pairs", "/v1/rerank", { pairs: [input] }, 400, "REQUEST_UNSUPPORTED", "pairs"],
      ["no documents", "/v1/rerank", { query: input }, 400, "REQUEST_INVALID", "documents"],
      ["documents of text", "/v1/rerank", { query: input, documents: ["hello"] }, 400, "REQUEST_UNSUPPORTED", "documents"],
      ["several queries", "/v1/rerank", { query: [input], documents: [input] }, 400, "REQUEST_INVALID", "query"],
      ["best of none", "/v1/rerank", { query: input, documents: [input], top_n: 0 }, 400, "REQUEST_INVALID", "top_n"],
      ["both", "/v1/rerank", { query: input, documents: [input], pairs: [input] }, 400, "REQUEST_INVALID", "query"],
      ["input beside tensors", "/classify", { input, tensors: {} }, 400, "REQUEST_INVALID", "input"],
      ["completions", "/v1/completions", { prompt: input }, 400, "REQUEST_UNSUPPORTED"],
      ["no JSON", "/classify", "{", 400, "REQUEST_INVALID"],
      ["a list", "/classify", [], 400, "REQUEST_INVALID"],
      ["__proto__", "/classify", '{"__proto__": {"input": [1]}}', 400, "REQUEST_UNSUPPORTED"],
    ];
    for (const [name, where, body, status, code, param] of cases) {
      test(`${name} at ${where}`, async () => {
        const { error, ...answer } = await ask(url, where, body);
        assert.deepEqual([answer.status, error!.code], [status, code]);
        if (param) assert.equal(error!.param, param);
        assert.doesNotMatch(error!.message, /hello|gpt-9|note|\n/, "nothing of the request is repeated");
      });
    }

    test("what a foreign web page could send", async () => {
      assert.equal((await ask(url, "/classify", { input }, { headers: { "content-type": "text/plain" } })).status, 400);
    });

    test("bodies beyond the limit", async () => {
      assert.equal((await ask(url, "/classify", `{"input":[${"1,".repeat(9 << 20)}1]}`)).status, 413);
    });
  });

  test("no body makes it fail or forget its limits", async () => {
    const number = fc.oneof(fc.integer({ min: -2, max: 70 }), fc.double(), fc.constant(null), fc.string({ maxLength: 3 }));
    const list = fc.array(number, { maxLength: 5 });
    const value = fc.oneof(
      number,
      list,
      fc.array(fc.oneof(list, number), { maxLength: 4 }),
      fc.dictionary(fc.string({ maxLength: 3 }), number),
    );
    const body = fc.record({ input: value, mask: value, segments: value, tensors: value, query: value, documents: value, pairs: value, top_n: value, encoding_format: value, model: value }, { requiredKeys: [] }); // prettier-ignore
    const where = fc.constantFrom<Path>("/v1/embeddings", "/classify", "/v1/rerank");
    await fc.assert(
      fc.asyncProperty(where, body, async (target, given) => {
        const { status } = await ask(url, target, given);
        assert.ok([200, 400, 404].includes(status), `${status} for ${JSON.stringify(given)}`);
      }),
      { numRuns: 150 },
    );
    assert.equal((await outputs(url, { input: [1] })).length, 1);
    assert.equal(await metric(url, "engine_restarts_total"), 0);
  });

  test("the log says nothing of any request", () => {
    const text = lines.join("\n");
    assert.match(text, /listening/);
    assert.doesNotMatch(text, /input|hello|\b63\b/);
  });
});

describe("batched rows give what each gives alone", () => {
  const models: [string, TinyEncoderOptions, batches: string][] = [
    ["with a mask", {}, "any lengths"],
    ["one vector per token", { output: "tokens" }, "any lengths"],
    ["without a mask", { hasMask: false }, "equal shapes"],
    ["with a mask that does nothing", { ignoresMask: true }, "equal shapes"],
    ["that searches its ids", { searchesIds: true }, "equal shapes"],
    ["whose rows depend on each other", { mixesRows: true }, "single rows"],
    ["with four rows to a run", { rows: 4 }, "any lengths, 4 rows fixed"],
    ["of 64 tokens to a row", { length: 64 }, "any lengths, 64 tokens fixed"],
  ];
  for (const [name, options, batches] of models) {
    test(`a model ${name}`, async () => {
      await withHost(
        (file) => writeTinyEncoder(file, options),
        {},
        async ({ url }, lines) => {
          assert.ok(lines.some((line) => line === `engine batches ${batches}`), lines.join("\n")); // prettier-ignore
          const rows = [...ROWS, ...LENGTHS.map((length) => row(length, 3))];
          const alone = await singly(url, rows);
          const together = await outputs(url, { input: rows });
          const concurrent = await Promise.all(rows.map(async (input) => (await outputs(url, { input }))[0]!));
          // A mean subtracted from itself is zero, and compares exactly.
          const distance = (expected: number[], got: number[]): number => (expected.every((value) => value === 0) ? Math.max(...got.map(Math.abs)) : difference(expected, got)); // prettier-ignore
          alone.forEach((expected, index) => {
            assert.ok(distance(expected, together[index]!) < 1e-6, `row ${index}`);
            assert.ok(distance(expected, concurrent[index]!) < 1e-6, `row ${index}, concurrent`);
          });
        },
      );
    });
  }

  test("32 concurrent requests share runs", async () => {
    await withHost(
      (file) => writeTinyEncoder(file, {}),
      {},
      async (host) => {
        const { url } = host;
        const rows = Array.from({ length: 32 }, (_, index) => row(10 + (index % 5), index));
        const alone = await singly(url, rows);
        const runs = await metric(url, "batch_rows_count");
        let answers: Promise<Awaited<ReturnType<typeof outputs>>[number]>[] = [];
        await whileStopped(host, async () => {
          answers = rows.map(async (input) => (await outputs(url, { input }))[0]!);
          await until(
            async () => (await metric(url, "num_requests_running")) + (await metric(url, "num_requests_waiting")) === rows.length,
          );
        });
        const together = await Promise.all(answers);
        alone.forEach((expected, index) => assert.ok(difference(expected, together[index]!) < 1e-6));
        assert.ok((await metric(url, "batch_rows_count")) - runs < rows.length, "fewer runs than requests");
      },
    );
  });

  test("a fixed length without a mask is refused clearly where it does not fit", async () => {
    await withHost(
      (file) => writeTinyEncoder(file, { hasMask: false, length: 12 }),
      {},
      async ({ url }) => {
        assert.equal((await outputs(url, { input: row(12) })).length, 1);
        const masked = await ask(url, "/classify", { input: row(12), mask: Array(12).fill(1) });
        assert.deepEqual([masked.error!.code, masked.error!.param], ["REQUEST_UNSUPPORTED", "mask"]);
        const { error } = await ask(url, "/classify", { input: row(11) });
        assert.deepEqual([error!.code, error!.param], ["REQUEST_INVALID", "input"]);
        assert.match(error!.message, /exactly 12 tokens, got 11/);
      },
    );
  });
});

describe("a host of a vision model", () => {
  const image = (seed: number): Float32Array => Float32Array.from({ length: 18 }, (_, index) => Math.sin(seed + index));
  const images = (...seeds: number[]): object => ({
    image: tensor("float32", [seeds.length, 2, 3, 3], Float32Array.from(seeds.flatMap((seed) => [...image(seed)]))),
  });

  test("a batch of tensors gives a row each, and the same as alone", async () => {
    await withHost(writeTinyVision, {}, async (host) => {
      assert.deepEqual([host.contextLength, host.vocabularySize], [null, 0]);
      const { data, usage } = await ask(host.url, "/classify", { tensors: images(1, 2, 3) });
      assert.deepEqual(usage, { prompt_tokens: 0, total_tokens: 0 });
      assert.deepEqual(data!.map(({ index, shape }) => [index, shape]), [[0, [4]], [1, [4]], [2, [4]]]); // prettier-ignore
      for (const [index, seed] of [1, 2, 3].entries())
        assert.ok(difference((await outputs(host.url, { tensors: images(seed) }))[0]!, data![index]!.outputs!) < 1e-6);
    });
  });

  test("also where a run takes one row, or any size of picture", async () => {
    let expected: number[][] = [];
    await withHost(writeTinyVision, {}, async ({ url }) => void (expected = await outputs(url, { tensors: images(1, 2) })));
    for (const options of [{ rows: 1 }, { side: "side" }]) {
      await withHost(
        (file) => writeTinyVision(file, options),
        {},
        async ({ url }) => {
          const got = await outputs(url, { tensors: images(1, 2) });
          expected.forEach((values, index) => assert.ok(difference(values, got[index]!) < 1e-6));
        },
      );
    }
  });

  test("refuses tensors that do not fit the interface", async () => {
    await withHost(writeTinyVision, {}, async ({ url }) => {
      const good = images(1) as { image: { type: string; shape: number[]; data: string } };
      const { data } = good.image;
      const withNaN = tensor("float32", [1, 2, 3, 3], image(1).fill(NaN, 4, 5));
      const cases: [string, unknown][] = [
        ["no object", 7],
        ["none", {}],
        ["another name", { picture: good.image }],
        ["one too many", { ...good, other: good.image }],
        ["no tensor", { image: [1, 2] }],
        ["another type", { image: { ...good.image, type: "float64" } }],
        ["another rank", { image: { ...good.image, shape: [1, 2, 9] } }],
        ["another size", { image: { ...good.image, shape: [1, 1, 3, 3] } }],
        ["no rows", { image: { ...good.image, shape: [0, 2, 3, 3], data: "" } }],
        ["negative sizes", { image: { ...good.image, shape: [-1, 2, 3, 3] } }],
        ["2^52 rows", { image: { ...good.image, shape: [2 ** 52, 2, 3, 3] } }],
        ["2^53 rows", { image: { ...good.image, shape: [2 ** 53, 2, 3, 3] } }],
        ["more rows than bytes", { image: { ...good.image, shape: [1000, 2, 3, 3] } }],
        ["fewer bytes", { image: { ...good.image, data: data.slice(4) } }],
        ["more bytes", { image: { ...good.image, data: `${data}AAAA` } }],
        ["spaces", { image: { ...good.image, data: ` ${data.slice(1)}` } }],
        ["the alphabet of URLs", { image: { ...good.image, data: `_${data.slice(1)}` } }],
        ["numbers that are none", { image: withNaN }],
        ["more fields", { image: { ...good.image, note: "hello" } }],
        ["__proto__", JSON.parse('{"__proto__": {"image": 1}}')],
      ];
      for (const [name, tensors] of cases) {
        const { error, status } = await ask(url, "/classify", { tensors });
        assert.deepEqual([status, error?.code], [400, name === "2^52 rows" ? "REQUEST_TOO_LARGE" : "REQUEST_INVALID"], name);
        assert.doesNotMatch(error!.message, /hello|picture|\n/);
      }
      const sequences = await ask(url, "/v1/embeddings", { input: [1, 2] });
      assert.equal(sequences.error!.code, "REQUEST_UNSUPPORTED");
      assert.equal((await outputs(url, { tensors: good })).length, 1);
    });
  });
});

describe("tasks", () => {
  test("a classifier gives classes and scores of pairs, and no embeddings", async () => {
    await withHost(
      (file) => writeTinyEncoder(file, { encrypted: {}, hasSegments: true }),
      { plain: false },
      async ({ url }) => {
        const { data } = await ask(url, "/classify", { input: ROWS });
        assert.ok(data!.every(({ outputs: values, shape }) => values!.length === TINY_ONNX_CLASSES && shape!.length === 1));
        const segments = ROWS.map((ids) => ids.map((_, index) => Number(index > 1)));
        const [ids, mask] = [ROWS.map((own) => [...own.slice(0, 63), 9]), ROWS.map((own) => [...own.slice(0, 63).map(() => 1), 0])];
        const hidden = (await ask(url, "/v1/rerank", { pairs: ids, mask })).results!;
        const shown = await outputs(url, { input: ROWS.map((own) => own.slice(0, 63)) });
        hidden.forEach(({ outputs: values }, index) => assert.ok(difference(shown[index]!, values!) < 1e-5));
        const { results } = await ask(url, "/v1/rerank", { pairs: ROWS, segments });
        const same = await outputs(url, { input: ROWS, segments });
        assert.deepEqual(results!.map(({ index }) => index), ROWS.map((_, index) => index)); // prettier-ignore
        results!.forEach(({ outputs: values }, index) => assert.ok(difference(same[index]!, values!) < 1e-6));
        assert.equal((await ask(url, "/v1/embeddings", { input: ROWS })).error!.code, "REQUEST_UNSUPPORTED");
        assert.equal((await ask(url, "/v1/rerank", { query: [1], documents: [[2]] })).error!.code, "REQUEST_UNSUPPORTED");
      },
    );
  });

  test("vectors whose cosines mean nothing are not ranked, vectors without a pooling not pooled", async () => {
    const outputs_ = [{ name: "output", shape: ["batch", "sequence", TINY_ONNX_WIDTH], isometric: false }];
    await withHost(
      (file) => writeTinyEncoder(file, { output: "tokens", encrypted: { outputs: outputs_ } }),
      { plain: false },
      async ({ url }) => {
        assert.equal((await ask(url, "/v1/embeddings", { input: [1] })).status, 200);
        assert.equal((await ask(url, "/v1/rerank", { query: [1], documents: [[2]] })).error!.code, "REQUEST_UNSUPPORTED");
      },
    );
    await withHost(
      (file) => writeTinyEncoder(file, { output: "tokens", encrypted: { pooling: null } }),
      { plain: false },
      async ({ url }) => {
        assert.equal((await ask(url, "/v1/embeddings", { input: [1] })).error!.code, "REQUEST_UNSUPPORTED");
        assert.equal((await ask(url, "/classify", { input: [1] })).status, 200);
      },
    );
  });

  test("places that a model asks for must lie in their rows", async () => {
    await withHost(
      (file) => writeTinyEncoder(file, { hasPeaks: true, encrypted: {} }),
      { plain: false },
      async ({ url }, lines) => {
        assert.ok(lines.includes("engine batches any lengths"));
        const input = [row(6), row(4, 1), row(9, 2)];
        const peaks = [5, 0, 3];
        const together = await outputs(url, { input, peaks });
        for (const [index, ids] of input.entries()) {
          const [alone] = await outputs(url, { input: ids, peaks: [peaks[index]] });
          assert.ok(difference(alone!, together[index]!) < 1e-6);
          const [elsewhere] = await outputs(url, { input: ids, peaks: [peaks[index] === 0 ? 1 : 0] });
          assert.ok(difference(alone!, elsewhere!) > 1e-3);
        }
        for (const wrong of [undefined, [5, 0], [5, 4, 3], [-1, 0, 3], [0.5, 0, 0], "000", [[5], [0], [3]]]) {
          const { error } = await ask(url, "/classify", { input, peaks: wrong });
          assert.deepEqual([error?.code, error?.param], ["REQUEST_INVALID", "peaks"]);
        }
        const ids = (name: string, values: number[], shape: number[]): object => ({
          [name]: tensor("int64", shape, BigInt64Array.from(values, BigInt)),
        });
        const tensors = {
          ...ids("input_ids", row(4), [1, 4]),
          ...ids("attention_mask", [1, 1, 1, 1], [1, 4]),
          ...ids("input_ids_peak", [3], [1]),
        };
        assert.equal((await outputs(url, { tensors })).length, 1);
        for (const place of [4, -1])
        assert.equal((await ask(url, "/classify", { tensors: { ...tensors, ...ids("input_ids_peak", [place], [1]) } })).error!.code, "REQUEST_INVALID"); // prettier-ignore
      },
    );
  });

  test("a language model's host names what it does not do", async () => {
    writeTinyModel(path("tiny.gguf"));
    const host = await startHost({ model: path("tiny.gguf"), port: 0 });
    try {
      for (const where of ["/v1/embeddings", "/classify", "/v1/rerank"] as const) {
        const { status, error } = await ask(host.url, where, { input: [1] });
        assert.deepEqual([status, error!.code], [400, "REQUEST_UNSUPPORTED"]);
      }
    } finally {
      await host.close(0);
    }
  });
});

describe("admission", () => {
  const refuses = (promise: Promise<unknown>, code: ErrorCode): Promise<void> =>
    assert.rejects(promise, (error) => UnseenError.isInstance(error) && error.code === code && !error.line.includes("\n"));

  test("a plain file is refused unless asked for, a directory of one file is that file", async () => {
    mkdirSync(path("plain"));
    writeTinyEncoder(join(path("plain"), "model.onnx"));
    await refuses(admitModel(path("plain")), "NOT_ENCRYPTED");
    const admitted = await admitModel(path("plain"), { plain: true });
    assert.deepEqual([admitted.path, admitted.kind, admitted.manifest], [join(path("plain"), "model.onnx"), "onnx", null]);
    const { inputs, pooling } = admitted.ends!.interface;
    assert.deepEqual(inputs.map(({ kind, vocabularySize }) => [kind, vocabularySize]), [["ids", TINY_ONNX_VOCABULARY], ["mask", undefined]]); // prettier-ignore
    assert.equal(pooling, null);
  });

  test("an interface that does not fit its graph is refused", async () => {
    const refusesInterface = (difference_: TinyEncoderOptions["encrypted"]): Promise<void> => {
      writeTinyEncoder(path("odd.onnx"), { encrypted: difference_! });
      return refuses(admitModel(path("odd.onnx")), "CHECKPOINT_MALFORMED");
    };
    await refusesInterface({ inputs: [] });
    await refusesInterface({ outputs: [] });
    await refusesInterface({ outputs: [{ name: "other", shape: ["batch"], isometric: true }] });
    await refusesInterface({ task: "magic" as never });
    await refusesInterface({ maximumLength: -1 });
  });

  test("damaged files, leftovers and models that the engine refuses are named", async () => {
    writeFileSync(path("noise.onnx"), Buffer.from("this is no model at all"));
    await assert.rejects(
      admitModel(path("noise.onnx"), { plain: true }),
      (error) => UnseenError.isInstance(error) && error.code.startsWith("CHECKPOINT_"),
    );
    mkdirSync(path("left.partial"));
    cpSync(path("encoder.onnx"), join(path("left.partial"), "model.onnx"));
    await refuses(admitModel(join(path("left.partial"), "model.onnx")), "CHECKPOINT_INCOMPLETE");
    const shape = ["batch", 2];
    const ends = { inputs: [{ name: "in", type: "float32", shape }], outputs: [{ name: "out", type: "float32", shape }] } as const;
    writeFileSync(path("unknown.onnx"), encodeOnnx({ nodes: [onnxNode("NoSuchOperator", ["in"], ["out"])], ...ends }));
    await refuses(startHost({ model: path("unknown.onnx"), port: 0, plain: true }), "CHECKPOINT_MALFORMED");
    await refuses(startHost({ model: path("encoder.onnx"), port: 0, provider: "dml" }), "USAGE");
    await refuses(startHost({ model: path("encoder.onnx"), port: 0, provider: "tensorrt" }), "USAGE");
  });
});
