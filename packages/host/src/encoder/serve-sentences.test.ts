import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { ask, difference, metric, outputs, type Path } from "../encoder-client.fixture.ts";
import { startHost, type Host } from "../serve.ts";
import { TINY_ONNX_FINGERPRINT, TINY_ONNX_VOCABULARY, TINY_ONNX_WIDTH, writeTinyEncoder } from "../tiny-onnx.fixture.ts";
import { LENGTHS, ROWS, path, row } from "./serve.fixture.ts";

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
