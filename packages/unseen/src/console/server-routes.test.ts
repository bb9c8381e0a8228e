import assert from "node:assert/strict";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { ByteEvent } from "@unseen/client/engines/engine.ts";
import { startHost, modelOn } from "@unseen/client/gateway/test-model.fixture.ts";
import { Offer } from "@unseen/client/gateway/offer.ts";
import { startProxy, type ShareProxy } from "@unseen/shares/client/proxy.fixture.ts";
import { frameTypes } from "@unseen/shares/protocol.ts";
import { startShareServer, type ShareServer } from "@unseen/shares/server/serve.ts";
import type { TwoServers } from "@unseen/web/protocol/library.ts";
import { connectModels } from "../models.ts";
import { shareModel } from "../shares/share-commands.ts";
import { createTerminal } from "../terminal.ts";
import { TestConsole, temporaryHome } from "./console.fixture.ts";
import { openServers } from "./server-routes.ts";

const MODEL = fileURLToPath(new URL("../../models/story-llama", import.meta.url));
const home = temporaryHome();
let servers: readonly [ShareServer, ShareServer];
let proxies: readonly [ShareProxy, ShareProxy];

const serve = (name: string, port = 0): Promise<ShareServer> =>
  startShareServer({ directory: join(home.root, name), port, kernel: "wasm" });

before(async () => {
  process.env["UNSEEN_HOME"] = home.root;
  const terminal = createTerminal(true, { stdout: new PassThrough().resume(), stderr: new PassThrough().resume() }, null);
  await shareModel(MODEL, { key: "default", out: [join(home.root, "a"), join(home.root, "b")], bits: "8" }, terminal);
  servers = [await serve("a"), await serve("b")];
  proxies = [await startProxy(servers[0].url), await startProxy(servers[1].url)];
});
after(async () => {
  delete process.env["UNSEEN_HOME"];
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await Promise.all(servers.map((server) => server.close()));
});

type Answer = TwoServers & { servers: TwoServers["servers"] };
const put = (console: TestConsole, urls: readonly [string, string], more: object = {}) =>
  console.ask<Answer>("PUT", "/console/servers", { urls, allowSameOperator: true, ...more });
const get = async (console: TestConsole): Promise<TwoServers | null> =>
  (await console.ask<{ servers: TwoServers | null }>("GET", "/console/servers")).body.servers;

/** Lets the model say a few tokens. */
async function say(console: TestConsole, onBytes?: (event: ByteEvent) => void): Promise<number[]> {
  const model = console.offer.models.find(({ id }) => id.endsWith("@two-servers"));
  assert.ok(model && "blind" in model);
  const prompt = model.tokenizer!.encode("Once upon a time", { specialTokens: true });
  const request = {
    prompt,
    maximumTokens: 3,
    temperature: 0,
    topP: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    stopTokenIds: [],
    cacheSalt: "s",
  };
  const wire: unknown[] = [];
  const options = {
    signal: AbortSignal.timeout(30_000),
    onWire: (event: unknown) => void wire.push(event),
    ...(onBytes ? { onBytes } : {}),
  };
  const chunks = await Array.fromAsync(model.blind.generate(request, options));
  assert.deepEqual(wire, [], "no ids reach a server, so none are shown");
  return chunks.flatMap(({ ids }) => [...ids]);
}

test("switched on, a message is answered and each server's view of it is shown; switched off, it is gone", async () => {
  const console = new TestConsole(home, openServers);
  assert.equal(await get(console), null);
  const urls = [servers[0].url, servers[1].url] as const;
  const { status, body } = await put(console, urls);
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual([body.model, body.sameOperator, body.checked, body.violation], ["story-llama@two-servers", true, 0, null]);
  assert.deepEqual(
    body.servers.map(({ url, state, last }) => [url, state, last]),
    urls.map((url) => [url, "up", null]),
  );

  const events: ByteEvent[] = [];
  const said = await say(console, (event) => events.push(event));
  assert.equal(said.length, 3);
  const shown = (await get(console))!;
  assert.ok(shown.checked > 0 && shown.roundTrips > 0 && shown.secondsWaiting > 0);
  for (const [index, url] of urls.entries()) {
    const { last, sentBytes, receivedBytes } = shown.servers[index]!;
    const of = (direction: string): ByteEvent[] => events.filter((event) => event.host === url && event.direction === direction);
    const bytes = (direction: string): number => of(direction).reduce((sum, event) => sum + event.bytes.length, 0);
    assert.deepEqual([last!.received, last!.sent, last!.calls], [bytes("sent"), bytes("received"), of("sent").length]);
    // Before the message there was nothing but the beginning of the session: 80 bytes and 20.
    assert.deepEqual([sentBytes - last!.received, receivedBytes - last!.sent], [80, 20]);
  }
  const [a, b] = shown.servers.map(({ last }) => last!);
  assert.equal(Buffer.from(a!.sample, "base64").length, 4096);
  assert.ok(Math.abs(a!.chiSquare - 255) < 180, `${a!.chiSquare}`);
  assert.equal(
    a!.histogram.reduce((sum, count) => sum + count, 0),
    a!.received - 20 * a!.calls,
  );
  assert.equal(Buffer.from(b!.sample, "base64").length, Math.min(4096, 32 + 16 * b!.calls));
  assert.ok(b!.histogram.every((count) => count === 0));

  await say(console);
  const next = (await get(console))!;
  // The text so far is remembered, so the same question costs less; the view is of the last message alone.
  assert.ok(next.servers[0].last!.received < a!.received);
  assert.ok(next.checked > shown.checked);
  assert.equal((await console.ask("DELETE", "/console/servers")).status, 204);
  assert.equal(await get(console), null);
  assert.deepEqual(console.offer.models, []);
});

test("the same model at a host and on two servers is offered twice; a second pair takes the first one's place", async () => {
  const host = await startHost("x");
  const plain = { ...modelOn([host]), id: "story-llama" };
  const console = new TestConsole(home, openServers, new Offer([plain]));
  try {
    await put(console, [servers[0].url, servers[1].url]);
    await put(console, [proxies[0].url, proxies[1].url], { model: "story-llama" });
    assert.deepEqual(
      console.offer.models.map(({ id }) => id),
      ["story-llama", "story-llama@two-servers"],
    );
    assert.deepEqual(
      (await get(console))!.servers.map(({ url }) => url),
      proxies.map(({ url }) => url),
    );
    await console.ask("DELETE", "/console/servers");
    assert.deepEqual(
      console.offer.models.map(({ id }) => id),
      ["story-llama"],
    );
  } finally {
    await host.close();
  }
});

test("a pair that the command line gave is offered under the model's plain name, and shown and switched off all the same", async () => {
  const flags = { shares: [servers[0].url, servers[1].url], allowSameOperator: true };
  const console = new TestConsole(home, openServers, new Offer(await connectModels(home, flags, () => {})));
  assert.equal((await get(console))?.model, "story-llama");
  await console.ask("DELETE", "/console/servers");
  assert.equal(await get(console), null);
});

test("a server that lies is named, and nothing of it is said", async () => {
  const console = new TestConsole(home, openServers);
  await put(console, [proxies[0].url, proxies[1].url]);
  proxies[1].meddle = (frame) => {
    if (frame.type === frameTypes.products) frame.payload[5]! ^= 1;
    return frame;
  };
  try {
    await assert.rejects(say(console), { code: "VERIFICATION_FAILED" });
    const { violation, servers: rows } = (await get(console))!;
    assert.equal(violation?.code, "VERIFICATION_FAILED");
    assert.match(violation.message, new RegExp(`^server B at ${proxies[1].url} answered wrongly`));
    assert.deepEqual(
      rows.map(({ state }) => state),
      ["up", "up"],
    );
  } finally {
    proxies[1].meddle = (frame) => frame;
    await console.ask("DELETE", "/console/servers");
  }
});

test("a server that is gone is down, and up when it is back", async () => {
  const console = new TestConsole(home, openServers);
  const gone = await startProxy(servers[1].url);
  const port = Number(new URL(gone.url).port);
  await put(console, [servers[0].url, gone.url]);
  const said = await say(console);
  await gone.close();
  assert.deepEqual(
    (await get(console))!.servers.map(({ state }) => state),
    ["up", "down"],
  );
  const back = await startProxy(servers[1].url, port);
  try {
    assert.deepEqual(
      (await get(console))!.servers.map(({ state }) => state),
      ["up", "up"],
    );
    assert.deepEqual(await say(console), said);
  } finally {
    await console.ask("DELETE", "/console/servers");
    await back.close();
  }
});

test("what cannot be is refused in one line, and what was on stays on", async () => {
  const console = new TestConsole(home, openServers);
  await put(console, [servers[0].url, servers[1].url]);
  const code = async (urls: unknown, more: object = {}): Promise<string | undefined> =>
    (await put(console, urls as [string, string], more)).body.error?.code;
  for (const urls of [
    [],
    [servers[0].url],
    [servers[0].url, "http://u:pw@h"],
    ["ftp://a", servers[1].url],
    [1, 2],
    [servers[0].url, `${servers[1].url}#x`],
  ])
    assert.equal(await code(urls), "REQUEST_INVALID");
  assert.equal(await code([servers[0].url, servers[1].url], { allowSameOperator: false }), "USAGE");
  assert.equal(await code([servers[0].url, servers[1].url], { model: "nothing" }), "BUNDLE_NOT_FOUND");
  assert.equal(await code([servers[0].url, "http://127.0.0.1:9"]), "HOST_UNREACHABLE");
  assert.equal(await code([servers[0].url, servers[1].url], { surprise: 1 }), "REQUEST_INVALID");
  assert.equal((await get(console))?.model, "story-llama@two-servers");
  assert.equal((await say(console)).length, 3);
  await console.ask("DELETE", "/console/servers");
});
