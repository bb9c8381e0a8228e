import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import type { GenerateRequest, GeneratedChunk } from "./engine.ts";
import { VllmEngine } from "./vllm.ts";

const request: GenerateRequest = {
  prompt: [5],
  maximumTokens: 10,
  temperature: 0,
  topP: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  stopTokenIds: [2],
  cacheSalt: "salt",
};
const LAST = 'data: {"choices":[{"token_ids":[7],"finish_reason":"stop"}]}\n\n';

async function serve(context: TestContext, listener: RequestListener): Promise<{ url: string; connections: () => number }> {
  const server = createServer(listener);
  let connections = 0;
  server.on("connection", () => (connections += 1));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections };
}

async function ask(url: string, options: { apiKey?: string; silence?: number } = {}): Promise<GeneratedChunk[]> {
  return Array.fromAsync(new VllmEngine({ url, ...options }).generate(request, AbortSignal.timeout(10_000)));
}

const code = (expected: string) => (error: { code?: string; message: string }) =>
  error.code === expected || assert.fail(`${error.code}: ${error.message}`);

test("a host learns the key, the kind of the body, and nothing of what sends it", async (context) => {
  let seen: IncomingHttpHeaders = {};
  const { url } = await serve(context, (incoming, response) => {
    seen = incoming.headers;
    incoming.resume().on("end", () => response.end(LAST));
  });
  await ask(url, { apiKey: "k" });
  assert.deepEqual(Object.keys(seen).toSorted(), ["authorization", "connection", "content-length", "content-type", "host"]);
});

test("an answer that ends well leaves its connection for the next one", async (context) => {
  const { url, connections } = await serve(context, (incoming, response) => {
    incoming.resume().on("end", () => {
      response.write(LAST);
      setTimeout(() => response.end("data: [DONE]\n\n"), 5);
    });
  });
  const engine = new VllmEngine({ url });
  for (let round = 0; round < 3; round += 1) {
    assert.equal((await Array.fromAsync(engine.generate(request, AbortSignal.timeout(5_000)))).length, 1);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  assert.equal(connections(), 1);
});

test("a host that goes on after the end of its answer loses the connection", async (context) => {
  const closed = Promise.withResolvers<void>();
  const { url } = await serve(context, (incoming, response) => {
    incoming.resume().on("end", () => {
      response.write(LAST);
      const flood = setInterval(() => response.write("x".repeat(20_000)), 1);
      response.on("close", () => {
        clearInterval(flood);
        closed.resolve();
      });
    });
  });
  assert.equal((await ask(url)).length, 1);
  await closed.promise;
});

test("a redirect is refused: neither prompt nor key goes to another address", async (context) => {
  let visitors = 0;
  const other = await serve(context, (_, response) => {
    visitors += 1;
    response.end(LAST);
  });
  const { url } = await serve(context, (incoming, response) => {
    incoming.resume().on("end", () => response.writeHead(307, { location: `${other.url}${incoming.url}` }).end());
  });
  await assert.rejects(ask(url, { apiKey: "k" }), code("HOST_REFUSED"));
  await assert.rejects(new VllmEngine({ url, apiKey: "k" }).probe(), code("HOST_REFUSED"));
  assert.equal(visitors, 0);
});

test("a compressed answer is not inflated", async (context) => {
  const { url } = await serve(context, (incoming, response) => {
    incoming.resume().on("end", () => response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(LAST)));
  });
  await assert.rejects(ask(url), code("HOST_PROTOCOL"));
});

for (const [name, piece] of [
  ["comments", `: ${"x".repeat(1000)}\n\n`],
  ["events without tokens", 'data: {"choices":[]}\n\n'],
] as const) {
  test(`endless ${name} are HOST_PROTOCOL`, async (context) => {
    const { url } = await serve(context, (incoming, response) => {
      const flood = setInterval(() => response.write(piece.repeat(200)), 1);
      response.on("close", () => clearInterval(flood));
      incoming.resume();
    });
    await assert.rejects(ask(url), code("HOST_PROTOCOL"));
  });
}

test("what does not speak HTTP is HOST_PROTOCOL, and headers without end are cut off", async (context) => {
  for (const answer of ["SSH-2.0-OpenSSH_9.6\r\n", `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(20_000)}`]) {
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.write(answer);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    context.after(() => server.close());
    await assert.rejects(ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { silence: 2_000 }), code("HOST_PROTOCOL"));
  }
});

test("an address that is none is HOST_UNREACHABLE; one with a password in it is refused without repeating it", async () => {
  for (const url of ["nonsense", "ftp://127.0.0.1/"]) await assert.rejects(new VllmEngine({ url }).probe(), code("HOST_UNREACHABLE"));
  assert.throws(
    () => new VllmEngine({ url: "http://user:hunter2@127.0.0.1" }),
    (error: { code?: string; message: string }) => error.code === "USAGE" && !error.message.includes("hunter2"),
  );
});
