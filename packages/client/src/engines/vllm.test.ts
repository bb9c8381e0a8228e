import assert from "node:assert/strict";
import { test } from "node:test";
import type { GenerateRequest, GeneratedChunk } from "./engine.ts";
import { ScriptedHost, type Step } from "./scripted-host.fixture.ts";
import { completionBody, VllmEngine } from "./vllm.ts";

const request: GenerateRequest = {
  prompt: [5, 6, 7],
  maximumTokens: 10,
  temperature: 0,
  topP: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  stopTokenIds: [2],
  cacheSalt: "salt",
};

async function read(steps: readonly Step[], changes: Partial<GenerateRequest> = {}, silence = 5_000): Promise<GeneratedChunk[]> {
  const host = await ScriptedHost.start({ answer: () => steps });
  try {
    const chunks: GeneratedChunk[] = [];
    for await (const chunk of new VllmEngine({ url: host.url, silence }).generate({ ...request, ...changes }, AbortSignal.timeout(10_000)))
      chunks.push(chunk);
    return chunks;
  } finally {
    await host.close();
  }
}

function rejectsWith(promise: Promise<unknown>, code: string, words: RegExp = /./): Promise<void> {
  return assert.rejects(promise, (error: { code?: string; message: string; line: string }) => {
    assert.equal(error.code, code, error.message);
    assert.match(error.line, words);
    assert.ok(!error.line.includes("\n"));
    return true;
  });
}

test("ids and the reason of the end come through; usage chunks and comments do not disturb", async () => {
  const steps: Step[] = [
    { raw: ": queued\n\n" },
    { ids: [1] },
    { ids: [] },
    { ids: [2, 3] },
    { raw: 'data: {"choices":[],"usage":{"prompt_tokens":3}}\n\n' },
    { ids: [4], finish: "length" },
  ];
  const chunks = await read(steps);
  assert.deepEqual(
    chunks.flatMap((chunk) => chunk.ids),
    [1, 2, 3, 4],
  );
  assert.equal(chunks.at(-1)?.finishReason, "length");
});

test("log-probabilities are read from token_id names and sorted, the chosen token beside them", async () => {
  const logprobs = {
    tokens: ["token_id:9"],
    token_logprobs: [-1.5],
    top_logprobs: [{ "token_id:9": -1.5, "token_id:4": -0.5, "token_id:11": -3 }],
  };
  const [chunk] = await read([{ ids: [9], logprobs, finish: "stop" }], { logprobs: 2 });
  assert.deepEqual(chunk?.logprobs, [{ id: 9, logprob: -1.5, top: [{ id: 4, logprob: -0.5 }, { id: 9, logprob: -1.5 }] }]); // prettier-ignore
});

const violations: [name: string, steps: Step[], changes?: Partial<GenerateRequest>][] = [
  ["not JSON", [{ raw: "data: {oops\n\n" }]],
  ["another form", [{ raw: 'data: {"choices":[{"token_ids":"7"}]}\n\n' }]],
  ["a negative id", [{ ids: [-1] }]],
  ["a fractional id", [{ ids: [1.5] }]],
  ["text instead of ids", [{ raw: 'data: {"choices":[{"text":"hello"}]}\n\n' }]],
  ["an unknown end", [{ ids: [1], finish: "because" }]],
  ["an end without a reason", [{ ids: [1] }, "done"]],
  ["missing log-probabilities", [{ ids: [1] }], { logprobs: 1 }],
  ["tokens named by text", [{ ids: [1], logprobs: { tokens: ["a"], token_logprobs: [-1], top_logprobs: [{ a: -1 }] } }], { logprobs: 1 }],
  ["an endless event", [{ raw: `data: ${"x".repeat(1_100_000)}` }]],
];
for (const [name, steps, changes] of violations) {
  test(`${name} is HOST_PROTOCOL`, () => rejectsWith(read(steps, changes), "HOST_PROTOCOL"));
}

const statuses: [status: number, code: string, words: RegExp][] = [
  [429, "OVERLOADED", /full queue/],
  [503, "HOST_LOADING", /not ready/],
  [401, "HOST_REFUSED", /--host-api-key/],
  [404, "HOST_REFUSED", /without \/v1/],
  [400, "HOST_REFUSED", /status 400: scripted/],
  [500, "HOST_REFUSED", /status 500/],
];
for (const [status, code, words] of statuses) {
  test(`status ${status} is ${code}`, () => rejectsWith(read([{ status }]), code, words));
}

test("an error event in mid-answer is HOST_REFUSED, and the host's words cannot steer the terminal", () =>
  rejectsWith(
    read([{ ids: [1] }, { raw: `data: ${JSON.stringify({ error: { message: "out of\u001b[2J\nmemory" } })}\n\n` }]),
    "HOST_REFUSED",
    /out of \[2J memory/,
  ));

test("a host that goes silent is HOST_TIMEOUT", () => rejectsWith(read([{ ids: [1] }, "hang"], {}, 80), "HOST_TIMEOUT", /0\.08 s/));

test("a host that dies is HOST_UNREACHABLE", () => rejectsWith(read([{ ids: [1] }, "die"]), "HOST_UNREACHABLE", /closed the connection/));

test("no host at the address is HOST_UNREACHABLE and says how to start one", async () => {
  const host = await ScriptedHost.start({ answer: () => [] });
  const { url } = host;
  await host.close();
  await rejectsWith(new VllmEngine({ url }).probe(), "HOST_UNREACHABLE", /unseen serve/);
});

test("leaving the loop and aborting both hang up at once", async () => {
  const host = await ScriptedHost.start({ answer: () => [{ ids: [1] }, "hang"] });
  const engine = new VllmEngine({ url: `${host.url}/v1/`, silence: 5_000 });
  for await (const _ of engine.generate(request, AbortSignal.timeout(5_000))) break;
  assert.equal(await host.received[0]?.ended, "aborted");

  const abort = new AbortController();
  const reading = (async () => {
    for await (const _ of engine.generate(request, abort.signal)) abort.abort(new Error("enough"));
  })();
  await assert.rejects(reading, /enough/);
  assert.equal(await host.received[1]?.ended, "aborted");
  await host.close();
});

test("probing reads names, contexts and fingerprints, and tolerates engines that are not ours", async () => {
  const host = await ScriptedHost.start({ models: [{ id: "a", owned_by: "vllm", max_model_len: 512 }, { id: "b", unseen: { fingerprint: "ff", vocabularySize: 9 } }], answer: () => [] }); // prettier-ignore
  assert.deepEqual(await new VllmEngine({ url: host.url }).probe(), { engine: "vllm", models: [{ id: "a", contextLength: 512 }, { id: "b", fingerprint: "ff", vocabularySize: 9 }] }); // prettier-ignore
  host.script = { ...host.script, models: [{ name: "c" }] };
  await rejectsWith(new VllmEngine({ url: host.url }).probe(), "HOST_PROTOCOL");
  host.script = { ...host.script, modelsStatus: 503 };
  await rejectsWith(new VllmEngine({ url: host.url }).probe(), "HOST_LOADING");
  await host.close();
});

test("the body holds the fields of vLLM's dialect and neutral values for what was not chosen", () => {
  assert.deepEqual(
    completionBody({ ...request, model: "m", seed: 4, topK: 7, logitBias: new Map([[3, -5]]), logprobs: 0, ignoreEnd: true }),
    {
      model: "m",
      prompt: [5, 6, 7],
      max_tokens: 10,
      temperature: 0,
      top_p: 1,
      top_k: 7,
      min_p: 0,
      presence_penalty: 0,
      frequency_penalty: 0,
      repetition_penalty: 1,
      seed: 4,
      stop_token_ids: [2],
      ignore_eos: true,
      logit_bias: { 3: -5 },
      logprobs: 1,
      return_tokens_as_token_ids: true,
      stream: true,
      return_token_ids: true,
      cache_salt: "salt",
    },
  );
});
