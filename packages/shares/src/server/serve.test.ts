import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { createConnection } from "node:net";
import { after, test } from "node:test";
import type { Worker } from "node:worker_threads";
import fc from "fast-check";
import type { CallFrame, Frame } from "../frames.ts";
import { encodeFrame } from "../frames.ts";
import { layoutDigest } from "../layout.ts";
import { maskRows } from "../ring/shares.ts";
import { startShareServer } from "./serve.ts";
import { HandClient, productsOf, testLayout, testShares, writeDirectory } from "./share-server.fixture.ts";

const layout = testLayout(2);
const directory = writeDirectory(layout);
const seed = new Uint8Array(32).fill(9);
const lines: string[] = [];
// 4 rows of the first group at one go.
const slice = 4 * 37 * 50;
const server = await startShareServer({ directory, port: 0, kernel: "wasm", limits: { slice }, log: (line) => lines.push(line) });
after(() => server.close());

async function withClient<T>(use: (client: HandClient) => Promise<T>, role: "A" | "B" = "A", url = server.url): Promise<T> {
  const client = new HandClient(url, role);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

const call = (group: number, rows: number, input: CallFrame["input"], type: CallFrame["type"] = "multiply", number = 1): CallFrame => ({
  type,
  call: number,
  group,
  rows,
  input,
});

function assertAnswer(frame: Frame | null, asked: CallFrame, rows: Uint32Array): void {
  assert.ok(frame && "numbers" in frame, `products, got ${frame?.type}`);
  assert.equal(frame.type, asked.type === "audit" ? "exact" : "products");
  assert.equal(frame.call, asked.call);
  const expected = productsOf(layout, asked.group, rows, asked.rows);
  assert.deepEqual(
    [...frame.numbers].map(BigInt),
    asked.type === "audit" ? expected : expected.map((product) => BigInt.asUintN(32, product)),
  );
}

test("server A multiplies the shares that it gets, and answers in the order of the calls", async () => {
  await withClient(async (client) => {
    client.hello(layout);
    assert.deepEqual(await client.next(), { type: "ready", version: 1, rows: 512 });
    // 11 rows are multiplied in three goes.
    const calls = [1, 11, 2, 11].map((count, i) => {
      const group = i % 2 === 0 ? 1 : 0;
      const shares = testShares(count * layout.groups[group]!.in);
      return { shares, frame: call(group, count, { shares }, i === 3 ? "audit" : "multiply", 100 + i) };
    });
    client.send(...calls.map(({ frame }) => frame));
    for (const { frame, shares } of calls) assertAnswer(await client.next(), frame, shares);
    client.stream.end();
    assert.equal(await client.next(), null);
  });
});

test("server B derives its shares from seed and counter, and gets no numbers", async () => {
  await withClient(async (client) => {
    client.hello(layout, seed);
    await client.next();
    for (const [counter, type] of [
      [0n, "multiply"],
      [2n ** 64n - 1n, "audit"],
    ] as const) {
      const frame = call(0, 9, { counter }, type);
      assert.equal(encodeFrame(frame).length, 28);
      client.send(frame);
      assertAnswer(await client.next(), frame, maskRows(seed, counter, 9 * 37));
    }
  }, "B");
});

test("what breaks the protocol is told by its code, and ends the session and nothing else", async () => {
  const digest = layoutDigest(layout);
  const good: Frame = { type: "hello", version: 1, role: "A", digest, seed: new Uint8Array(32) };
  const shares = testShares(37);
  const other = encodeFrame({ ...good, version: 2 });
  const cases: [string, (Frame | Uint8Array)[]][] = [
    ["malformed", [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)]],
    ["malformed", [call(0, 1, { shares })]],
    ["version", [other]],
    ["model", [{ ...good, digest: digest.map((byte) => byte ^ 1) }]],
    ["malformed", [good, good]],
    ["malformed", [good, { type: "products", call: 1, numbers: new Uint32Array(2) }]],
    ["group", [good, call(2, 1, { shares })]],
    ["rows", [good, call(0, 2, { shares })]],
    ["rows", [good, call(0, 0, { shares: new Uint32Array(0) })]],
    ["rows", [good, call(1, 513, { shares: new Uint32Array(513 * 16) })]],
    // Longer than any call of this model.
    ["malformed", [good, call(0, 600, { shares: new Uint32Array(600 * 37) })]],
    // The end of the stream within a frame.
    ["malformed", [good, call(0, 1, { shares }), encodeFrame(call(0, 1, { shares })).subarray(0, 30)]],
  ];
  for (const [code, frames] of cases) {
    await withClient(async (client) => {
      client.send(...frames);
      if (frames.length === 3) client.stream.end();
      const answers: Frame[] = [];
      for (let frame = await client.next(); frame; frame = await client.next()) answers.push(frame);
      const last = answers.at(-1);
      assert.equal(last?.type === "failure" ? last.code : last?.type, code, `${code}: ${frames.length} frames`);
    });
  }
  await withClient(async (client) => {
    client.hello(layout, seed);
    await client.next();
    client.send(call(0, 2 ** 31, { counter: 1n }));
    assert.partialDeepStrictEqual(await client.next(), { type: "failure", code: "rows", call: 1 });
    assert.equal(await client.next(), null);
  }, "B");
});

test("whatever bytes come, the session ends in order and the server goes on", async () => {
  const hello = encodeFrame({ type: "hello", version: 1, role: "A", digest: layoutDigest(layout), seed: new Uint8Array(32) });
  const valid = encodeFrame(call(1, 1, { shares: testShares(16) }));
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, byte]) => {
          const bytes = valid.slice();
          bytes[at] = byte;
          return bytes;
        }),
      ),
      (greets, bytes) =>
        withClient(async (client) => {
          client.send(...(greets ? [hello, bytes] : [bytes]));
          client.stream.end();
          const types: string[] = [];
          for (let frame = await client.next(); frame; frame = await client.next()) types.push(frame.type);
          assert.match(types.join(" "), /^(?:ready ?)?(?:(?:products|exact) ?)?(?:failure)?$/);
        }),
    ),
    { numRuns: 60 },
  );
  await withClient(async (client) => {
    client.hello(layout);
    assert.equal((await client.next())?.type, "ready");
  });
  // Not even HTTP/2.
  const socket = createConnection(Number(new URL(server.url).port), "127.0.0.1").on("error", () => {});
  socket.end("GET / HTTP/1.1\r\n\r\n");
  socket.resume();
  await once(socket, "close");
});

test("health and layout are there, and nothing else", async () => {
  const get = async (path: string, method = "GET"): Promise<[number, unknown]> => {
    const connection = connect(server.url);
    try {
      const stream = connection.request({ ":path": path, ":method": method });
      const [headers] = (await once(stream, "response")) as [Record<string, number>];
      const text = Buffer.concat(await stream.toArray()).toString();
      return [headers[":status"]!, JSON.parse(text)];
    } finally {
      connection.destroy();
    }
  };
  assert.deepEqual(await get("/health"), [200, { status: "ok", version: 1 }]);
  assert.deepEqual(await get("/v1/layout"), [200, layout]);
  assert.equal((await get("/v1/shares"))[0], 405);
  assert.equal((await get("/weights.safetensors"))[0], 404);
  assert.equal((await get("/health", "DELETE"))[0], 404);
});

test("peers that stall are cut off", async () => {
  let stalled = 0;
  const fifth = Promise.withResolvers<void>();
  const log = (line: string): void => {
    if (line.includes("ended: stalled")) stalled += 1;
    if (stalled === 5) fifth.resolve();
  };
  const limits = { hello: 100, frame: 100, taken: 100, idle: 100, sessions: 1 };
  const short = await startShareServer({ directory, port: 0, kernel: "wasm", limits, log });
  try {
    const hello = encodeFrame({ type: "hello", version: 1, role: "A", digest: layoutDigest(layout), seed: new Uint8Array(32) });
    // No HELLO; half a HELLO; no call; half a call.
    const starts = [[], [hello.subarray(0, 20)], [hello], [hello, encodeFrame(call(1, 1, { shares: testShares(16) })).subarray(0, 40)]];
    for (const frames of starts)
      await withClient(
        async (client) => {
          client.send(...frames);
          for (let frame = await client.next(); frame; frame = await client.next()) assert.equal(frame.type, "ready");
        },
        "A",
        short.url,
      );
    // Results that nobody takes: more than the client's window.
    await withClient(
      async (client) => {
        client.hello(layout);
        await client.next();
        for (let i = 0; i < 4; i += 1) client.send(call(1, 512, { shares: testShares(512 * 16) }));
        await fifth.promise;
      },
      "A",
      short.url,
    );
  } finally {
    await short.close();
  }
});

test("sessions beyond the limit are turned away", async () => {
  const one = await startShareServer({ directory, port: 0, kernel: "wasm", limits: { sessions: 1 } });
  try {
    await withClient(
      async (first) => {
        first.hello(layout);
        await first.next();
        await withClient(
          async (second) => {
            second.hello(layout);
            assert.partialDeepStrictEqual(await second.next(), { type: "failure", code: "overloaded" });
          },
          "A",
          one.url,
        );
      },
      "A",
      one.url,
    );
  } finally {
    await one.close();
  }
});

test("a multiplying thread that ends fails its calls; the next call has another", async () => {
  const threads: Worker[] = [];
  const remember = (worker: Worker): void => void threads.push(worker);
  process.on("worker", remember);
  const own = await startShareServer({ directory, port: 0, kernel: "wasm" });
  try {
    await threads[0]!.terminate();
    const shares = testShares(16);
    const frame = call(1, 1, { shares });
    await withClient(
      async (client) => {
        client.hello(layout);
        await client.next();
        client.send(frame);
        assertAnswer(await client.next(), frame, shares);
        client.send(call(1, 512, { shares: testShares(512 * 16) }));
        assert.equal(threads.length, 2);
        await threads[1]!.terminate();
        const answer = await client.next();
        assert.ok(answer?.type === "products" || (answer?.type === "failure" && answer.code === "internal"));
      },
      "A",
      own.url,
    );
  } finally {
    process.off("worker", remember);
    await own.close();
  }
});

test("a port that is taken and a certificate that is none are told before anything is loaded", async () => {
  const port = Number(new URL(server.url).port);
  await assert.rejects(startShareServer({ directory, port }), { code: "PORT_IN_USE" });
  await assert.rejects(startShareServer({ directory, port: 0, tls: { cert: "none", key: "none" } }), { code: "USAGE" });
});

test("directories that contradict themselves are refused", async () => {
  const tensor = "o.1";
  type Header = Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>;
  const cases: [string, Parameters<typeof writeDirectory>[1]][] = [
    ["CHECKPOINT_TRUNCATED", (_header, data) => data.subarray(0, -1)],
    ["CHECKPOINT_DTYPE_UNSUPPORTED", (header) => void ((header as Header)[tensor]!.dtype = "U8")],
    ["CHECKPOINT_WRONG_SHAPE", (header) => void ((header as Header)[tensor]!.shape = [16, 33])],
    [
      "CHECKPOINT_MISSING_TENSOR",
      (header) => {
        header["elsewhere"] = header[tensor];
        delete header[tensor];
      },
    ],
    ["BUNDLE_MISMATCH", (header) => void (header["__metadata__"] = { fingerprint: "another" })],
    [
      "CHECKPOINT_MALFORMED",
      (header, data) => {
        header["more"] = { dtype: "I8", shape: [1, 1], data_offsets: [data.length, data.length + 1] };
        return Buffer.concat([data, Buffer.alloc(1)]);
      },
    ],
  ];
  for (const [code, change] of cases)
    await assert.rejects(startShareServer({ directory: writeDirectory(layout, change), port: 0 }), { code }, code);
  await assert.rejects(startShareServer({ directory: "/nowhere", port: 0 }), { code: "CHECKPOINT_NOT_FOUND" });
});

test("the log tells of sessions, and nothing of what they held", () => {
  assert.ok(lines.length > 10);
  for (const line of lines)
    assert.match(
      line,
      /^(?:weights loaded kernel=wasm|listening url=\S+ groups=2 rows=512|session \d+ opened|session \d+ ended: [a-z]+ role=(?:A|B|none) calls=\d+ rows=\d+)$/,
    );
});
