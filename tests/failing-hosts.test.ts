/**
 * Hosts that are down, wrong, lying, silent or dying, and ports that are taken: the right status, OpenAI's error body,
 * one line that says what to do, and no word of an answer lost.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ScriptedHost, type Step } from "@unseen/client/engines/scripted-host.fixture.ts";
import { ask, onlyObject, post, runCommand, startServer, STORY_LLAMA, temporaryDirectory, type RunningServer } from "./command-line.ts";
import { writeRandomLlama } from "./random-llama.ts";

const home = temporaryDirectory("hosts");
const at = (name: string): string => join(home, name);
const QUESTION = { messages: [{ role: "user", content: "Tell me a story about a dog and a ball." }], temperature: 0 };

interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string };
}

let fingerprint = "";
let host: RunningServer;
const running: RunningServer[] = [];

before(async () => {
  // In f32, because an answer that goes on elsewhere reads its first half as a prompt, in other batches: bf16 rounds those otherwise.
  ({ fingerprint } = await ask<{ fingerprint: string }>(
    ["encrypt", STORY_LLAMA, "--out", at("story"), "--name", "story", "--precision", "f32", "--no-measure"],
    { home },
  ));
  writeRandomLlama(at("random"));
  await ask(["encrypt", at("random"), "--out", at("other"), "--name", "other", "--no-measure"], { home });
  host = await start("serve", at("story"), "--port", "0");
});
after(async () => {
  await Promise.all(running.map((server) => server.stop()));
});

async function start(...parameters: string[]): Promise<RunningServer> {
  const server = await startServer(parameters, { home });
  running.push(server);
  return server;
}

const gatewayFor = (...hosts: string[]): Promise<RunningServer> =>
  start("gateway", "--port", "0", "--model", "story", "--timeout", "1", ...hosts.flatMap((url) => ["--host", url]));
const complete = (server: RunningServer, body: object = {}) =>
  post<ErrorBody & { choices: { message: { content: string } }[] }>(`${server.url}/v1/chat/completions`, {
    ...QUESTION,
    max_tokens: 8,
    ...body,
  });

/** A stand-in that claims to serve the story model and then follows a script. */
const scripted = (...steps: Step[]): Promise<ScriptedHost> =>
  ScriptedHost.start({
    models: [{ id: "story", object: "model", owned_by: "unseen", max_model_len: 512, unseen: { fingerprint, vocabularySize: 4096 } }],
    answer: () => steps,
  });

function isError(answer: { status: number; body: ErrorBody }, status: number, code: string, what: RegExp): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  const { error } = answer.body;
  assert.deepEqual(Object.keys(error).toSorted(), ["code", "message", "param", "type"], "OpenAI's error body");
  assert.equal(error.code, code);
  assert.match(error.message, what);
  assert.doesNotMatch(error.message, /\n|dog and a ball/, "one line, and nothing of the prompt");
}

async function readStream(
  server: RunningServer,
  body: object = {},
  onText: (text: string) => void = () => {},
): Promise<{ text: string; error: ErrorBody["error"] | null; finish: string | null; done: boolean }> {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...QUESTION, stream: true, ...body }),
  });
  const result = { text: "", error: null as ErrorBody["error"] | null, finish: null as string | null, done: false };
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body as ReadableStream<Uint8Array>) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = lines.pop() as string;
    for (const line of lines.filter((entry) => entry.startsWith("data: "))) {
      if (line === "data: [DONE]") {
        result.done = true;
        continue;
      }
      const event = JSON.parse(line.slice(6)) as {
        error?: ErrorBody["error"];
        choices?: { delta: { content?: string }; finish_reason: string | null }[];
      };
      if (event.error) result.error = event.error;
      result.text += event.choices?.[0]?.delta.content ?? "";
      result.finish = event.choices?.[0]?.finish_reason ?? result.finish;
      onText(result.text);
    }
  }
  return result;
}

describe("at the start", () => {
  const refused = async (parameters: string[], code: string, what: RegExp): Promise<void> => {
    const outcome = await runCommand([...parameters, "--json"], { home });
    assert.equal(outcome.code, 1, outcome.stderr);
    const { error } = onlyObject<{ error: { code: string; hint?: string } }>(outcome.stdout);
    assert.equal(error.code, code);
    assert.ok(error.hint);
    const complaints = outcome.stderr.split("\n").filter((line) => line.startsWith("unseen: "));
    assert.equal(complaints.length, 1, outcome.stderr);
    assert.match(complaints[0] as string, what);
    assert.doesNotMatch(outcome.stderr, /^\s+at /m);
  };
  const free = (): Promise<number> =>
    new Promise((resolve) => {
      const probe = createServer().listen(0, "127.0.0.1", () => {
        const { port } = probe.address() as { port: number };
        probe.close(() => resolve(port));
      });
    });

  test("no host: HOST_UNREACHABLE with the command that starts one", async () => {
    await refused(
      ["gateway", "--port", "0", "--host", `http://127.0.0.1:${await free()}`],
      "HOST_UNREACHABLE",
      /no host answers at http.*unseen serve/,
    );
  });

  test("a host of another model: BUNDLE_MISMATCH with both fingerprints", async () => {
    await refused(
      ["gateway", "--port", "0", "--host", host.url, "--model", "other"],
      "BUNDLE_MISMATCH",
      new RegExp(`serves .*${fingerprint.slice(0, 8)}`),
    );
    await refused(["chat", "--host", host.url, "--model", "other", "--message", "Hello"], "BUNDLE_MISMATCH", /other/);
  });

  test("a host of a model that the keyring does not know: BUNDLE_NOT_FOUND", async () => {
    const stranger = await ScriptedHost.start({
      models: [{ id: "x", unseen: { fingerprint: "f".repeat(32), vocabularySize: 4096 } }],
      answer: () => [],
    });
    await refused(["gateway", "--port", "0", "--host", stranger.url], "BUNDLE_NOT_FOUND", /no bundle/);
    await stranger.close();
  });

  test("something else at the address: HOST_PROTOCOL", async () => {
    const web = await ScriptedHost.start({ models: [{ hello: "world" }], answer: () => [] });
    await refused(["gateway", "--port", "0", "--host", web.url], "HOST_PROTOCOL", /violates the protocol/);
    await web.close();
  });

  test("two gateways or two hosts on one port: PORT_IN_USE, and the first goes on", async () => {
    const first = await gatewayFor(host.url);
    await refused(["gateway", "--port", new URL(first.url).port, "--host", host.url], "PORT_IN_USE", /already in use.*--port/);
    assert.equal((await complete(first)).status, 200);
    await refused(["serve", at("other"), "--port", new URL(host.url).port], "PORT_IN_USE", /already in use.*--port/);
    assert.equal((await complete(first)).status, 200);
    await first.stop();
  });
});

describe("an answer", () => {
  const cases: { name: string; steps: Step[]; status: number; code: string; what: RegExp }[] = [
    {
      name: "with an id outside the vocabulary",
      steps: [{ ids: [4096] }],
      status: 502,
      code: "host_protocol",
      what: /outside the vocabulary of 4096/,
    },
    { name: "with a huge id", steps: [{ ids: [2 ** 40] }], status: 502, code: "host_protocol", what: /outside the vocabulary/ },
    { name: "with a negative id", steps: [{ ids: [-1] }], status: 502, code: "host_protocol", what: /violates the protocol/ },
    {
      name: "that is text",
      steps: [{ raw: 'data: {"choices":[{"text":"hello"}]}\n\n' }],
      status: 502,
      code: "host_protocol",
      what: /text instead of token ids/,
    },
    { name: "that is no JSON", steps: [{ raw: "data: {{{\n\n" }], status: 502, code: "host_protocol", what: /not JSON/ },
    { name: "that ends too early", steps: ["done"], status: 502, code: "host_protocol", what: /ended in mid-answer/ },
    { name: "that never comes", steps: ["hang"], status: 504, code: "host_timeout", what: /sent nothing for 1 s.*--timeout/ },
    { name: "of which the connection breaks", steps: ["die"], status: 502, code: "host_unreachable", what: /closed the connection/ },
    { name: "that is refused: full queue", steps: [{ status: 429 }], status: 429, code: "overloaded", what: /full queue/ },
    { name: "that is refused: loading", steps: [{ status: 503 }], status: 503, code: "host_loading", what: /not ready/ },
    { name: "that is refused: wrong key", steps: [{ status: 401 }], status: 502, code: "host_refused", what: /API key.*--host-api-key/ },
    { name: "that fails", steps: [{ status: 500 }], status: 502, code: "host_refused", what: /status 500/ },
  ];
  let server: RunningServer;
  let stand: ScriptedHost;
  before(async () => {
    stand = await scripted();
    server = await gatewayFor(stand.url);
  });
  after(() => stand.close());

  for (const { name, steps, status, code, what } of cases) {
    test(`${name}: ${status} ${code}`, async () => {
      stand.script = { ...stand.script, answer: () => steps };
      isError(await complete(server), status, code, what);
      // In a stream the headers may be out already; then the error is an event.
      const response = await fetch(`${server.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...QUESTION, stream: true, max_tokens: 8 }),
      });
      const text = await response.text();
      assert.ok(response.status === status || /"error":\{/.test(text), text.slice(0, 300));
    });
  }

  test("of a host that was exchanged for another model's: 502 bundle_mismatch", async () => {
    stand.script = { models: [{ id: "story", unseen: { fingerprint: "0".repeat(32), vocabularySize: 4096 } }], answer: () => ["die"] };
    await complete(server);
    isError(await complete(server), 502, "bundle_mismatch", /another encrypted model/);
  });
});

describe("a host that dies in mid-answer", () => {
  const long = { max_tokens: 440, ignore_eos: true };
  let whole = "";
  before(async () => {
    const server = await gatewayFor(host.url);
    whole = (await readStream(server, long)).text;
    assert.ok(whole.length > 600);
    await server.stop();
  });

  /** Streams an answer and ends a process when its first words are there. */
  async function streamAndKill(server: RunningServer, process_: number) {
    let killed = 0;
    const result = await readStream(server, long, (text) => {
      if (killed > 0 || text.length < 20) return;
      killed = text.length;
      process.kill(process_, "SIGKILL");
    });
    assert.ok(killed > 0 && killed < whole.length);
    return result;
  }

  test("is replaced by the next one, and the stream goes on, word for word", async () => {
    const doomed = await start("serve", at("story"), "--port", "0", "--name", "doomed");
    const server = await gatewayFor(doomed.url, host.url);
    const result = await streamAndKill(server, doomed.child.pid as number);
    assert.equal(result.error, null);
    assert.equal(result.text, whole);
    assert.ok(result.done && result.finish === "length");
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /resum\w*(?:\{[^}]*\})? [1-9]/, "the second half came from the second host");
    assert.equal((await complete(server)).status, 200, "and the gateway goes on with one host");
    await server.stop();
  });

  test("without another one: an error event, what was received stays, and a host that comes back is found", async () => {
    const doomed = await start("serve", at("story"), "--port", "0");
    const server = await gatewayFor(doomed.url);
    const result = await streamAndKill(server, doomed.child.pid as number);
    assert.ok(result.error, "says so");
    assert.equal(result.error.code, "host_unreachable");
    assert.match(result.error.message, /closed the connection|no host answers/);
    assert.ok(result.text.length >= 20 && whole.startsWith(result.text), "nothing that had come is lost or false");
    isError(await complete(server), 502, "host_unreachable", /no host answers.*unseen serve/);
    const again = await start("serve", at("story"), "--port", new URL(doomed.url).port);
    assert.equal((await complete(server)).status, 200);
    await Promise.all([server.stop(), again.stop()]);
  });

  test("only its engine dies: the server restarts it and the answer goes on", async (context) => {
    const engine = engineOf(host.child.pid as number);
    if (engine === null) return context.skip("needs /proc");
    const server = await start("gateway", "--port", "0", "--host", host.url, "--timeout", "20");
    const result = await streamAndKill(server, engine);
    assert.equal(result.error, null, JSON.stringify(result.error));
    assert.equal(result.text, whole);
    await server.stop();
  });
});

/** The child process of a host, where /proc tells. */
function engineOf(parent: number): number | null {
  const file = `/proc/${parent}/task/${parent}/children`;
  if (!existsSync(file)) return null;
  return Number(readFileSync(file, "utf8").trim().split(" ")[0]);
}

describe("requests that are wrong", () => {
  let server: RunningServer;
  before(async () => {
    server = await start("gateway", "--port", "0", "--host", host.url, "--api-key", "sk-right");
  });
  const send = (path: string, body: unknown, key = "sk-right") =>
    post<ErrorBody>(`${server.url}${path}`, body, { authorization: `Bearer ${key}` });

  test("get 400, 401 or 404 and name the field", async () => {
    isError(await send("/v1/chat/completions", { ...QUESTION, model: "nothing" }), 404, "model_not_found", /story/);
    isError(await send("/v1/chat/completions", QUESTION, "sk-wrong"), 401, "invalid_api_key", /Authorization/);
    const long = await send("/v1/chat/completions", { messages: [{ role: "user", content: "word ".repeat(2000) }] });
    isError(long, 400, "context_length_exceeded", /512/);
    assert.equal(long.body.error.param, "messages");
    const wrong = await send("/v1/chat/completions", { messages: [], temperature: 9 });
    assert.equal(wrong.status, 400);
    assert.ok(wrong.body.error.param);
    isError(await send("/v1/completions", { prompt: [4096] }), 400, "token_out_of_range", /4096/);
    const malformed = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: "Bearer sk-right", "content-type": "application/json" },
      body: "{",
    });
    isError({ status: malformed.status, body: (await malformed.json()) as ErrorBody }, 400, "invalid_value", /JSON/);
  });

  test("at the host itself: text is refused before it can be read, and ids are checked", async () => {
    const text = await post<ErrorBody>(`${host.url}/v1/completions`, { prompt: "a secret" });
    assert.equal(text.status, 400);
    assert.match(text.body.error.message, /no tokenizer.*unseen gateway/);
    assert.doesNotMatch(text.body.error.message, /a secret/);
    const range = await post<ErrorBody>(`${host.url}/v1/completions`, { prompt: [4096] });
    assert.equal(range.status, 400);
    assert.match(range.body.error.message, /below 4096/);
  });

  test("a model without tokenizer takes ids, and says so to text", async () => {
    const other = await start("serve", at("other"), "--port", "0");
    const ids = await start("gateway", "--port", "0", "--host", other.url);
    isError(await complete(ids), 400, "tokenizer_missing", /no tokenizer.*token ids/);
    isError(await post<ErrorBody>(`${ids.url}/v1/completions`, { prompt: "text" }), 400, "tokenizer_missing", /no tokenizer/);
    const answer = await post<{ choices: { token_ids: number[] }[] }>(`${ids.url}/v1/completions`, {
      prompt: [1, 5, 9],
      max_tokens: 4,
      temperature: 0,
      return_token_ids: true,
      ignore_eos: true,
    });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(answer.body.choices[0]?.token_ids.length, 4);
    await ids.stop();
    await other.stop();
  });
});
