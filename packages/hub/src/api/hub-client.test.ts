import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { afterEach, describe, test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import { limits } from "../protocol.ts";
import { startFalseHub, type FalseHub } from "./false-hub.fixture.ts";
import { HubClient } from "./hub-client.ts";

const anything = z.object({ word: z.string() });

let hubs: FalseHub[] = [];
afterEach(async () => {
  for (const hub of hubs) await hub.stop();
  hubs = [];
});

async function start(listener: RequestListener, port = 0): Promise<FalseHub> {
  const hub = await startFalseHub(listener, port);
  hubs.push(hub);
  return hub;
}

/** Answers in turn; the last again and again. */
function inTurn(...listeners: readonly RequestListener[]): RequestListener {
  let turn = 0;
  return (request, response) => listeners[Math.min(turn++, listeners.length - 1)]!(request, response);
}

const says =
  (status: number, body: string, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) =>
    response.writeHead(status, headers).end(body);
const good = says(200, '{"word":"yes"}');
const refuses = (code: string, message = "no"): string => JSON.stringify({ error: { code, message, hint: null } });

test("an address that is none, or that holds a password, is refused before anything is sent", () => {
  for (const address of ["", "hub", "ftp://hub", "http://name:word@hub", "http://name@hub"])
    assert.throws(() => new HubClient(address, null), { code: "USAGE" }, address);
  assert.equal(new HubClient("http://HUB:80/", null).url, "http://hub");
  assert.equal(new HubClient("https://hub/below/", null).url, "https://hub/below");
});

test("a request carries the key and its body, and nothing of them where there are none", async () => {
  let body = "";
  const hub = await start((request, response) => {
    request.on("data", (part: Buffer) => (body += part.toString())).on("end", () => good(request, response));
  });
  await new HubClient(hub.url, "secret").json("POST", "/v1/x", anything, { body: { a: 1 } });
  await new HubClient(hub.url, null).json("GET", "/v1/x", anything);
  const [first, second] = hub.requests;
  assert.equal(first!.headers.authorization, "Bearer secret");
  assert.equal(first!.headers["content-type"], "application/json");
  assert.equal(body, '{"a":1}');
  assert.equal(second!.headers.authorization, undefined);
  assert.equal(second!.headers["content-type"], undefined);
});

describe("a hub that may come back is waited for", () => {
  for (const status of [429, 502, 503])
    test(`after status ${status}`, async () => {
      const hub = await start(inTurn(says(status, refuses("OVERLOADED"), { "retry-after": "0" }), good));
      assert.deepEqual(await new HubClient(hub.url, null).json("GET", "/", anything), { word: "yes" });
      assert.equal(hub.requests.length, 2);
    });

  test("after a connection that ends without an answer", async () => {
    const hub = await start(inTurn((request) => request.socket.destroy(), good));
    assert.deepEqual(await new HubClient(hub.url, null).json("GET", "/", anything), { word: "yes" });
  });

  test("after an answer that breaks off", async () => {
    const breaks: RequestListener = (_request, response) => {
      response.writeHead(200, { "content-length": "14" });
      response.write('{"word"', () => response.destroy());
    };
    const hub = await start(inTurn(breaks, breaks, good));
    assert.deepEqual(await new HubClient(hub.url, null).json("GET", "/", anything), { word: "yes" });
    assert.equal(hub.requests.length, 3);
    const broken = await start(breaks);
    await assert.rejects(new HubClient(broken.url, null).json("GET", "/", anything), { code: "HUB_UNREACHABLE" });
  });

  test("while it is restarted", async () => {
    const before = await start(good);
    await before.stop();
    const client = new HubClient(before.url, null);
    const answer = client.json("GET", "/", anything);
    await start(good, Number(new URL(before.url).port));
    assert.deepEqual(await answer, { word: "yes" });
    hubs.shift(); // stopped already
  });

  test("but not longer than the patience, and then with the hub's own words", async () => {
    const busy = await start(says(503, refuses("OVERLOADED", "too much at once")));
    await assert.rejects(new HubClient(busy.url, null, 300).json("GET", "/", anything), {
      code: "OVERLOADED",
      message: "too much at once",
    });
    assert.equal(busy.requests.length, 2);
    await busy.stop();
    hubs.shift();
    await assert.rejects(new HubClient(busy.url, null, 300).json("GET", "/", anything), { code: "HUB_UNREACHABLE" });
  });

  test("and not after the caller gave up", async () => {
    const hub = await start(says(503, refuses("OVERLOADED")));
    const giving = new AbortController();
    const answer = new HubClient(hub.url, null).json("GET", "/", anything, { signal: giving.signal });
    giving.abort(new Error("enough"));
    await assert.rejects(answer, (error) => error === giving.signal.reason || (error as Error).name === "AbortError");
    const silent = await start(() => giving2.abort(new Error("enough")));
    const giving2 = new AbortController();
    await assert.rejects(new HubClient(silent.url, null).json("GET", "/", anything, { signal: giving2.signal }), { message: "enough" });
  });
});

describe("an answer is not believed", () => {
  const ask = async (listener: RequestListener): Promise<unknown> =>
    new HubClient((await start(listener)).url, "secret", 300).json("GET", "/", anything);

  test("when it is not what was asked for", async () => {
    for (const body of ["", "{", "[]", '{"word":1}', "<html>"]) await assert.rejects(ask(says(200, body)), { code: "HUB_REFUSED" }, body);
  });

  test("when it is larger than an answer may be", async () => {
    await assert.rejects(ask(says(200, JSON.stringify({ word: "x".repeat(2 * limits.jsonBytes) }))), { code: "HUB_REFUSED" });
  });

  test("when it is a refusal that does not follow the protocol, or whose code nobody knows", async () => {
    for (const body of ["", "no", '{"error":"no"}', refuses("TO_STRING"), refuses("toString")])
      await assert.rejects(ask(says(400, body)), { code: "HUB_REFUSED" }, body);
    await assert.rejects(ask(says(400, "x".repeat(100_000))), { code: "HUB_REFUSED" });
  });

  test("and a refusal is one short line without control characters", async () => {
    await assert.rejects(ask(says(404, refuses("JOB_NOT_FOUND", `no\n\u001b[31m job ${"x".repeat(1000)}`))), (error) => {
      assert.ok(UnseenError.isInstance(error));
      assert.equal(error.code, "JOB_NOT_FOUND");
      assert.match(error.message, /^no \[31m job x+$/);
      assert.equal(error.message.length, 500);
      return true;
    });
  });

  test("when it sends us elsewhere: neither key nor body follows", async () => {
    const elsewhere = await start(good);
    const hub = await start(says(307, "", { location: elsewhere.url }));
    await assert.rejects(new HubClient(hub.url, "secret", 0).json("GET", "/", anything), { code: "HUB_UNREACHABLE" });
    assert.equal(elsewhere.requests.length, 0);
  });
});

test("a status that is accepted is an answer", async () => {
  const hub = await start(says(404, "", { "upload-offset": "7" }));
  const client = new HubClient(hub.url, null);
  assert.equal((await client.send("HEAD", "/", { accept: [404] })).headers.get("upload-offset"), "7");
  await assert.rejects(client.send("HEAD", "/"), { code: "HUB_REFUSED" });
});
