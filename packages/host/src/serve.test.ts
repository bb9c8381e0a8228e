import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { LlamaLogLevel, TokenBias, getLlama, type LlamaContext } from "node-llama-cpp";
import { needs, sharedPath } from "../../../tests/shared.ts";
import { MAXIMUM_UNREAD_BYTES } from "./completions.ts";
import { answer, events, ids, post, until, type Chunk } from "./host-client.fixture.ts";
import { startHost, type Host } from "./serve.ts";
import { TINY_CONTEXT, TINY_FINGERPRINT, TINY_VOCABULARY, writeTinyModel } from "./tiny-model.fixture.ts";

const PROMPT = [1, 20, 40, 60];

/** What node-llama-cpp itself generates through its public interface: an independent path to the same weights. */
async function withReference<Result>(file: string, use: (context: LlamaContext) => Promise<Result>): Promise<Result> {
  const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: LlamaLogLevel.disabled });
  try {
    const model = await llama.loadModel({ modelPath: file });
    const single = model.fileInsights.dominantTensorType === 0;
    const context = await model.createContext({
      contextSize: 256,
      threads: 1,
      ...(single ? { flashAttention: false, experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" } : {}),
    });
    return await use(context);
  } finally {
    await llama.dispose();
  }
}

async function reference(context: LlamaContext, prompt: number[], count: number, options: object = {}): Promise<number[]> {
  const sequence = context.getSequence();
  const tokens: number[] = [];
  for await (const token of sequence.evaluate(prompt as never, { temperature: 0, topK: 0, topP: 1, yieldEogToken: true, ...options })) {
    tokens.push(token);
    if (tokens.length === count) break;
  }
  await sequence.dispose();
  return tokens;
}

describe("a host of a small random model", () => {
  const directory = mkdtempSync(join(tmpdir(), "unseen-host-"));
  const file = join(directory, "tiny.gguf");
  const lines: string[] = [];
  let host: Host;
  let url: string;

  before(async () => {
    writeTinyModel(file);
    host = await startHost({ model: file, port: 0, sequences: 3, log: (line) => lines.push(line) });
    ({ url } = host);
  });
  after(async () => {
    await host.close(0);
    rmSync(directory, { recursive: true });
  });

  test("greedy tokens are those of node-llama-cpp itself", async () => {
    const expected = await withReference(file, (context) => reference(context, PROMPT, 40));
    assert.deepEqual(await ids(url, { prompt: PROMPT, max_tokens: 40, temperature: 0, ignore_eos: true }), expected);
  });

  test("the stream carries the same tokens, one a chunk, in vLLM's shape", async () => {
    const whole = await answer(url, { prompt: PROMPT, max_tokens: 12, temperature: 0, ignore_eos: true });
    const response = await post(url, {
      prompt: PROMPT,
      max_tokens: 12,
      temperature: 0,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    });
    assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
    const all = await Array.fromAsync(events(response));
    assert.equal(all.at(-1), "[DONE]");
    const chunks = all.slice(0, -1) as Chunk[];
    const usage = chunks.pop()!;
    assert.deepEqual(usage.choices, []);
    assert.deepEqual(
      { ...usage.usage, prompt_tokens_details: null },
      { prompt_tokens: 4, completion_tokens: 12, total_tokens: 16, prompt_tokens_details: null },
    );
    assert.deepEqual(chunks.flatMap(({ choices }) => choices[0]!.token_ids), whole.choices[0]!.token_ids); // prettier-ignore
    assert.deepEqual(chunks[0]!.choices[0]!.prompt_token_ids, PROMPT);
    assert.ok(chunks.slice(1).every(({ choices }) => choices[0]!.prompt_token_ids === undefined));
    assert.deepEqual(chunks.map(({ choices }) => choices[0]!.finish_reason), [...Array<null>(11).fill(null), "length"]); // prettier-ignore
    assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
    assert.equal(whole.choices[0]!.text, "");
  });

  test("a stop id ends the answer, is part of it and is named", async () => {
    const free = await ids(url, { prompt: PROMPT, max_tokens: 20, temperature: 0, ignore_eos: true });
    const stop = free[6]!;
    const first = free.indexOf(stop);
    const { choices } = await answer(url, { prompt: PROMPT, max_tokens: 20, temperature: 0, ignore_eos: true, stop_token_ids: [stop] });
    assert.deepEqual(choices[0]!.token_ids, free.slice(0, first + 1));
    assert.deepEqual([choices[0]!.finish_reason, choices[0]!.stop_reason], ["stop", stop]);
  });

  test("the model's own end ids stop unless ignored, and not before min_tokens", async () => {
    const ended = { prompt: PROMPT, max_tokens: 20, temperature: 0, logit_bias: { 3: 100 } };
    assert.deepEqual(await ids(url, ended), [3]);
    assert.deepEqual(await ids(url, { ...ended, ignore_eos: true, max_tokens: 3 }), [3, 3, 3]);
    const late = await ids(url, { ...ended, min_tokens: 5 });
    assert.equal(late.length, 6);
    assert.deepEqual([late.indexOf(3), late.at(-1)], [5, 3]);
  });

  test("log-probabilities are the model's own, whatever the sampling", async () => {
    const body = {
      prompt: PROMPT,
      max_tokens: 4,
      temperature: 0.7,
      top_k: 5,
      seed: 11,
      ignore_eos: true,
      logprobs: 3,
      return_tokens_as_token_ids: true,
    };
    const { choices } = await answer(url, body);
    const { token_ids: tokens } = choices[0]!;
    const logprobs = choices[0]!.logprobs as { tokens: string[]; token_logprobs: number[]; top_logprobs: Record<string, number>[] };
    assert.deepEqual(logprobs.tokens, tokens.map((id) => `token_id:${id}`)); // prettier-ignore
    assert.deepEqual(await ids(url, { ...body, logprobs: null }), tokens, "asking for them changes nothing");
    await withReference(file, async (context) => {
      const sequence = context.getSequence();
      let step = 0;
      // Replacing the sampled token by the host's leads the reference along the host's path.
      const steps = sequence.evaluateWithMetadata(
        PROMPT as never,
        { probabilities: true },
        { temperature: 1, topK: 0, topP: 1, seed: 1, yieldEogToken: true },
      );
      let next = await steps.next();
      while (!next.done) {
        const probabilities = [...next.value.probabilities] as [number, number][];
        const of = new Map(probabilities);
        assert.ok(Math.abs(logprobs.token_logprobs[step]! - Math.log(of.get(tokens[step]!)!)) < 1e-4);
        const best = probabilities.toSorted((left, right) => right[1] - left[1]).slice(0, 3);
        for (const [id, probability] of best)
          assert.ok(Math.abs(logprobs.top_logprobs[step]![`token_id:${id}`]! - Math.log(probability)) < 1e-4);
        if (++step === tokens.length) break;
        next = await steps.next(tokens[step - 1] as never);
      }
      assert.equal(step, tokens.length);
    });
  });

  test("a seed fixes the answer; choices differ", async () => {
    const body = { prompt: PROMPT, max_tokens: 16, temperature: 1, seed: 7, n: 2, ignore_eos: true };
    const first = await answer(url, body);
    const second = await answer(url, body);
    const tokens = first.choices.map(({ token_ids: choice }) => choice);
    assert.deepEqual(second.choices.map(({ token_ids: choice }) => choice), tokens); // prettier-ignore
    assert.notDeepEqual(tokens[0], tokens[1]);
    assert.deepEqual(first.choices.map(({ index }) => index), [0, 1]); // prettier-ignore
    assert.equal(first.usage!.completion_tokens, 32);
  });

  test("several prompts are answered in order", async () => {
    const prompts = [[1, 2], [1, 50, 51], [1, 90]]; // prettier-ignore
    const alone = await Promise.all(prompts.map((prompt) => ids(url, { prompt, max_tokens: 8, temperature: 0 })));
    const { choices } = await answer(url, { prompt: prompts, max_tokens: 8, temperature: 0 });
    assert.deepEqual(choices.map(({ token_ids: choice }) => choice), alone); // prettier-ignore
  });

  test("logit_bias forbids and forces", async () => {
    const body = { prompt: PROMPT, max_tokens: 6, temperature: 0, ignore_eos: true };
    const [favourite] = await ids(url, body);
    const banned = await ids(url, { ...body, logit_bias: { [favourite!]: -100 } });
    assert.ok(!banned.includes(favourite!));
    assert.deepEqual(await ids(url, { ...body, logit_bias: { 77: 100 } }), Array(6).fill(77));
  });

  test("penalties are llama.cpp's, over generated tokens", async () => {
    const expected = await withReference(file, (context) => {
      const generated: number[] = [];
      const bias = TokenBias.for(context.model);
      // The reference learns of each token as the next one is drawn.
      return (async () => {
        const sequence = context.getSequence();
        const repeatPenalty = {
          punishTokens: () => generated.slice() as never,
          penalty: 1,
          presencePenalty: 1.5,
          frequencyPenalty: 0.5,
          maxPunishTokens: 256,
        };
        for await (const token of sequence.evaluate(PROMPT as never, {
          temperature: 0,
          yieldEogToken: true,
          repeatPenalty,
          tokenBias: bias,
        })) {
          generated.push(token);
          if (generated.length === 24) break;
        }
        return generated;
      })();
    });
    const body = { prompt: PROMPT, max_tokens: 24, temperature: 0, ignore_eos: true };
    const penalised = await ids(url, { ...body, presence_penalty: 1.5, frequency_penalty: 0.5 });
    assert.deepEqual(penalised, expected);
    assert.notDeepEqual(penalised, await ids(url, body));
  });

  test("min_p keeps what vLLM keeps: the threshold is taken after temperature", async () => {
    const body = { prompt: PROMPT, max_tokens: 1, ignore_eos: true };
    const { choices } = await answer(url, { ...body, temperature: 0, logprobs: 2 });
    const [[best, first], [second, next]] = Object.entries(
      (choices[0]!.logprobs as { top_logprobs: Record<string, number>[] }).top_logprobs[0]!,
    ) as [[string, number], [string, number]];
    const ratio = Math.exp((next - first) / 2);
    const drawn = async (minimum: number): Promise<Set<string>> => {
      const all = Array.from({ length: 60 }, (_, seed) => ids(url, { ...body, temperature: 2, min_p: minimum, seed }));
      return new Set((await Promise.all(all)).map(([id]) => `token_id:${id}`));
    };
    assert.deepEqual(await drawn(ratio * 1.01), new Set([best]));
    assert.deepEqual(await drawn(ratio * 0.99), new Set([best, second]));
  });

  test("a prefix is reused between equal salts only, and changes nothing", async () => {
    const prompt = Array.from({ length: 40 }, (_, index) => (index * 7) % TINY_VOCABULARY);
    const body = { prompt, max_tokens: 8, temperature: 0, ignore_eos: true };
    const cached = async (salt: string): Promise<[number, number[]]> => {
      const { usage, choices } = await answer(url, { ...body, cache_salt: salt });
      return [usage!.prompt_tokens_details.cached_tokens, choices[0]!.token_ids];
    };
    const [first, tokens] = await cached("alice");
    assert.equal(first, 0);
    assert.deepEqual(await cached("bob"), [0, tokens]);
    assert.deepEqual(await cached("alice"), [39, tokens]);
  });

  test("models, version, health and metrics describe the server", async () => {
    const read = async (path: string): Promise<never> => (await (await fetch(url + path)).json()) as never;
    const { data } = (await read("/v1/models")) as { data: { id: string; max_model_len: number; unseen: object }[] };
    assert.equal(data[0]!.id, "tiny");
    assert.equal(data[0]!.max_model_len, TINY_CONTEXT);
    assert.deepEqual(data[0]!.unseen, {
      fingerprint: TINY_FINGERPRINT,
      vocabularySize: TINY_VOCABULARY,
      strength: "rotate",
      family: "llama",
    });
    assert.equal(((await read("/v1/models/tiny")) as { id: string }).id, "tiny");
    assert.equal((await fetch(`${url}/v1/models/other`)).status, 404);
    assert.deepEqual(await read("/health"), { status: "ok" });
    assert.match(((await read("/version")) as { version: string }).version, /^\d+\.\d+\.\d+/);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    assert.match(metrics, /^unseen:num_requests_running\{model_name="tiny"\} 0$/m);
    const generated = Number(/^unseen:generation_tokens_total\{.*\} (\d+)$/m.exec(metrics)![1]);
    assert.ok(generated > 100);
    const [, below, total] = /_bucket\{.*le="\+Inf"\} (\d+)\n.*_sum.*\n.*time_to_first_token_seconds_count\{.*\} (\d+)/.exec(metrics)!;
    assert.equal(below, total);
  });

  describe("refuses", () => {
    const good = { prompt: PROMPT, max_tokens: 2 };
    const cases: [name: string, body: unknown, status: number, code: string, param?: string][] = [
      ["text", { prompt: "hello" }, 400, "REQUEST_UNSUPPORTED", "prompt"],
      ["texts", { prompt: ["hello"] }, 400, "REQUEST_UNSUPPORTED", "prompt"],
      ["no prompt", {}, 400, "REQUEST_INVALID", "prompt"],
      ["an empty prompt", { prompt: [] }, 400, "REQUEST_INVALID", "prompt"],
      ["an empty prompt among others", { prompt: [[1], []] }, 400, "REQUEST_INVALID", "prompt"],
      ["ids beyond the vocabulary", { prompt: [1, TINY_VOCABULARY] }, 400, "TOKEN_OUT_OF_RANGE", "prompt"],
      ["negative ids", { prompt: [-1] }, 400, "TOKEN_OUT_OF_RANGE", "prompt"],
      ["huge ids", { prompt: [2 ** 40] }, 400, "TOKEN_OUT_OF_RANGE", "prompt"],
      ["fractions", { prompt: [1.5] }, 400, "REQUEST_INVALID", "prompt"],
      ["null ids", { prompt: [1, null] }, 400, "REQUEST_INVALID", "prompt"],
      ["nested too deep", { prompt: [[[1]]] }, 400, "REQUEST_INVALID", "prompt"],
      ["a prompt beyond the context", { prompt: Array(TINY_CONTEXT).fill(1) }, 400, "REQUEST_TOO_LARGE", "prompt"],
      ["an answer beyond the context", { prompt: PROMPT, max_tokens: TINY_CONTEXT }, 400, "REQUEST_TOO_LARGE"],
      ["no tokens", { ...good, max_tokens: 0 }, 400, "REQUEST_INVALID", "max_tokens"],
      ["too many choices", { ...good, n: 1000 }, 400, "REQUEST_INVALID", "n"],
      ["equal choices", { ...good, n: 2, temperature: 0 }, 400, "REQUEST_INVALID"],
      ["a hot temperature", { ...good, temperature: 9 }, 400, "REQUEST_INVALID", "temperature"],
      ["top_p 0", { ...good, top_p: 0 }, 400, "REQUEST_INVALID", "top_p"],
      ["unknown stop ids", { ...good, stop_token_ids: [TINY_VOCABULARY] }, 400, "TOKEN_OUT_OF_RANGE", "stop_token_ids"],
      ["unknown biased ids", { ...good, logit_bias: { [TINY_VOCABULARY]: 1 } }, 400, "TOKEN_OUT_OF_RANGE", "logit_bias"],
      ["biased words", { ...good, logit_bias: { hello: 1 } }, 400, "REQUEST_INVALID", "logit_bias"],
      ["many logprobs", { ...good, logprobs: 100 }, 400, "REQUEST_INVALID", "logprobs"],
      ["echo", { ...good, echo: true }, 400, "REQUEST_UNSUPPORTED", "echo"],
      ["stop strings", { ...good, stop: ["the end"] }, 400, "REQUEST_UNSUPPORTED", "stop"],
      ["grammars", { ...good, guided_json: { type: "object" } }, 400, "REQUEST_UNSUPPORTED", "guided_json"],
      ["prompt log-probabilities", { ...good, prompt_logprobs: 1 }, 400, "REQUEST_UNSUPPORTED"],
      ["another model", { ...good, model: "gpt-9" }, 404, "MODEL_NOT_FOUND"],
      ["no JSON", "{", 400, "REQUEST_INVALID"],
      ["a list", [], 400, "REQUEST_INVALID"],
      ["__proto__", '{"__proto__": {"prompt": [1]}}', 400, "REQUEST_INVALID", "prompt"],
    ];
    for (const [name, body, status, code, param] of cases) {
      test(name, async () => {
        const response = await post(url, body);
        const { error } = (await response.json()) as Chunk;
        assert.deepEqual([response.status, error!.code], [status, code]);
        if (param) assert.equal(error!.param, param);
        assert.doesNotMatch(error!.message, /hello|the end|gpt-9|\n/, "nothing of the request is repeated");
      });
    }

    test("bodies beyond the limit", async () => {
      const response = await post(url, `{"prompt":[${"1,".repeat(9 << 20)}1]}`);
      assert.equal(response.status, 413);
    });

    test("bodies nested without end", async () => {
      assert.equal((await post(url, `{"prompt":${"[".repeat(1 << 20)}`)).status, 400);
      assert.equal((await post(url, `{"prompt":${"[".repeat(1 << 20)}${"]".repeat(1 << 20)}}`)).status, 400);
    });

    test("what a foreign web page could send", async () => {
      assert.equal((await post(url, good, { headers: { "content-type": "text/plain" } })).status, 400);
    });

    test("and goes on serving", async () => {
      assert.equal((await ids(url, { ...good, temperature: 0 })).length, 2);
    });
  });

  test("a client that does not read its answer loses it before it fills the memory", async () => {
    const metrics = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
    const aborted = async (): Promise<number> => Number(/finished_reason="abort"\} (\d+)/.exec(await metrics())?.[1]);
    const before = await aborted();
    const response = await post(url, { prompt: PROMPT, n: 16, max_tokens: 4000, logprobs: 20, ignore_eos: true, stream: true });
    await until(async () => (await aborted()) > before);
    assert.match(await metrics(), /num_requests_running\{[^}]*\} 0\n/);
    const text = await response.text();
    assert.ok(text.length > MAXIMUM_UNREAD_BYTES && !text.includes("[DONE]"));
  });

  test("the log says nothing of any request", () => {
    const text = lines.join("\n");
    assert.match(text, /listening/);
    assert.doesNotMatch(text, /prompt|token|alice|\b60\b/);
  });
});

for (const [name, path] of [
  ["stories260K in f32", "data/models/stories260K-f32.gguf"],
  ["the story model in f16", "assets/story-llama/story-llama-f16.gguf"],
] as const) {
  test(`${name}: concurrent greedy answers are those of node-llama-cpp`, needs(path), async () => {
    const file = sharedPath(path)!;
    const prompts = [[1, 403, 407], [1, 261, 378, 432], [1, 300, 310, 320, 330], [1, 9], [1, 500, 501]]; // prettier-ignore
    const expected = await withReference(file, async (context) => {
      const all = [];
      for (const prompt of prompts) all.push(await reference(context, prompt, 48));
      return all;
    });
    const host = await startHost({ model: file, port: 0, plain: true, sequences: 3, name: "plain" });
    try {
      assert.equal(host.manifest, null);
      const got = await Promise.all(prompts.map((prompt) => ids(host.url, { prompt, max_tokens: 48, temperature: 0, ignore_eos: true })));
      assert.deepEqual(got, expected);
    } finally {
      await host.close(0);
    }
  });
}
