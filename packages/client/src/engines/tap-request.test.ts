import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { simulatorPolicy, simulatorSource } from "@unseen/attest/simulator/simulator-source.ts";
import { planChat } from "../gateway/chat-plan.ts";
import { serveModel } from "../gateway/model.ts";
import { modelOn, startHost } from "../gateway/test-model.fixture.ts";
import { HostAttestation } from "./attested-connection.ts";
import { evidenceOf, freshIdentity, startTap } from "./attested-host.fixture.ts";
import type { ByteEvent, GenerateRequest } from "./engine.ts";
import { VllmEngine } from "./vllm.ts";

const request: GenerateRequest = {
  prompt: [5, 70000, 3],
  maximumTokens: 10,
  temperature: 0,
  topP: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  stopTokenIds: [2],
  cacheSalt: "salt",
};

interface RawHost {
  readonly url: string;
  /** What arrived and what was written, one pair for each connection. */
  readonly connections: { received: string; sent: string }[];
}

/** A server of bare TCP, so that no library stands between the test and the bytes. `answer` comes once a request is complete. */
async function startRawHost(context: TestContext, answer: readonly string[]): Promise<RawHost> {
  const connections: RawHost["connections"] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const connection = { received: "", sent: "" };
    connections.push(connection);
    let pending = "";
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      connection.received += bytes.toString("latin1");
      pending += bytes.toString("latin1");
      const [, head, length] = /^([^]*?content-length: (\d+)[^]*?\r\n\r\n)/i.exec(pending) ?? [];
      if (head === undefined || pending.length < head.length + Number(length)) return;
      pending = "";
      void (async () => {
        for (const piece of answer) {
          connection.sent += piece;
          socket.write(piece, "latin1");
          await new Promise((resolve) => setTimeout(resolve, 3));
        }
      })();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections };
}

const chunked = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const event = (ids: number[], finish: string | null): string =>
  `data: ${JSON.stringify({ choices: [{ text: "", token_ids: ids, finish_reason: finish }] })}\n\n`;
const HEAD = "HTTP/1.1 200 OK\r\nX-Odd-Case: Yes\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const ANSWER = [HEAD, chunked(event([7], null)), chunked(event([8, 9], "stop")), `${chunked("data: [DONE]\n\n")}0\r\n\r\n`];

function textOf(events: readonly ByteEvent[], direction: ByteEvent["direction"]): string {
  return Buffer.concat(events.filter((one) => one.direction === direction).map(({ bytes }) => bytes)).toString("latin1");
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60));

test("a tap gets byte by byte what a host gets and sends, but for the key", async (context) => {
  const host = await startRawHost(context, ANSWER);
  const apiKey = "host-key-\u00e9-authorization: x";
  const engine = new VllmEngine({ url: `${host.url}/v1/`, apiKey });
  const events: ByteEvent[] = [];
  const chunks = await Array.fromAsync(engine.generate(request, AbortSignal.timeout(5000), (one) => events.push(one)));
  assert.deepEqual(
    chunks.flatMap(({ ids }) => ids),
    [7, 8, 9],
  );
  await settle();

  const [connection] = host.connections;
  const value = /\r\nauthorization: ([^\r]*)/.exec(connection!.received)![1]!;
  assert.match(value, /^Bearer host-key-/);
  const starred = connection!.received.replace(value, "*".repeat(value.length));
  assert.notEqual(starred, connection!.received);
  assert.equal(textOf(events, "sent"), starred);
  assert.match(starred, /^POST \/v1\/completions HTTP\/1\.1\r\n/);
  assert.equal(textOf(events, "received"), connection!.sent);
  assert.ok(events.every(({ host: address }) => address === host.url));
  // The answer was not held back until its end.
  assert.ok(events.filter(({ direction }) => direction === "received").length > 1);
});

test("on a kept connection each request has its own tap, and one without leaves nothing behind", async (context) => {
  const host = await startRawHost(context, ANSWER);
  const engine = new VllmEngine({ url: host.url });
  const all: ByteEvent[][] = [];
  for (const tapped of [true, false, true]) {
    const events: ByteEvent[] = [];
    all.push(events);
    await Array.fromAsync(engine.generate(request, AbortSignal.timeout(5000), tapped ? (one) => events.push(one) : undefined));
    await settle();
  }
  assert.equal(host.connections.length, 1);
  const third = host.connections[0]!.received.length / 3;
  assert.equal(textOf(all[0]!, "sent"), host.connections[0]!.received.slice(0, third));
  assert.deepEqual(all[1], []);
  assert.equal(textOf(all[2]!, "sent"), textOf(all[0]!, "sent"));
  for (const index of [0, 2]) assert.equal(textOf(all[index]!, "received"), ANSWER.join(""));
});

test("a tap may keep what it gets: later pieces do not overwrite it", async (context) => {
  const host = await startRawHost(context, ANSWER);
  const engine = new VllmEngine({ url: host.url });
  const pieces: { bytes: Uint8Array; copy: string }[] = [];
  await Array.fromAsync(
    engine.generate(request, AbortSignal.timeout(5000), ({ bytes }) => pieces.push({ bytes, copy: Buffer.from(bytes).toString("latin1") })),
  );
  await settle();
  for (const { bytes, copy } of pieces) assert.equal(Buffer.from(bytes).toString("latin1"), copy);
});

test("what a host says that refuses or lies is seen too", async (context) => {
  const refusal = "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
  const host = await startRawHost(context, [refusal]);
  const events: ByteEvent[] = [];
  const run = Array.fromAsync(new VllmEngine({ url: host.url }).generate(request, AbortSignal.timeout(5000), (one) => events.push(one)));
  await assert.rejects(run, { code: "OVERLOADED" });
  assert.equal(textOf(events, "received"), refusal);
});

test("inside TLS, to an attested host", async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "unseen-tap-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const source = await simulatorSource({ directory });
  const identity = await freshIdentity(source);
  const host = await startTap(identity, evidenceOf(source, identity));
  context.after(() => host.close());
  const attestation = new HostAttestation(host.url, await simulatorPolicy(directory));
  const engine = new VllmEngine({ url: host.url, apiKey: "k", attestation });
  const events: ByteEvent[] = [];
  await assert.rejects(Array.fromAsync(engine.generate(request, AbortSignal.timeout(5000), (one) => events.push(one))), {
    code: "HOST_LOADING",
  });
  await settle();
  const sent = textOf(events, "sent");
  assert.match(sent, /^POST \/v1\/completions HTTP\/1\.1\r\nauthorization: \*{8}\r\n/);
  // Before it, the connection carried the question for evidence, which is no part of the request.
  assert.ok(host.sent[0]!.replace("Bearer k", "********").endsWith(sent));
  assert.match(textOf(events, "received"), /^HTTP\/1\.1 503 /);
});

test("whoever starts a chat's answer gets its bytes beside its ids", async (context) => {
  const host = await startHost("Once upon a time.");
  context.after(() => host.close());
  const model = serveModel(modelOn([host]));
  const plan = planChat(model, { messages: [{ role: "user", content: "A story, please." }] }, "user");
  const [events, ids]: [ByteEvent[], number[][]] = [[], []];
  const signal = AbortSignal.timeout(5000);
  const onBytes = (one: ByteEvent): void => void events.push(one);
  for await (const delta of plan.start(0, { signal, onBytes, onWire: (one) => ids.push([...one.ids]) })) assert.ok(delta);
  const sent = textOf(events, "sent");
  assert.deepEqual((JSON.parse(sent.slice(sent.indexOf("\r\n\r\n"))) as { prompt: number[] }).prompt, ids[0]);
  assert.ok(!sent.includes("story"));
  assert.ok(events.every((one) => one.host === host.url));
});
