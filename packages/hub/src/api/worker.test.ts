import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { RequestListener } from "node:http";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { after, afterEach, before, describe, test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import { exampleJob, exampleManifest, randomKey } from "../server/hub.fixture.ts";
import type { Job, State } from "../protocol.ts";
import { startHubWithAccounts, type HubWithAccounts } from "./accounts.fixture.ts";
import { blobName, downloadBlob, uploadBlob } from "./blobs.ts";
import { startFalseHub } from "./false-hub.fixture.ts";
import { HubClient } from "./hub-client.ts";
import { awaitJob, call, cancelJob, createJob, publishVersion, submitJob } from "./jobs.ts";
import { startWorker, type Party, type Worker } from "./worker.ts";

/** Of this test's enclaves, so that the hub gives a job to none of those that other tests closed. */
let key = randomKey();
const result = new TextEncoder().encode("a sealed result");
let lines: string[] = [];
let workers: Worker[] = [];

/** Starts an enclave's worker that does its jobs at once, but for what is changed. */
function start(hub: HubClient, changes: Partial<Party>, hands = 1): Worker {
  const party: Party = {
    title: "enclave",
    keys: [key],
    attestation: "simulator",
    retried: new Set(["OVERLOADED"]),
    perform: async () => result,
    answer: async () => ({}),
    ...changes,
  };
  const worker = startWorker(party, { hub, hands, log: (line) => lines.push(line) });
  workers.push(worker);
  return worker;
}

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  workers = [];
  lines = [];
  key = randomKey();
});

/** Settles when a signal is aborted, with its reason. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

describe("with a hub", () => {
  let hub: HubWithAccounts;
  let version: string;

  before(async () => {
    hub = await startHubWithAccounts({ leaseSeconds: 2, sweepSeconds: 0.2 });
    const manifest = exampleManifest("model", await uploadBlob(hub.creator, randomBytes(10)), null);
    version = await publishVersion(hub.creator, manifest);
  });
  after(() => hub.stop());

  const submit = async (): Promise<Job> => {
    const input = await uploadBlob(hub.user, randomBytes(100));
    const { id } = await createJob(hub.user, exampleJob(version, input, null, key));
    return submitJob(hub.user, id);
  };
  const until = async ({ id }: Job, ...wanted: State[]): Promise<Job> => {
    for (let job = await awaitJob(hub.user, id, "uploading"); ; job = await awaitJob(hub.user, id, job.state))
      if (wanted.includes(job.state)) return job;
  };

  test("a job's result goes to the hub, and the user may read it", async () => {
    start(hub.enclave, {});
    const job = await until(await submit(), "evaluated", "failed");
    assert.deepEqual(await downloadBlob(hub.user, job.encrypted!), result);
    assert.deepEqual(
      job.transitions.map(({ state }) => state),
      ["uploading", "queued", "evaluating", "evaluated"],
    );
  });

  test("a job that failed says so; of what is not ours, not a word", async () => {
    const refusal = new UnseenError("EVALUATION_TIMEOUT", "it takes too long", { hint: "Take an earlier cut." });
    for (const [error, code, message] of [
      [refusal, "EVALUATION_TIMEOUT", refusal.line],
      [new Error("pixel 7 is 255"), "INTERNAL", "a defect, or a machine that is out of memory or disk."],
    ] as const) {
      const worker = start(hub.enclave, { perform: () => Promise.reject(error) });
      const { state, failure, attempts } = await until(await submit(), "evaluated", "failed");
      assert.deepEqual({ state, failure, attempts }, { state: "failed", failure: { code, message }, attempts: 1 });
      await worker.close();
      key = randomKey();
    }
    assert.ok(lines.some((line) => line.includes("EVALUATION_TIMEOUT")));
    assert.doesNotMatch(lines.join(), /pixel/);
  });

  test("a code that is worth it gets another attempt, but not for ever", async () => {
    let attempts = 0;
    let good = 2;
    const perform = async (): Promise<Uint8Array> => {
      if (++attempts === good) return result;
      throw new UnseenError("OVERLOADED", "too much", {});
    };
    start(hub.enclave, { perform });
    const done = await until(await submit(), "evaluated", "failed");
    assert.deepEqual([done.state, done.attempts], ["evaluated", 2]);
    [attempts, good] = [0, Infinity];
    const failed = await until(await submit(), "evaluated", "failed");
    assert.deepEqual([failed.state, failed.failure?.code, attempts], ["failed", "OVERLOADED", 3]);
  });

  test("a job that is cancelled is stopped, and the next one is done", async () => {
    const begun = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<unknown>();
    let turn = 0;
    start(hub.enclave, {
      async perform(_job, signal) {
        if (turn++ > 0) return result;
        begun.resolve();
        return aborted(signal).catch((error: unknown) => {
          stopped.resolve(error);
          throw error;
        });
      },
    });
    const job = await submit();
    await begun.promise;
    await cancelJob(hub.user, job.id);
    assert.equal(((await stopped.promise) as UnseenError).code, "CONFLICT");
    assert.equal((await until(await submit(), "evaluated", "failed")).state, "evaluated");
    assert.equal((await until(job, "cancelled", "failed")).state, "cancelled");
  });

  test("a worker that is closed gives its job up, and another does it", async () => {
    const begun = Promise.withResolvers<AbortSignal>();
    const leaving = start(hub.enclave, {
      perform(_job, signal) {
        begun.resolve(signal);
        return aborted(signal);
      },
    });
    const job = await submit();
    const signal = await begun.promise;
    await leaving.close();
    assert.ok(signal.aborted);
    start(hub.enclave, {});
    const { state, attempts } = await until(job, "evaluated", "failed");
    assert.deepEqual({ state, attempts }, { state: "evaluated", attempts: 2 });
  });

  test("questions are answered while all hands are busy; a refusal arrives with its code", async () => {
    const begun = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<Uint8Array>();
    start(hub.enclave, {
      perform() {
        begun.resolve();
        return finish.promise;
      },
      async answer(method, body) {
        if ((body as { refuse?: boolean }).refuse) throw new UnseenError("ATTESTATION_UNAVAILABLE", "no hardware here", {});
        return { method, body };
      },
    });
    const job = await submit();
    await begun.promise;
    const ask = (body: object): Promise<unknown> => call(hub.user, { kind: "enclave", key }, "evidence", body, z.unknown());
    assert.deepEqual(await ask({ nonce: 1 }), { method: "evidence", body: { nonce: 1 } });
    await assert.rejects(ask({ refuse: true }), { code: "ATTESTATION_UNAVAILABLE" });
    finish.resolve(result);
    assert.equal((await until(job, "evaluated", "failed")).state, "evaluated");
  });

  // The last one: afterwards there is no hub.
  test("a hub that is stopped ends questions that wait, and the connections on which they would be asked again", async () => {
    const asked = hub.enclave.send("POST", "/v1/tasks", { body: { keys: [key], wait: 25 }, wait: 25 });
    const anything = z.object({}).loose();
    while (!JSON.stringify(await hub.user.json("GET", "/v1/enclaves", anything)).includes(key)) await sleep(10);
    await hub.stop();
    const { status, headers } = await asked;
    assert.deepEqual([status, headers.get("connection")], [204, "close"]);
  });
});

describe("a lease", () => {
  const job: Job = {
    ...exampleJob("0".repeat(64), "0".repeat(64), null, key),
    id: `job_${"0".repeat(32)}`,
    state: "evaluating",
    model: "model",
    encrypted: null,
    features: null,
    answer: null,
    attempts: 1,
    failure: null,
    created: new Date(0).toISOString(),
    transitions: [],
  };

  /** A hub with one job, under a lease of a tenth of a second; what was said to it. */
  function oneJob(renewal: (count: number) => number): {
    listener: RequestListener;
    said: [path: string, body: unknown][];
    askedAgain: Promise<void>;
  } {
    const said: [path: string, body: unknown][] = [];
    const askedAgain = Promise.withResolvers<void>();
    let renewals = 0;
    let given = false;
    const listener: RequestListener = (request, response) => {
      const path = request.url!.split("?")[0]!;
      if (request.method === "HEAD") return void response.writeHead(404).end();
      if (request.method === "PATCH") return void response.writeHead(204, { "upload-offset": result.length }).end();
      void json(request).then((body) => {
        if (path !== "/v1/tasks") said.push([path, body]);
        if (path.endsWith("/renew")) {
          const status = renewal(++renewals);
          response
            .writeHead(status)
            .end(JSON.stringify(status === 200 ? {} : { error: { code: "CONFLICT", message: "gone", hint: null } }));
        } else if (path !== "/v1/tasks") {
          response.end("{}");
        } else if (!(body as { callsOnly: boolean }).callsOnly) {
          // Every other question for work waits.
          if (given) askedAgain.resolve();
          else response.end(JSON.stringify({ kind: "job", job, lease: "lease", leaseSeconds: 0.1 }));
          given = true;
        }
      });
    };
    return { listener, said, askedAgain: askedAgain.promise };
  }

  test("is renewed as long as the work takes, and then no more", async () => {
    const enough = Promise.withResolvers<void>();
    const { listener, said, askedAgain } = oneJob((count) => {
      if (count === 5) enough.resolve();
      return 200;
    });
    const hub = await startFalseHub(listener);
    const worker = start(new HubClient(hub.url, null), { perform: () => enough.promise.then(() => result) });
    await askedAgain;
    const renewals = said.filter(([path]) => path.endsWith("/renew"));
    assert.ok(renewals.length >= 5);
    assert.deepEqual(renewals[0], [`/v1/tasks/${job.id}/renew`, { lease: "lease" }]);
    assert.deepEqual(
      said.filter(([path]) => !path.endsWith("/renew")),
      [[`/v1/tasks/${job.id}/done`, { lease: "lease", blob: blobName(result) }]],
    );
    const count = said.length;
    await sleep(150);
    assert.ok(said.length <= count + 1, "one may have been under way");
    await worker.close();
    await hub.stop();
  });

  test("that is lost stops the work, and nothing more is said of the job", async () => {
    const { listener, said, askedAgain } = oneJob((count) => (count < 3 ? 200 : 409));
    const hub = await startFalseHub(listener);
    const worker = start(new HubClient(hub.url, null), {
      perform: async (_job, signal) => {
        await aborted(signal).catch(() => {});
        return result; // a party that does not notice
      },
    });
    await askedAgain;
    await worker.close();
    assert.ok(said.every(([path]) => path.endsWith("/renew")));
    await hub.stop();
  });

  test("outlives a hub that is away for a while, in which the result waits", async () => {
    const { listener, said, askedAgain } = oneJob(() => 200);
    const first = await startFalseHub(listener);
    const finish = Promise.withResolvers<Uint8Array>();
    const begun = Promise.withResolvers<void>();
    start(new HubClient(first.url, null), {
      perform() {
        begun.resolve();
        return finish.promise;
      },
    });
    await begun.promise;
    await first.stop();
    finish.resolve(result);
    const second = await startFalseHub(listener, Number(new URL(first.url).port));
    await askedAgain;
    await Promise.all(workers.map((worker) => worker.close()));
    assert.deepEqual(
      said.map(([path]) => path).filter((path) => !path.endsWith("/renew")),
      [`/v1/tasks/${job.id}/done`],
    );
    await second.stop();
  });

  test("does not keep a worker that is closed while the hub is away", async () => {
    const { listener } = oneJob(() => 200);
    const hub = await startFalseHub(listener);
    const performed = Promise.withResolvers<void>();
    const worker = start(new HubClient(hub.url, null), {
      async perform() {
        await hub.stop();
        performed.resolve();
        return result;
      },
    });
    await performed.promise;
    const begun = performance.now();
    await worker.close();
    assert.ok(performance.now() - begun < 30_000, "not the minute of patience that a hub gets");
  });
});
