import assert from "node:assert/strict";
import { after, test } from "node:test";
import { END, FINGERPRINT, hostModel, modelOn, secret, startHost, testCipher, VOCABULARY } from "../gateway/test-model.fixture.ts";
import { serveModel } from "../gateway/model.ts";
import type { WireEvent } from "./blind.ts";
import type { GenerateRequest, GeneratedChunk } from "./engine.ts";
import type { HostScript, ScriptedHost } from "./scripted-host.fixture.ts";

const hosts: ScriptedHost[] = [];
after(() => Promise.all(hosts.map((host) => host.close())));

async function host(answer: HostScript["answer"] | string, changes: Partial<HostScript> = {}): Promise<ScriptedHost> {
  const started = await startHost(answer, changes);
  hosts.push(started);
  return started;
}

const request: GenerateRequest = {
  prompt: [72, 105],
  maximumTokens: 50,
  temperature: 0,
  topP: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  stopTokenIds: [END],
  cacheSalt: "salt",
};
const plain = (text: string): number[] => [...Buffer.from(text)];

async function generate(
  on: readonly ScriptedHost[],
  changes: Partial<GenerateRequest> = {},
  silence = 5_000,
): Promise<{ chunks: GeneratedChunk[]; ids: number[]; wire: WireEvent[]; resumes: number }> {
  const { blind } = serveModel(modelOn(on, { silence }));
  const chunks: GeneratedChunk[] = [];
  const wire: WireEvent[] = [];
  let resumes = 0;
  const options = { signal: AbortSignal.timeout(10_000), onWire: (event: WireEvent) => wire.push(event), onResume: () => (resumes += 1) };
  for await (const chunk of blind.generate({ ...request, ...changes }, options)) chunks.push(chunk);
  return { chunks, ids: chunks.flatMap((chunk) => chunk.ids), wire, resumes };
}

const withCode = (code: string) => (error: { code?: string; message: string }) =>
  error.code === code || assert.fail(`${error.code}: ${error.message}`);

test("every id is enciphered on its way out and deciphered on its way in", async () => {
  const logprobs = { tokens: ["x"], token_logprobs: [-0.1], top_logprobs: [Object.fromEntries([[`token_id:${testCipher.encipher([65])[0]}`, -0.1], [`token_id:${testCipher.encipher([66])[0]}`, -2]])] }; // prettier-ignore
  const one = await host(() => [{ ids: testCipher.encipher([65]), logprobs, finish: "stop" }]);
  const { chunks, wire } = await generate([one], { logitBias: new Map([[7, 3]]), stopTokenIds: [END, 9], logprobs: 2 });
  assert.deepEqual(chunks, [{ ids: [65], logprobs: [{ id: 65, logprob: -0.1, top: [{ id: 65, logprob: -0.1 }, { id: 66, logprob: -2 }] }], finishReason: "stop" }]); // prettier-ignore
  const body = one.completions[0]!.body;
  assert.deepEqual(body.prompt, testCipher.encipher([72, 105]));
  assert.deepEqual(body.stop_token_ids, testCipher.encipher([END, 9]));
  assert.deepEqual(body["logit_bias"], { [testCipher.encipher([7])[0]!]: 3 });
  assert.equal(body["model"], "host-name", "a host hears its own name of the model, not ours");
  assert.deepEqual(
    wire.map(({ direction, ids }) => [direction, ids]),
    [["sent", testCipher.encipher([72, 105])], ["received", testCipher.encipher([65])]], // prettier-ignore
  );
});

for (const failure of ["die", "hang"] as const) {
  test(`when a host does "${failure}" in mid-answer the next one continues it`, async () => {
    const first = await host(() => [{ ids: secret("Once ") }, { ids: secret("upon") }, failure]);
    const second = await host(() => [{ ids: secret(" a time") }, { ids: [], finish: "stop" }]);
    const { ids, resumes } = await generate([first, second], {}, failure === "hang" ? 100 : 5_000);
    assert.deepEqual(ids, plain("Once upon a time"));
    assert.equal(resumes, 1);
    const body = second.completions[0]!.body;
    assert.deepEqual(testCipher.decipher(body.prompt), [...request.prompt, ...plain("Once upon")]);
    assert.equal(body.max_tokens, 50 - "Once upon".length);
  });
}

test("a host that sends an id outside the vocabulary is dropped; what it sent before stays", async () => {
  const liar = await host(() => [{ ids: secret("ab") }, { ids: [VOCABULARY] }]);
  await assert.rejects(generate([liar]), withCode("HOST_PROTOCOL"));
  const honest = await host(() => [{ ids: secret("c"), finish: "stop" }]);
  assert.deepEqual((await generate([liar, honest])).ids, plain("abc"));
});

test("a single host that died in mid-answer is asked once more, one that never spoke is not", async () => {
  const restarted = await host((_, call) => (call === 0 ? [{ ids: secret("a") }, "die"] : [{ ids: secret("b"), finish: "stop" }]));
  assert.deepEqual((await generate([restarted])).ids, plain("ab"));
  const dead = await host(() => ["die"]);
  await assert.rejects(generate([dead]), withCode("HOST_UNREACHABLE"));
  assert.equal(dead.completions.length, 1);
});

test("an answer that has begun waits until its only host has loaded the model again", async () => {
  let probes = 0;
  const restarted = await host((_, call) => {
    if (call > 0) return [{ ids: secret("b"), finish: "stop" }];
    restarted.script = { ...restarted.script, modelsStatus: () => (++probes < 3 ? 503 : 200) };
    return [{ ids: secret("a") }, "die"];
  });
  const { ids, resumes } = await generate([restarted]);
  assert.deepEqual([ids, resumes], [plain("ab"), 1]);
});

test("what is complete needs no second host", async () => {
  const second = await host("never");
  const full = await host(() => [{ ids: secret("abc") }, "die"]);
  const cut = await generate([full, second], { maximumTokens: 3 });
  assert.deepEqual([cut.ids, cut.chunks.at(-1)?.finishReason], [plain("abc"), "length"]);
  const ended = await host(() => [{ ids: [...secret("ab"), ...testCipher.encipher([END])] }, "die"]);
  assert.equal((await generate([ended, second])).chunks.at(-1)?.finishReason, "stop");
  assert.equal(second.completions.length, 0);
});

test("a host that sends more than was asked for is cut off", async () => {
  const flood = await host(() => Array.from({ length: 100 }, () => ({ ids: secret("aaaa") })));
  const { ids, chunks } = await generate([flood], { maximumTokens: 6 });
  assert.equal(ids.length, 6);
  assert.equal(chunks.at(-1)?.finishReason, "length");
  assert.equal(await flood.completions[0]!.ended, "aborted");
});

test("another encrypted model behind the address is BUNDLE_MISMATCH", async () => {
  const other = await host("x", { models: [{ ...hostModel, unseen: { fingerprint: "f".repeat(32), vocabularySize: VOCABULARY } }] });
  await assert.rejects(generate([other]), withCode("BUNDLE_MISMATCH"));
  assert.equal(other.completions.length, 0, "nothing was sent to it");
  const resized = await host("x", { models: [{ ...hostModel, unseen: { fingerprint: FINGERPRINT, vocabularySize: VOCABULARY + 1 } }] });
  await assert.rejects(generate([resized]), withCode("BUNDLE_MISMATCH"));
  const foreign = await host("ok", { models: [{ id: "anything", owned_by: "vllm" }] });
  assert.deepEqual((await generate([foreign])).ids.slice(0, 2), plain("ok"), "an engine that is not ours cannot state a fingerprint");
});

test("a host that came back with another model is recognised before it is asked again", async () => {
  const changing = await host((_, call) => {
    if (call === 0) changing.script = { ...changing.script, models: [{ ...hostModel, unseen: { fingerprint: "e".repeat(32) } }] };
    return [{ ids: secret("a") }, "die"];
  });
  await assert.rejects(generate([changing]), withCode("BUNDLE_MISMATCH"));
  assert.equal(changing.completions.length, 1);
});

test("ids of the caller outside the vocabulary are the caller's error", async () => {
  const idle = await host("x");
  await assert.rejects(generate([idle], { prompt: [VOCABULARY] }), withCode("TOKEN_OUT_OF_RANGE"));
  await assert.rejects(generate([idle], { logitBias: new Map([[VOCABULARY, 1]]) }), withCode("TOKEN_OUT_OF_RANGE"));
  assert.equal(idle.received.length, 0);
});

test("cache salts are stable for one user, different for two, and fresh in each run", () => {
  const one = serveModel(modelOn([])).blind;
  const other = serveModel(modelOn([])).blind;
  assert.equal(one.cacheSalt("a"), one.cacheSalt("a"));
  assert.notEqual(one.cacheSalt("a"), one.cacheSalt("b"));
  assert.notEqual(one.cacheSalt("a"), other.cacheSalt("a"));
  assert.match(one.cacheSalt("a"), /^[\w-]{43}$/);
});

test("connecting reports the smallest context and fails only when no host answers", async () => {
  const small = await host("x", { models: [{ ...hostModel, max_model_len: 100 }] });
  const loading = await host("x", { modelsStatus: 503 });
  const served = serveModel(modelOn([await host("x"), small, loading]));
  assert.equal(served.contextLength, 4096);
  await served.blind.connect();
  assert.equal(served.contextLength, 100);
  await assert.rejects(serveModel(modelOn([loading])).blind.connect(), withCode("HOST_LOADING"));
});

test("a host that was restarted with a larger context offers it", async () => {
  const grown = await host((_, call) => (call === 0 ? ["die"] : [{ ids: secret("a"), finish: "stop" }]), {
    models: [{ ...hostModel, max_model_len: 100 }],
  });
  const served = serveModel(modelOn([grown]));
  await served.blind.connect();
  assert.equal(served.contextLength, 100);
  grown.script = { ...grown.script, models: [{ ...hostModel, max_model_len: 200 }] };
  const ask = () => Array.fromAsync(served.blind.generate(request, { signal: AbortSignal.timeout(5_000) }));
  await assert.rejects(ask(), withCode("HOST_UNREACHABLE"));
  await ask();
  assert.equal(served.contextLength, 200);
});
