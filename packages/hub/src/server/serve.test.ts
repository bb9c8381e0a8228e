import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { jobSchema, modelSchema, workSchema, type Job, type State, type Work } from "../protocol.ts";
import {
  Asker,
  createAccounts,
  exampleJob,
  exampleManifest,
  needsPostgres,
  randomKey,
  startPostgres,
  startTestHub,
  temporaryDirectory,
} from "./hub.fixture.ts";
import { openPostgres } from "./postgres.ts";
import { startHub, type RunningHub } from "./serve.ts";

type Accounts = Awaited<ReturnType<typeof createAccounts>>;
const bytes = (text: string): Uint8Array => Buffer.from(`${text} ${randomKey()}`);

/** Publishes a model; its version. */
async function publish({ creator }: Accounts, name: string): Promise<string> {
  const head = await creator.upload(bytes("head"));
  const picture = await creator.upload(bytes("picture"));
  const answer = await creator.get("POST", `/v1/models/${name}/versions`, { manifest: exampleManifest(name, head, picture) });
  return answer["version"] as string;
}

/** Makes and submits a job. */
async function submit(user: Asker, version: string, enclaveKey: string): Promise<Job> {
  const input = await user.upload(bytes("input"));
  const job = await user.get("POST", "/v1/jobs", exampleJob(version, input, null, enclaveKey));
  return jobSchema.parse(await user.get("POST", `/v1/jobs/${String(job["id"])}/submit`, {}));
}

async function work(worker: Asker, keys: string[], wait = 0): Promise<Work | null> {
  const { status, json } = await worker.ask("POST", "/v1/tasks", { keys, attestation: null, callsOnly: false, wait });
  return status === 204 ? null : workSchema.parse(json);
}

async function claim(worker: Asker, keys: string[], wait = 0): Promise<Extract<Work, { kind: "job" }>> {
  const given = await work(worker, keys, wait);
  assert.ok(given?.kind === "job");
  return given;
}

for (const kind of ["embedded", "postgres"] as const) {
  describe(`a hub on the ${kind} database`, kind === "postgres" ? needsPostgres : {}, () => {
    const directory = temporaryDirectory();
    const server = { stop: async () => {} };
    let databaseUrl: string | undefined;
    let hub: RunningHub;
    let accounts: Accounts;
    let version: string;
    const lines: string[] = [];

    before(async () => {
      if (kind === "postgres") {
        const { url, stop } = await startPostgres();
        databaseUrl = url;
        server.stop = stop;
      }
      hub = await startTestHub(directory.path, { ...(databaseUrl ? { databaseUrl } : {}), log: (line) => lines.push(line) });
      accounts = await createAccounts(hub);
      version = await publish(accounts, "x-ray");
    });
    after(async () => {
      await hub.close();
      await server.stop();
      directory.remove();
    });

    test("a job goes from party to party, and each sees its change at once", async () => {
      const { user, enclave, creator } = accounts;
      const key = randomKey();
      const waiting = claim(enclave, [key], 20);
      const input = await user.upload(bytes("input"));
      const keys = await user.upload(bytes("keys"));
      const request = exampleJob(version, input, keys, key);
      const { id } = jobSchema.parse(await user.get("POST", "/v1/jobs", request));
      await user.get("POST", `/v1/jobs/${id}/submit`, {});
      const started = performance.now();
      const evaluation = await waiting;
      assert.equal(evaluation.job.idempotencyKey, request.idempotencyKey);
      assert.equal(evaluation.job.model, "x-ray");
      assert.equal((await enclave.raw("GET", `/v1/blobs/${input}`)).status, 200);

      const evaluated = user.get("GET", `/v1/jobs/${id}?after=evaluating&wait=20`);
      await enclave.get("POST", `/v1/tasks/${id}/renew`, { lease: evaluation.lease });
      const encrypted = await enclave.upload(bytes("encrypted"));
      await enclave.get("POST", `/v1/tasks/${id}/done`, { lease: evaluation.lease, blob: encrypted });
      assert.equal((await evaluated)["state"], "evaluated");
      assert.equal((await evaluated)["encrypted"], encrypted);

      const answering = claim(creator, [], 20);
      const features = await user.upload(bytes("features"));
      await user.get("POST", `/v1/jobs/${id}/features`, { features });
      const { lease } = await answering;
      const answer = await creator.upload(bytes("answer"));
      await creator.get("POST", `/v1/tasks/${id}/done`, { lease, blob: answer });
      const job = jobSchema.parse(await user.get("GET", `/v1/jobs/${id}?after=answered&wait=20`));
      assert.ok(performance.now() - started < 15_000, "no wait ran to its end");
      assert.equal(job.answer, answer);
      assert.deepEqual(
        job.transitions.map(({ state, by }) => `${by} ${state}`),
        [
          "user uploading",
          "user queued",
          "enclave evaluating",
          "enclave evaluated",
          "user featured",
          "creator answering",
          "creator answered",
        ],
      );
    });

    test("every request may come again", async () => {
      const { user, enclave } = accounts;
      const key = randomKey();
      const input = await user.upload(bytes("input"));
      const request = exampleJob(version, input, null, key);
      const first = await user.ask("POST", "/v1/jobs", request);
      const again = await user.ask("POST", "/v1/jobs", Object.fromEntries(Object.entries(request).toReversed()));
      assert.deepEqual([first.status, again.status], [201, 200]);
      assert.deepEqual(again.json, first.json);
      const other = await user.ask("POST", "/v1/jobs", { ...request, budget: 1 });
      assert.deepEqual([other.status, other.json.error?.code], [409, "CONFLICT"]);

      const path = `/v1/jobs/${String(first.json["id"])}`;
      for (const state of ["queued", "queued"]) assert.equal((await user.get("POST", `${path}/submit`, {}))["state"], state);
      const { lease, job } = await claim(enclave, [key]);
      assert.equal(await work(enclave, [key]), null);
      const blob = await enclave.upload(bytes("encrypted"));
      for (let time = 0; time < 2; time++) await enclave.get("POST", `/v1/tasks/${job.id}/done`, { lease, blob });
      assert.equal((await enclave.ask("POST", `/v1/tasks/${job.id}/done`, { lease, blob: input })).status, 409);
      assert.equal((await enclave.ask("POST", `/v1/tasks/${job.id}/renew`, { lease })).status, 409);
      const features = await user.upload(bytes("features"));
      for (let time = 0; time < 2; time++) assert.equal((await user.get("POST", `${path}/features`, { features }))["state"], "featured");
      assert.equal((await user.ask("POST", `${path}/features`, { features: input })).status, 409);
      // The enclave's request once more, although the job has moved on.
      await enclave.get("POST", `/v1/tasks/${job.id}/done`, { lease, blob });
      for (let time = 0; time < 2; time++) assert.equal((await user.get("POST", `${path}/cancel`, {}))["state"], "cancelled");
      const transitions = (await user.get("GET", path))["transitions"] as { state: State }[];
      assert.deepEqual(
        transitions.map(({ state }) => state),
        ["uploading", "queued", "evaluating", "evaluated", "featured", "cancelled"],
      );
    });

    test("a worker's failure is final, or another attempt follows, three times at most", async () => {
      const { user, enclave } = accounts;
      const key = randomKey();
      const { id } = await submit(user, version, key);
      const failure = { code: "EVALUATION_FAILED", message: "no\nmemory", again: true };
      const ends = [];
      for (let attempt = 1; attempt <= 3; attempt++) {
        const { lease, job } = await claim(enclave, [key]);
        assert.equal(job.attempts, attempt);
        ends.push((await enclave.get("POST", `/v1/tasks/${id}/fail`, { ...failure, lease }))["state"]);
        assert.equal((await enclave.ask("POST", `/v1/tasks/${id}/fail`, { ...failure, lease })).status, 200, "repeated");
      }
      assert.deepEqual(ends, ["queued", "queued", "failed"]);
      const job = jobSchema.parse(await user.get("GET", `/v1/jobs/${id}`));
      assert.deepEqual(job.failure, { code: "EVALUATION_FAILED", message: "no memory" });

      const second = await submit(user, version, key);
      const { lease } = await claim(enclave, [key]);
      await enclave.get("POST", `/v1/tasks/${second.id}/fail`, { lease, code: "CUT_UNAVAILABLE", message: "no", again: false });
      assert.equal((await user.get("GET", `/v1/jobs/${second.id}`))["state"], "failed");
    });

    test("a worker that hung up gets no job", async () => {
      const { user, enclave, otherEnclave } = accounts;
      const key = randomKey();
      const controller = new AbortController();
      const gone = enclave.raw("POST", "/v1/tasks", {
        body: JSON.stringify({ keys: [key], wait: 20 }),
        headers: { "content-type": "application/json" },
        signal: controller.signal,
      });
      // The hub lists the key when the request has come.
      for (let seen = false; !seen; await sleep(20))
        seen = ((await user.get("GET", "/v1/enclaves"))["enclaves"] as { key: string }[]).some((entry) => entry.key === key);
      const ended = async (): Promise<string | undefined> =>
        /route="\/v1\/tasks",status="204"\} (\d+)/.exec(await (await user.raw("GET", "/metrics")).text())?.[1];
      const before = await ended();
      controller.abort();
      await assert.rejects(gone);
      while ((await ended()) === before) await sleep(20);
      const { id } = await submit(user, version, key);
      const { job } = await claim(otherEnclave, [key], 20);
      assert.deepEqual([job.id, job.attempts], [id, 1]);
      assert.equal((await enclave.ask("GET", `/v1/jobs/${id}`)).status, 404);
    });

    test("publishing is idempotent, and a name is its creator's", async () => {
      const { creator, otherCreator, user, nobody } = accounts;
      const head = await creator.upload(bytes("head"));
      const manifest = exampleManifest("published", head, null);
      const first = await creator.ask("POST", "/v1/models/published/versions", { manifest });
      const again = await creator.ask("POST", "/v1/models/published/versions", { manifest });
      assert.deepEqual([first.status, again.status, again.json], [201, 200, first.json]);
      const stolen = exampleManifest("published", await otherCreator.upload(bytes("head")), null);
      assert.equal((await otherCreator.ask("POST", "/v1/models/published/versions", { manifest: stolen })).status, 409);
      assert.equal((await user.ask("POST", "/v1/models/published/versions", { manifest })).status, 403);
      assert.equal((await creator.ask("POST", "/v1/models/other-name/versions", { manifest })).status, 400);
      // A hash that the creator knows but never uploaded.
      const foreign = await user.upload(bytes("a user's"));
      const borrowed = await creator.ask("POST", "/v1/models/published/versions", {
        manifest: exampleManifest("published", foreign, null),
      });
      assert.deepEqual([borrowed.status, borrowed.json.error?.code], [400, "REQUEST_INVALID"]);
      const second = await creator.get("POST", "/v1/models/published/versions", { manifest: { ...manifest, card: "better" } });
      const model = modelSchema.parse(await nobody.get("GET", "/v1/models/published"));
      assert.deepEqual(
        model.versions.map((entry) => entry.version),
        [second["version"], first.json["version"]],
      );
      const shown = await nobody.get("GET", `/v1/models/published/versions/${String(first.json["version"])}`);
      assert.deepEqual(shown["manifest"], manifest);
      assert.equal((await nobody.ask("GET", `/v1/models/x-ray/versions/${String(first.json["version"])}`)).status, 404);
    });

    test("a call reaches the worker that it is for, and its answer comes back", async () => {
      const { user, enclave, otherEnclave, creator } = accounts;
      const [key, otherKey] = [randomKey(), randomKey()];
      const asking = user.ask("POST", "/v1/calls", { to: { kind: "enclave", key }, method: "evidence", body: { nonce: ["x"] } });
      const missed = work(otherEnclave, [otherKey], 0.2);
      const call = await work(enclave, [key], 20);
      assert.equal(await missed, null);
      assert.ok(call?.kind === "call");
      assert.deepEqual([call.method, call.body], ["evidence", { nonce: ["x"] }]);
      const answer = { body: { quote: 1 }, error: null };
      assert.equal((await otherEnclave.ask("POST", `/v1/calls/${call.id}/answer`, answer)).status, 404);
      assert.equal((await enclave.ask("POST", `/v1/calls/${call.id}/answer`, answer)).status, 204);
      assert.deepEqual((await asking).json, { body: { quote: 1 } });
      assert.equal((await enclave.ask("POST", `/v1/calls/${call.id}/answer`, answer)).status, 404);

      const refused = enclave.ask("POST", "/v1/calls", { to: { kind: "creator", version }, method: "release", body: {} });
      const release = await work(creator, [], 20);
      assert.ok(release?.kind === "call");
      await creator.ask("POST", `/v1/calls/${release.id}/answer`, {
        body: null,
        error: { code: "ATTESTATION_DEBUG", message: "not to you" },
      });
      const { status, json } = await refused;
      assert.deepEqual([status, json.error], [422, { code: "ATTESTATION_DEBUG", message: "not to you", hint: null }]);

      const enclaves = (await user.get("GET", "/v1/enclaves"))["enclaves"] as { key: string }[];
      assert.ok(enclaves.some((entry) => entry.key === key));
    });

    test("the administrator's key makes accounts and is its owner's alone", async () => {
      assert.equal(statSync(hub.adminKeyFile).mode & 0o777, 0o600);
      const { admin, user, nobody, creatorName } = accounts;
      const account = { name: creatorName, role: "user" };
      assert.equal((await admin.ask("POST", "/v1/accounts", account)).status, 409);
      assert.equal((await user.ask("POST", "/v1/accounts", account)).status, 403);
      assert.equal((await nobody.ask("POST", "/v1/accounts", account)).status, 401);
      for (const name of ["", "../x", "A", "-a", "a".repeat(65), "a\n"])
        assert.equal((await admin.ask("POST", "/v1/accounts", { name, role: "user" })).status, 400);
    });

    test("health, metrics and log lines say how much and nothing else", async () => {
      const { nobody, user } = accounts;
      assert.equal((await nobody.ask("GET", "/health")).status, 200);
      const metrics = await (await nobody.raw("GET", "/metrics")).text();
      assert.match(metrics, /unseen_hub_jobs\{state="answered"\} 1\n/);
      const all = `${metrics}\n${lines.join("\n")}`;
      assert.match(all, /POST \/v1\/jobs\/:id\/submit 200 \d+ ms/);
      assert.ok(!all.includes("job_") && !all.includes("x-ray") && !all.includes(user.key as string) && !/[0-9a-f]{64}/.test(all));
    });

    if (kind === "postgres")
      test("connections that the server ends are made anew", async () => {
        const { user, nobody } = accounts;
        const database = await openPostgres(databaseUrl as string, () => {});
        for (let time = 0; time < 3; time++) {
          const asked = Array.from({ length: 10 }, () => user.ask("GET", "/v1/models"));
          await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()");
          for (const { status, json } of await Promise.all(asked))
            assert.ok(status === 200 || (status === 503 && json.error?.code === "OVERLOADED"), `${status} ${json.error?.code}`);
        }
        await database.close();
        assert.equal((await user.ask("GET", "/v1/models")).status, 200);
        assert.equal((await nobody.ask("GET", "/health")).status, 200);
      });

    if (kind === "postgres")
      test("two hubs on one server give each job to one worker, and see each other's changes", async () => {
        const second = await startTestHub(directory.path, { databaseUrl: databaseUrl as string });
        try {
          const { user, enclave, otherEnclave } = accounts;
          const key = randomKey();
          const jobs = await Promise.all(Array.from({ length: 6 }, () => submit(user, version, key)));
          const workers = [enclave, otherEnclave, new Asker(second.url, enclave.key), new Asker(second.url, otherEnclave.key)];
          const given = await Promise.all(workers.flatMap((worker) => [work(worker, [key]), work(worker, [key])]));
          const claimed = given.flatMap((each) => (each?.kind === "job" ? [each.job.id] : []));
          // A look that met only locked rows found nothing; the next one does.
          for (let more = await work(enclave, [key]); more?.kind === "job"; more = await work(enclave, [key])) claimed.push(more.job.id);
          assert.deepEqual(claimed.toSorted(), jobs.map(({ id }) => id).toSorted());
          const there = new Asker(second.url, user.key);
          const seen = there.get("GET", `/v1/jobs/${jobs[0]!.id}?after=evaluating&wait=20`);
          await sleep(50);
          await user.get("POST", `/v1/jobs/${jobs[0]!.id}/cancel`, {});
          assert.equal((await seen)["state"], "cancelled");
          const port = Number(new URL(second.url).port);
          const options = { dataDirectory: directory.path, databaseUrl, hostname: "127.0.0.1", log: () => {} };
          await assert.rejects(startHub({ ...options, port }), { code: "PORT_IN_USE" });
          await assert.rejects(startHub({ ...options, port: 0, databaseUrl: "mysql://x" }), { code: "USAGE" });
          // A hub that closes answers who waits.
          const waiting = there.get("GET", `/v1/jobs/${jobs[1]!.id}?after=evaluating&wait=20`);
          await sleep(100);
          const started = performance.now();
          await second.close();
          assert.equal((await waiting)["state"], "evaluating");
          assert.ok(performance.now() - started < 15_000);
          for (const { id } of jobs) await user.get("POST", `/v1/jobs/${id}/cancel`, {});
        } finally {
          await second.close();
        }
      });
  });
}
