import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ask, difference, metric, outputs, tensor, whileStopped } from "../encoder-client.fixture.ts";
import { until } from "../host-client.fixture.ts";
import { startHost, type Host, type HostOptions } from "../serve.ts";
import { SLOW_WIDTH, writeSlowModel, writeTinyEncoder } from "../tiny-onnx.fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-encoder-lifecycle-"));
const slow = join(directory, "slow.onnx");
const quick = join(directory, "quick.onnx");
before(() => {
  writeSlowModel(slow);
  writeTinyEncoder(quick, { output: "tokens", encrypted: {} });
});
after(() => rmSync(directory, { recursive: true }));

async function withHost(options: Partial<HostOptions>, use: (host: Host) => Promise<void>): Promise<void> {
  const host = await startHost({ model: slow, port: 0, plain: true, ...options });
  try {
    await use(host);
  } finally {
    await host.close(0);
  }
}

const rows = (...seeds: number[]): { tensors: object } => {
  const values = Float32Array.from({ length: seeds.length * SLOW_WIDTH }, (_, index) =>
    Math.sin(seeds[Math.floor(index / SLOW_WIDTH)]! + index),
  );
  return { tensors: { input: tensor("float32", [seeds.length, SLOW_WIDTH], values) } };
};
const running = (url: string): Promise<number> => metric(url, "num_requests_running");
const waiting = (url: string): Promise<number> => metric(url, "num_requests_waiting");

/** Resident memory, in MiB. */
function residentMemory(process_: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${process_}/status`, "utf8"))![1]) / 1024;
}

describe("an engine that is killed", () => {
  test("costs no answer: its rows run again, and nobody notices", async () => {
    const lines: string[] = [];
    await withHost({ log: (line) => lines.push(line) }, async (host) => {
      const [expected] = await outputs(host.url, rows(1));
      const answers = [1, 1, 1].map(() => outputs(host.url, rows(1)));
      await until(async () => (await running(host.url)) > 0);
      const engine = host.engineProcess!;
      process.kill(engine, "SIGKILL");
      for (const answer of answers) assert.ok(difference(expected!, (await answer)[0]!) < 1e-6);
      assert.notEqual(host.engineProcess, engine);
      assert.equal(await metric(host.url, "engine_restarts_total"), 1);
      assert.match(lines.join("\n"), /engine ended \(SIGKILL\)/);
    });
  });

  test("again and again by the same rows fails these rows, and the next ones are answered", async () => {
    await withHost({}, async (host) => {
      const whole = ask(host.url, "/classify", rows(1, 2));
      for (let kills = 0; kills < 2; kills++) {
        await until(
          async () =>
            host.engineProcess !== null && (await metric(host.url, "engine_restarts_total")) === kills && (await running(host.url)) > 0,
        );
        process.kill(host.engineProcess!, "SIGKILL");
      }
      const { status, error } = await whole;
      assert.deepEqual([status, error!.code, error!.type], [500, "ENGINE_CRASHED", "server_error"]);
      assert.equal((await outputs(host.url, rows(3))).length, 1);
      assert.equal((await fetch(`${host.url}/health`)).status, 200);
    });
  });
});

test("a full queue refuses with 429, all rows of a request or none", async () => {
  await withHost({ batchRows: 1, maximumQueue: 3 }, async (host) => {
    const { url } = host;
    const answers: Promise<unknown[]>[] = [];
    await whileStopped(host, async () => {
      answers.push(outputs(url, rows(1)));
      await until(async () => (await running(url)) === 1);
      answers.push(outputs(url, rows(2, 3)));
      await until(async () => (await waiting(url)) === 2);
      const { status, error } = await ask(url, "/classify", rows(4, 5));
      assert.deepEqual([status, error!.code, error!.type], [429, "OVERLOADED", "rate_limit_error"]);
      answers.push(outputs(url, rows(6)));
      await until(async () => (await waiting(url)) === 3);
    });
    assert.deepEqual((await Promise.all(answers)).map(({ length }) => length), [1, 2, 1]); // prettier-ignore
    const tooMany = await ask(url, "/classify", rows(1, 2, 3, 4, 5));
    assert.equal(tooMany.error!.code, "REQUEST_TOO_LARGE", "what could never run is not asked to try again");
  });
});

test("a client that goes away takes its waiting rows along", async () => {
  await withHost({ batchRows: 1 }, async (host) => {
    const { url } = host;
    let other: Promise<unknown[]> | null = null;
    await whileStopped(host, async () => {
      const controller = new AbortController();
      const gone = assert.rejects(ask(url, "/classify", rows(1, 2, 3, 4, 5, 6, 7, 8), { signal: controller.signal }));
      await until(async () => (await waiting(url)) === 7);
      other = outputs(url, rows(9));
      await until(async () => (await waiting(url)) === 8);
      controller.abort();
      await gone;
      await until(async () => (await waiting(url)) === 1);
    });
    assert.equal((await other!).length, 1);
    assert.equal(await metric(url, "batch_rows_sum"), 2, "rows were computed for nobody");
  });
});

test("closing lets running rows finish and takes nothing new", async () => {
  const host = await startHost({ model: slow, port: 0, plain: true });
  const answer = outputs(host.url, rows(1, 2));
  await until(async () => (await running(host.url)) > 0);
  const closed = host.close();
  await assert.rejects(ask(host.url, "/classify", rows(1)));
  assert.equal((await answer).length, 2);
  await closed;
});

test("closing waits no longer than its grace", async () => {
  const host = await startHost({ model: slow, port: 0, plain: true, batchRows: 1 });
  const answer = ask(host.url, "/classify", rows(1, 2, 3, 4, 5, 6));
  await until(async () => (await waiting(host.url)) > 0);
  await host.close(0);
  assert.equal((await answer).error!.code, "HOST_LOADING");
});

test("health answers 503 while the model loads", async () => {
  let early: Promise<[number, string]> | null = null;
  const onListening = (url: string): void => {
    early = (async () => [(await fetch(`${url}/health`)).status, (await ask(url, "/classify", rows(1))).error!.code])();
  };
  await withHost({ onListening }, async ({ url }) => {
    assert.deepEqual(await early!, [503, "HOST_LOADING"]);
    assert.equal((await fetch(`${url}/health`)).status, 200);
  });
});

test("the API key is asked for at every route", async () => {
  await withHost({ model: quick, apiKey: "secret" }, async ({ url }) => {
    for (const path of ["/classify", "/v1/embeddings", "/v1/rerank", "/v1/completions"] as const)
      assert.equal((await ask(url, path, { input: [1] })).status, 401);
    assert.equal((await ask(url, "/v1/embeddings", { input: [1] }, { headers: { authorization: "Bearer secret" } })).status, 200);
  });
});

test("thousands of rows leave the engine as small as hundreds did", async () => {
  await withHost({ model: quick, plain: false }, async (host) => {
    const input = Array.from({ length: 200 }, (_, index) => Array.from({ length: 1 + (index % 64) }, (_, token) => (index + token) % 64));
    const work = async (requests: number): Promise<void> => {
      for (let request = 0; request < requests; request++) assert.equal((await ask(host.url, "/v1/embeddings", { input })).status, 200);
    };
    await work(5);
    const before_ = residentMemory(host.engineProcess!);
    await work(25);
    const growth = residentMemory(host.engineProcess!) - before_;
    assert.ok(growth < 48, `the engine grew by ${growth.toFixed(0)} MiB`);
    assert.equal(await metric(host.url, "batch_rows_sum"), 6000);
  });
});
