import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { answer, events, ids, post, until, type Chunk } from "./host-client.fixture.ts";
import { startHost, type Host, type HostOptions } from "./serve.ts";
import { writeTinyModel } from "./tiny-model.fixture.ts";

const LONG = { prompt: [1, 20, 40], max_tokens: 3000, temperature: 0, ignore_eos: true };
const SHORT = { prompt: [1, 20, 40], max_tokens: 4, temperature: 0, ignore_eos: true };

const directory = mkdtempSync(join(tmpdir(), "unseen-lifecycle-"));
const file = join(directory, "tiny.gguf");
before(() => writeTinyModel(file));
after(() => rmSync(directory, { recursive: true }));

async function withHost(options: Partial<HostOptions>, use: (host: Host) => Promise<void>): Promise<void> {
  const host = await startHost({ model: file, port: 0, ...options });
  try {
    await use(host);
  } finally {
    await host.close(0);
  }
}

const status = async (url: string): Promise<number> => (await fetch(`${url}/health`)).status;

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^unseen:${name}\\{[^\\n]*\\} (\\d+)$`, "m").exec(text)![1]);
}

function isAlive(process_: number): boolean {
  try {
    // A zombie still has a number; its state tells.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${process_}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** A stream whose first token has come: the request certainly runs. */
async function openStream(url: string, body: object = LONG): Promise<{ rest: AsyncGenerator<Chunk | "[DONE]">; abort: () => void }> {
  const controller = new AbortController();
  const rest = events(await post(url, { ...body, stream: true }, { signal: controller.signal }));
  await rest.next();
  return { rest, abort: () => controller.abort() };
}

describe("a native abort of the engine", () => {
  test("fails the request in flight alone, and the next one is answered", async () => {
    const lines: string[] = [];
    await withHost({ sequences: 1, log: (line) => lines.push(line) }, async (host) => {
      const expected = await ids(host.url, SHORT);
      const { rest } = await openStream(host.url);
      const waiting = ids(host.url, SHORT);
      await until(async () => (await metric(host.url, "num_requests_waiting")) === 1);
      const engine = host.engineProcess!;
      process.kill(engine, "SIGABRT");
      const ended = await Array.fromAsync(rest);
      const failure = ended.find((event) => event !== "[DONE]" && event.error) as Chunk;
      assert.equal(failure.error!.code, "ENGINE_CRASHED");
      assert.equal(ended.at(-1), "[DONE]");
      assert.equal(await status(host.url), 503);
      assert.deepEqual(await waiting, expected, "what waited was never in danger");
      assert.deepEqual(await ids(host.url, SHORT), expected);
      assert.equal(await status(host.url), 200);
      assert.notEqual(host.engineProcess, engine);
      assert.equal(await metric(host.url, "engine_restarts_total"), 1);
      assert.match(lines.join("\n"), /engine ended \(SIGABRT\)/);
    });
  });

  test("is a 500 for a request that is answered whole", async () => {
    await withHost({}, async (host) => {
      const whole = answer(host.url, LONG);
      await until(async () => (await metric(host.url, "num_requests_running")) === 1);
      process.kill(host.engineProcess!, "SIGKILL");
      const { status: code, error } = await whole;
      assert.deepEqual([code, error!.code, error!.type], [500, "ENGINE_CRASHED", "server_error"]);
    });
  });
});

test("a server that is killed leaves no engine behind", async () => {
  const script = `
    import { startHost } from ${JSON.stringify(new URL("./serve.ts", import.meta.url).href)};
    const host = await startHost({ model: ${JSON.stringify(file)}, port: 0 });
    console.log(host.engineProcess);
  `;
  const server = spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [output] = (await once(server.stdout, "data")) as [Buffer];
  const engine = Number(output.toString());
  assert.ok(isAlive(engine));
  server.kill("SIGKILL");
  await until(() => !isAlive(engine), 10);
});

describe("a client that goes away", () => {
  test("stops its stream at once and frees the slot", async () => {
    await withHost({ sequences: 1 }, async (host) => {
      const { abort } = await openStream(host.url);
      abort();
      await until(async () => (await metric(host.url, "num_requests_running")) === 0, 5);
      const generated = await metric(host.url, "generation_tokens_total");
      assert.ok(generated < LONG.max_tokens, `${generated} tokens were generated for nobody`);
      assert.equal((await ids(host.url, SHORT)).length, 4);
    });
  });

  test("also where it waits for the whole answer, or in the queue", async () => {
    await withHost({ sequences: 1 }, async (host) => {
      const controllers = [new AbortController(), new AbortController()];
      const gone = controllers.map(({ signal }) => assert.rejects(post(host.url, LONG, { signal })));
      await until(async () => (await metric(host.url, "num_requests_waiting")) === 1);
      for (const controller of controllers) controller.abort();
      await Promise.all(gone);
      await until(async () => (await metric(host.url, "num_requests_running")) + (await metric(host.url, "num_requests_waiting")) === 0, 5);
      assert.equal((await ids(host.url, SHORT)).length, 4);
    });
  });
});

test("a full queue refuses with 429 and keeps its order", async () => {
  await withHost({ sequences: 1, maximumQueue: 2 }, async (host) => {
    const { rest } = await openStream(host.url, { ...LONG, max_tokens: 1000 });
    const finished: string[] = [];
    const first = ids(host.url, SHORT).then(() => finished.push("first"));
    await until(async () => (await metric(host.url, "num_requests_waiting")) === 1);
    const second = ids(host.url, SHORT).then(() => finished.push("second"));
    await until(async () => (await metric(host.url, "num_requests_waiting")) === 2);
    const { status: code, error } = await answer(host.url, SHORT);
    assert.deepEqual([code, error!.code, error!.type], [429, "OVERLOADED", "rate_limit_error"]);
    await Promise.all([Array.fromAsync(rest), first, second]);
    assert.deepEqual(finished, ["first", "second"]);
  });
});

test("a long prompt does not hold up running answers", async () => {
  await withHost({ sequences: 2 }, async (host) => {
    const alone = await ids(host.url, { ...SHORT, max_tokens: 60 });
    const { rest } = await openStream(host.url, { ...SHORT, max_tokens: 60 });
    const prompt = Array.from({ length: 200 }, (_, index) => index % 90);
    await answer(host.url, { ...SHORT, prompt });
    const tokens = (await Array.fromAsync(rest)).flatMap((event) => (event === "[DONE]" ? [] : event.choices[0]!.token_ids));
    assert.deepEqual(tokens, alone.slice(1), "and does not change them");
  });
});

describe("closing", () => {
  test("lets running answers finish and takes nothing new", async () => {
    const host = await startHost({ model: file, port: 0 });
    const engine = host.engineProcess!;
    const { rest } = await openStream(host.url, { ...LONG, max_tokens: 400 });
    const closed = host.close();
    await assert.rejects(post(host.url, SHORT));
    const tokens = await Array.fromAsync(rest);
    assert.equal((tokens.at(-2) as Chunk).choices[0]!.finish_reason, "length");
    assert.equal(tokens.length, 400, "all but the first, and [DONE]");
    await closed;
    assert.ok(!isAlive(engine));
  });

  test("waits no longer than its grace", async () => {
    const host = await startHost({ model: file, port: 0, sequences: 1 });
    const { rest } = await openStream(host.url);
    await host.close(0);
    const last = (await Array.fromAsync(rest)).at(-2) as Chunk;
    assert.equal(last.error!.code, "HOST_LOADING");
  });
});

test("health answers 503 while the model loads", async () => {
  let early: Promise<{ health: number; completion: number; code: string }> | null = null;
  const onListening = (url: string): void => {
    early = (async () => {
      const [health, response] = await Promise.all([fetch(`${url}/health`), post(url, SHORT)]);
      return { health: health.status, completion: response.status, code: ((await response.json()) as Chunk).error!.code };
    })();
  };
  await withHost({ onListening }, async (host) => {
    assert.deepEqual(await early!, { health: 503, completion: 503, code: "HOST_LOADING" });
    assert.equal(await status(host.url), 200);
  });
});

test("the API key is asked for everywhere but at /health", async () => {
  await withHost({ apiKey: "secret" }, async (host) => {
    const withKey = (key: string): RequestInit => ({ headers: { authorization: `Bearer ${key}` } });
    assert.equal((await fetch(`${host.url}/health`)).status, 200);
    for (const path of ["/v1/models", "/metrics", "/version"]) assert.equal((await fetch(host.url + path)).status, 401, path);
    assert.equal((await post(host.url, SHORT)).status, 401);
    assert.equal((await post(host.url, SHORT, withKey("wrong"))).status, 401);
    const { error } = (await (await post(host.url, SHORT)).json()) as Chunk;
    assert.deepEqual([error!.code, error!.type], ["UNAUTHORIZED", "authentication_error"]);
    assert.equal((await post(host.url, SHORT, withKey("secret"))).status, 200);
  });
});

test("a taken port is named before a model is loaded", async () => {
  await withHost({}, async (host) => {
    await assert.rejects(
      startHost({ model: file, port: host.port }),
      (error) => UnseenError.isInstance(error) && error.code === "PORT_IN_USE",
    );
  });
});

test("only this machine is listened to unless asked otherwise", async () => {
  await withHost({}, async (host) => {
    assert.match(host.url, /^http:\/\/127\.0\.0\.1:/);
    const socket = connect(host.port, "127.0.0.2");
    await assert.rejects(once(socket, "connect"), /ECONNREFUSED/);
  });
});

test("a model that llama.cpp refuses ends the start with its reason", async () => {
  const broken = join(directory, "broken.gguf");
  const bytes = readFileSync(file);
  // The architecture's name, of the same length: headers stay valid, but no engine knows it.
  for (let at = bytes.indexOf("llama"); at >= 0; at = bytes.indexOf("llama", at + 1)) bytes.write("lorem", at, "latin1");
  writeFileSync(broken, bytes);
  await assert.rejects(
    startHost({ model: broken, port: 0 }),
    (error) => UnseenError.isInstance(error) && (error.code === "CHECKPOINT_MALFORMED" || error.code === "ENGINE_CRASHED"),
  );
});
