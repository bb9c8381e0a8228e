/** Who may talk to the gateway, what of it leaves, and what is written down. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, test } from "node:test";
import type { ScriptedHost } from "../engines/scripted-host.fixture.ts";
import type { LogEntry } from "./exchange.ts";
import { createGateway } from "./gateway.ts";
import { startGateway } from "./serve.ts";
import { hostModel, modelOn, says, secret, startHost } from "./test-model.fixture.ts";

const hosts: ScriptedHost[] = [];
after(() => Promise.all(hosts.map((host) => host.close())));
async function newHost(...given: Parameters<typeof startHost>): Promise<ScriptedHost> {
  const host = await startHost(...given);
  hosts.push(host);
  return host;
}

const chat = (fields: object = {}, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify({ messages: [{ role: "user", content: "Tell me about Alexandria" }], ...fields }),
});
const path = "http://localhost/v1/chat/completions";

test("a key is demanded when one is set; without one any is accepted; health needs none", async () => {
  const models = [modelOn([await newHost("ok")])];
  const locked = createGateway({ models, apiKey: "sk-right" });
  for (const headers of [{}, { authorization: "Bearer sk-wrong" }, { authorization: "sk-right" }]) {
    const response = await locked.request("http://localhost/v1/models", { headers: headers as Record<string, string> });
    assert.equal(response.status, 401);
    assert.equal(((await response.json()) as { error: { code: string } }).error.code, "invalid_api_key");
  }
  assert.equal((await locked.request("http://localhost/v1/models", { headers: { authorization: "Bearer sk-right" } })).status, 200);
  assert.equal((await locked.request("http://localhost/metrics")).status, 401);
  assert.equal((await locked.request("http://localhost/health")).status, 200);
  assert.equal(
    (await createGateway({ models }).request("http://localhost/v1/models", { headers: { authorization: "Bearer whatever" } })).status,
    200,
  );
});

test("a foreign Host header is refused, as DNS rebinding sends it", async () => {
  const models = [modelOn([await newHost("ok")])];
  const gateway = createGateway({ models });
  for (const [name, status] of [
    ["evil.example", 403],
    ["localhost:8800", 200],
    ["127.0.0.1:8800", 200],
    ["[::1]:8800", 200],
    ["localhost.evil.example", 403],
  ] as const) {
    assert.equal((await gateway.request("http://x/v1/models", { headers: { host: name } })).status, status, name);
  }
  assert.equal(
    (await createGateway({ models, hostNames: ["gateway.lan"] }).request("http://x/v1/models", { headers: { host: "gateway.lan" } }))
      .status,
    200,
  );
  assert.equal(
    (await createGateway({ models, hostNames: null }).request("http://x/v1/models", { headers: { host: "anything" } })).status,
    200,
  );
});

test("web pages may not call unless their origin is allowed; then they get CORS headers", async () => {
  const host = await newHost("ok");
  const models = [modelOn([host])];
  const closed = await createGateway({ models }).request(path, chat({}, { origin: "https://evil.example" }));
  assert.equal(closed.status, 403);
  assert.equal(closed.headers.get("access-control-allow-origin"), null);
  assert.equal(host.completions.length, 0);
  const open = createGateway({ models, origins: ["https://ui.example"], apiKey: "k" });
  const preflight = await open.request(path, {
    method: "OPTIONS",
    headers: { origin: "https://ui.example", "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
  });
  assert.equal(preflight.headers.get("access-control-allow-origin"), "https://ui.example");
  const response = await open.request(path, chat({}, { origin: "https://ui.example", authorization: "Bearer k" }));
  assert.deepEqual([response.status, response.headers.get("access-control-allow-origin")], [200, "https://ui.example"]);
});

test("a huge body, a body that is not JSON and an unknown path each get an OpenAI error", async () => {
  const gateway = createGateway({ models: [modelOn([await newHost("ok")])] });
  const huge = await gateway.request(path, {
    method: "POST",
    body: "x".repeat(17 * 1024 * 1024),
    headers: { "content-length": String(17 * 1024 * 1024) },
  });
  assert.deepEqual([huge.status, ((await huge.json()) as { error: { code: string } }).error.code], [413, "request_too_large"]);
  const broken = await gateway.request(path, { method: "POST", body: "{oops" });
  assert.deepEqual([broken.status, ((await broken.json()) as { error: { type: string } }).error.type], [400, "invalid_request_error"]);
  const lost = await gateway.request("http://localhost/v1/audio/speech", { method: "POST", body: "{}" });
  assert.deepEqual([lost.status, typeof ((await lost.json()) as { error: { message: string } }).error.message], [404, "string"]);
});

/** Every field that the forwarding policy allows, and which kind of value it may hold. */
const allowed: Record<string, (value: unknown) => boolean> = {
  model: (value) => value === hostModel.id,
  prompt: isIds,
  stop_token_ids: isIds,
  cache_salt: (value) => typeof value === "string" && /^[\w-]{43}$/.test(value),
  logit_bias: (value) => Object.entries(value as object).every(([id, bias]) => /^\d+$/.test(id) && typeof bias === "number"),
  ...Object.fromEntries(
    [
      "max_tokens",
      "temperature",
      "top_p",
      "top_k",
      "min_p",
      "presence_penalty",
      "frequency_penalty",
      "repetition_penalty",
      "seed",
      "logprobs",
    ].map((name) => [name, (value: unknown) => typeof value === "number"]),
  ),
  ...Object.fromEntries(
    ["stream", "return_token_ids", "return_tokens_as_token_ids", "ignore_eos"].map((name) => [name, (value: unknown) => value === true]),
  ),
};
function isIds(value: unknown): boolean {
  return Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 0 && id < 300);
}

test("a host receives numbers under allowed names and not one word, whatever a request holds", async () => {
  const host = await newHost(() => says('<tool_call>{"name":"look_up","arguments":{}}</tool_call>'));
  const logs: LogEntry[] = [];
  const models = [{ ...modelOn([host]), id: "my-secret-name" }];
  const gateway = createGateway({ models, log: (entry) => logs.push(entry) });
  const parameters = { type: "object", properties: { Alexandria: { type: "string", pattern: "^library" } } };
  const requests: [string, object][] = [
    [
      "/v1/chat/completions",
      {
        stop: ["Alexandria", "library"],
        user: "alice",
        metadata: { topic: "Alexandria" },
        tools: [{ type: "function", function: { name: "look_up", description: "Alexandria", parameters } }],
        seed: 1,
        n: 2,
        logit_bias: { "65": 1 },
      },
    ],
    [
      "/v1/chat/completions",
      {
        response_format: { type: "json_schema", json_schema: { name: "library", schema: parameters } },
        chat_template_kwargs: { topic: "Alexandria" },
        grammar: "Alexandria",
        guided_regex: "library",
        bad_words: ["Alexandria"],
        suffix: "library",
        structured_outputs: { choice: ["library"] },
      },
    ],
    ["/v1/completions", { prompt: "Alexandria and its library", stop: "library", user: "alice" }],
    ["/v1/responses", { input: "Alexandria", instructions: "library", metadata: { a: "Alexandria" }, stream: true }],
    ["/v1/chat/completions", { messages: [{ role: "user", content: "Alexandria", name: "alice" }], temperature: "Alexandria" }],
  ];
  for (const [where, fields] of requests) await (await gateway.request(`http://localhost${where}`, chat(fields))).text();
  assert.ok(host.completions.length >= 6);
  for (const { body, bytes, headers } of host.completions) {
    for (const [name, value] of Object.entries(body)) assert.ok(allowed[name]?.(value), `${name}: ${JSON.stringify(value)}`);
    const everything = `${bytes} ${JSON.stringify(headers)}`;
    for (const word of ["Alexandria", "library", "alice", "look_up", "my-secret-name", "system"])
      assert.ok(!everything.includes(word), word);
  }
  const words = JSON.stringify(logs);
  assert.equal(logs.length, requests.length);
  for (const word of ["Alexandria", "library", "alice", "look_up"]) assert.ok(!words.includes(word), `log: ${word}`);
});

test("when the client goes away the host's work is aborted at once, streamed or not", async () => {
  const host = await newHost(() => [{ ids: secret("Hello") }, "hang"]);
  const logs: LogEntry[] = [];
  const gateway = await startGateway({ models: [modelOn([host])], port: 0, log: (entry) => logs.push(entry) });
  for (const [index, stream] of [true, false].entries()) {
    const outgoing = httpRequest(`${gateway.baseUrl}/chat/completions`, { method: "POST" });
    outgoing.on("error", () => {});
    outgoing.end(JSON.stringify({ messages: [{ role: "user", content: "x" }], stream }));
    while (host.completions.length <= index) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 30));
    outgoing.destroy();
    assert.equal(await host.completions[index]!.ended, "aborted");
  }
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual(logs.map((entry) => entry.status), [499, 499]); // prettier-ignore
  await gateway.close();
});

test("metrics count requests, tokens and resumed answers", async () => {
  const dying = await newHost(() => [{ ids: secret("ab") }, "die"]);
  const next = await newHost(() => [{ ids: secret("cd"), finish: "stop" }]);
  const gateway = createGateway({ models: [modelOn([dying, next])] });
  const answer = (await (await gateway.request(path, chat())).json()) as { choices: { message: { content: string } }[] };
  assert.equal(answer.choices[0]?.message.content, "abcd");
  const text = await (await gateway.request("http://localhost/metrics")).text();
  assert.match(text, /requests_total\{route="\/v1\/chat\/completions",status="200"\} 1/);
  assert.match(text, /completion_tokens_total 4\n/);
  assert.match(text, /resumes_total 1\n/);
  assert.match(text, /first_token_seconds_count 1\n/);
});

test("starting: a mismatch or a missing host fails at once, a loading host does not, a port is taken once", async () => {
  const code = (expected: string) => (error: { code?: string }) => error.code === expected;
  const other = await newHost("x", { models: [{ ...hostModel, unseen: { fingerprint: "f".repeat(32) } }] });
  await assert.rejects(startGateway({ models: [modelOn([other])], port: 0 }), code("BUNDLE_MISMATCH"));
  const gone = await startHost("x");
  const orphan = modelOn([gone]);
  await gone.close();
  await assert.rejects(startGateway({ models: [orphan], port: 0 }), code("HOST_UNREACHABLE"));
  await assert.rejects(startGateway({ models: [modelOn([])], port: 0 }), code("HOST_UNREACHABLE"));
  const loading = await newHost("x", { modelsStatus: 503 });
  const first = await startGateway({ models: [modelOn([loading])], port: 0 });
  await assert.rejects(startGateway({ models: [modelOn([loading])], port: first.port }), code("PORT_IN_USE"));
  assert.equal((await fetch(`${first.baseUrl}/chat/completions`, chat())).status, 503);
  await first.close();
});

test("a name that is no valid URL encoding is an unknown model, not a failure of the gateway", async () => {
  const gateway = createGateway({ models: [modelOn([await newHost("ok")])] });
  assert.equal((await gateway.request("http://localhost/v1/models/%E0%A4%A")).status, 404);
});

test("what is wrong with a field of several forms is said of the form that was meant", async () => {
  const gateway = createGateway({ models: [modelOn([await newHost("ok")])] });
  for (const [prompt, words] of [
    [[], /^prompt: Too small/],
    [Array(65).fill("a"), /^prompt: Too big/],
    [[1.5], /^prompt\[0\]: .*int/],
  ] as const) {
    const response = await gateway.request("http://localhost/v1/completions", { method: "POST", body: JSON.stringify({ prompt }) });
    assert.match(((await response.json()) as { error: { message: string } }).error.message, words);
  }
});

test("any seed that JavaScript can hold reaches the host as one that engines take", async () => {
  const host = await newHost("ok");
  const gateway = createGateway({ models: [modelOn([host])] });
  for (const seed of [Number.MAX_SAFE_INTEGER, -7]) await (await gateway.request(path, chat({ seed, n: 2 }))).text();
  const seeds = host.completions.map(({ body }) => body["seed"] as number);
  assert.deepEqual(seeds.toSorted((one, other) => one - other), [0, 7, 8, 2 ** 32 - 1]); // prettier-ignore
});

test("bodies of unstated length are read, up to the limit", async () => {
  const gateway = await startGateway({ models: [modelOn([await newHost("ok")])], port: 0 });
  const send = (size: number): Promise<number | undefined> => {
    const outgoing = httpRequest(`${gateway.baseUrl}/completions`, { method: "POST", headers: { "transfer-encoding": "chunked" } });
    const answered = new Promise<number | undefined>((resolve, reject) => {
      outgoing.once("error", reject);
      outgoing.once("response", (response) => {
        response.resume();
        resolve(response.statusCode);
      });
    });
    const text = JSON.stringify({ prompt: "Hi", padding: "x".repeat(size) });
    outgoing.write(text.slice(0, 12));
    outgoing.end(text.slice(12));
    return answered;
  };
  assert.deepEqual([await send(10), await send(17 * 1024 * 1024)], [200, 413]);
  await gateway.close();
});

test("who starts a gateway can see what crosses the border: cipher ids", async () => {
  const host = await newHost(() => [{ ids: secret("ok"), finish: "stop" }]);
  const crossed: Record<string, number[]> = { sent: [], received: [] };
  const gateway = createGateway({ models: [modelOn([host])], onWire: ({ direction, ids }) => crossed[direction]!.push(...ids) });
  await (await gateway.request(path, chat())).text();
  assert.deepEqual(crossed, { sent: host.completions[0]!.body.prompt, received: secret("ok") });
});
