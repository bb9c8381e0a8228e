import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import fc from "fast-check";
import { finalStates, type Job, type State } from "../protocol.ts";
import type { Account } from "./accounts.ts";
import type { Database } from "./database.ts";
import { exampleJob, exampleManifest, needsPostgres, randomKey, sha256, startPostgres, temporaryDirectory } from "./hub.fixture.ts";
import { createHub, type Hub } from "./hub.ts";
import { sweepJobs } from "./job-expiry.ts";
import type { Actor } from "./job-states.ts";
import { migrate } from "./migrations.ts";
import { openPglite } from "./pglite.ts";
import { openPostgres } from "./postgres.ts";
import { defaultSettings } from "./settings.ts";

const user: Account = { name: "user", role: "user" };
const creator: Account = { name: "creator", role: "creator" };
const enclaves: readonly Account[] = [1, 2].map((number) => ({ name: `enclave-${number}`, role: "enclave" }));
const settings = { ...defaultSettings, openJobs: 1000, jobsPerDay: 100_000 };

const directory = temporaryDirectory();
let stopServer = async (): Promise<void> => {};
let databases: Database[] = [];
/** Two, on one database where a server is there: only then do transactions overlap. */
let hubs: Hub[] = [];
let version: string;

before(async () => {
  if (needsPostgres.skip) {
    databases = [await openPglite(directory.path)];
  } else {
    const { url, stop } = await startPostgres();
    stopServer = stop;
    databases = [await openPostgres(url, () => {}), await openPostgres(url, () => {})];
  }
  // At the same time, as two hubs that start together.
  await Promise.all(databases.map(migrate));
  hubs = [0, 1].map((index) => createHub(databases[index % databases.length] as Database, directory.path, settings, "unused"));
  for (const account of [user, creator, ...enclaves]) await hubs[0]!.accounts.create(account);
  version = (await hubs[0]!.catalogue.publish(exampleManifest("model", await own(creator), null), creator)).version;
});

after(async () => {
  for (const database of databases) await database.close();
  await stopServer();
  directory.remove();
});

/** A blob's rows; nobody reads its bytes here. */
async function own({ name }: Account): Promise<string> {
  const blob = sha256(Buffer.from(randomKey()));
  await databases[0]!.query("INSERT INTO blobs (sha256, length) VALUES ($1, 1)", [blob]);
  await databases[0]!.query("INSERT INTO blob_owners (sha256, owner) VALUES ($1, $2)", [blob, name]);
  return blob;
}

async function loseLease(hub: Hub, job: string): Promise<void> {
  await hub.database.query("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1 AND lease IS NOT NULL", [job]);
}

/** What a worker remembers of a job it was given. */
interface Held {
  readonly worker: Account;
  readonly job: string;
  readonly lease: string;
  readonly blob: string;
}

/** One run's jobs and workers. */
class Play {
  readonly key = randomKey();
  readonly jobs: string[] = [];
  readonly held: Held[] = [];
  /** Blobs that the hub took as the result of a job's step. */
  readonly accepted = new Map<string, Set<string>>();

  async begin(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const { job } = await hubs[index % 2]!.jobs.create(user, exampleJob(version, await own(user), null, this.key));
      this.jobs.push(job.id);
    }
  }

  async act(hub: Hub, kind: number, choice: number): Promise<void> {
    const job = this.jobs[choice % this.jobs.length] as string;
    const held = this.held[choice % (this.held.length || 1)];
    const { jobs } = hub;
    switch (kind) {
      case 0:
        await jobs.submit(user, job);
        return;
      case 1:
        return this.claim(hub, enclaves[choice % 2] as Account);
      case 2:
        return this.claim(hub, creator);
      case 3:
        if (held) await this.finish(hub, held);
        return;
      case 4:
        if (held)
          await hub.work.fail(held.worker, held.job, held.lease, { code: "EVALUATION_FAILED", message: "no", again: choice % 4 > 0 });
        return;
      case 5:
        await jobs.sendFeatures(user, job, await own(user));
        return;
      case 6:
        if (held) await hub.work.renew(held.worker, held.job, held.lease);
        return;
      case 7:
        // Workers die: nobody renews.
        await loseLease(hub, job);
        await sweepJobs(hub);
        return;
      default:
        if (choice % 5 === 0) await jobs.cancel(user, job);
    }
  }

  async claim(hub: Hub, worker: Account): Promise<void> {
    const work = await hub.work.claim(worker, worker.role === "enclave" ? [this.key] : []);
    if (work) this.held.push({ worker, job: work.job.id, lease: work.lease, blob: await own(worker) });
  }

  /** With a lease that may be old or used up, and as often as it likes. */
  async finish(hub: Hub, { worker, job, lease, blob }: Held): Promise<void> {
    await hub.work.finish(worker, job, lease, blob);
    const step = `${job} ${worker.role}`;
    this.accepted.set(step, (this.accepted.get(step) ?? new Set()).add(blob));
  }

  /** Everyone does their part until nothing is open. */
  async end(): Promise<Job[]> {
    const [hub] = hubs as [Hub];
    const read = (): Promise<Job[]> => Promise.all(this.jobs.map((id) => hub.jobs.read(user, id)));
    for (let round = 0; round < 60; round++) {
      const open = (await read()).filter(({ state }) => !finalStates.has(state));
      if (open.length === 0) break;
      for (const { id } of open) await loseLease(hub, id);
      await sweepJobs(hub);
      for (const { id, state } of open) {
        if (state === "uploading") await hub.jobs.submit(user, id);
        if (state === "evaluated") await hub.jobs.sendFeatures(user, id, await own(user));
      }
      for (const worker of [...enclaves, creator]) {
        await this.claim(hub, worker);
        await tolerate(async () => this.finish(hub, this.held.at(-1) ?? assert.fail("nothing was ever claimed")));
      }
    }
    return read();
  }
}

/** Refusals are answers; everything else is a defect. */
async function tolerate(body: () => Promise<void>): Promise<void> {
  await body().catch((error: unknown) => {
    if (!UnseenError.isInstance(error) || !["CONFLICT", "JOB_NOT_FOUND"].includes(error.code)) throw error;
  });
}

/** From which states, and by whom, a state is entered. */
const ENTRIES: Readonly<Record<State, readonly string[]>> = {
  uploading: ["start user"],
  queued: ["uploading user", "evaluating enclave", "evaluating hub"],
  evaluating: ["queued enclave"],
  evaluated: ["evaluating enclave"],
  featured: ["evaluated user", "answering creator", "answering hub"],
  answering: ["featured creator"],
  answered: ["answering creator"],
  failed: ["evaluating enclave", "evaluating hub", "answering creator", "answering hub"],
  cancelled: ["uploading", "queued", "evaluating", "evaluated", "featured", "answering"].map((state) => `${state} user`),
};

test("whatever order, repetition and death: no job is lost, none is done twice", async () => {
  const action = fc.record({ kind: fc.nat(8), choice: fc.nat(1000), hub: fc.nat(1) });
  // Actions of one batch run at the same time.
  const batches = fc.array(fc.array(action, { minLength: 1, maxLength: 6 }), { minLength: 6, maxLength: 18 });
  const ends: State[] = [];
  await fc.assert(
    fc.asyncProperty(batches, async (plan) => {
      const play = new Play();
      await play.begin(3);
      for (const batch of plan)
        await Promise.all(batch.map(({ kind, choice, hub }) => tolerate(() => play.act(hubs[hub] as Hub, kind, choice))));
      for (const job of await play.end()) {
        ends.push(job.state);
        assert.ok(finalStates.has(job.state), `${job.id} ended in ${job.state}`);
        let state: State | "start" = "start";
        for (const line of job.transitions as readonly { state: State; by: Actor }[]) {
          assert.ok(ENTRIES[line.state].includes(`${state} ${line.by}`), `${state} -> ${line.state} by ${line.by}`);
          state = line.state;
        }
        assert.equal(state, job.state);
        const times = (wanted: State): number => job.transitions.filter((line) => line.state === wanted).length;
        assert.ok(times("evaluated") <= 1 && times("answered") <= 1 && times("evaluating") <= 3 && times("answering") <= 3);
        for (const [role, result] of [
          ["enclave", job.encrypted],
          ["creator", job.answer],
        ] as const)
          // prettier-ignore
          assert.deepEqual([...(play.accepted.get(`${job.id} ${role}`) ?? [])], result === null ? [] : [result]);
      }
    }),
    { numRuns: 20, seed: 20_261_128, endOnFailure: true },
  );
  // The plays must have been worth watching; which failures occur is up to the order in which the database served them.
  assert.ok(ends.includes("answered") && new Set(ends).size > 1, `all jobs ended as ${ends[0]}`);
});

test("a job that nobody goes on with fails with its reason", async () => {
  const play = new Play();
  await play.begin(1);
  const [hub] = hubs as [Hub];
  await hub.database.query("UPDATE jobs SET changed = now() - interval '2 hours' WHERE id = $1", [play.jobs[0]]);
  await sweepJobs(hub);
  const job = await hub.jobs.read(user, play.jobs[0] as string);
  assert.equal(job.state, "failed");
  assert.deepEqual(job.failure, { code: "JOB_FAILED", message: "nobody went on with the job for 3600 s." });
});

test("who has lost the lease has lost the job", async () => {
  const play = new Play();
  await play.begin(1);
  const [hub] = hubs as [Hub];
  const [id] = play.jobs as [string];
  const [first, second] = enclaves as [Account, Account];
  await hub.jobs.submit(user, id);
  await play.claim(hub, first);
  await loseLease(hub, id);
  await sweepJobs(hub);
  assert.equal((await hub.jobs.read(user, id)).state, "queued");
  // The same account, another process of it.
  await play.claim(hub, first);
  const [lost, held] = play.held as [Held, Held];
  await assert.rejects(hub.work.renew(first, id, lost.lease), { code: "CONFLICT" });
  await assert.rejects(play.finish(hub, lost), { code: "CONFLICT" });
  await assert.rejects(hub.work.fail(first, id, lost.lease, { code: "INTERNAL", message: "", again: false }), { code: "CONFLICT" });
  await assert.rejects(play.finish(hub, { ...held, worker: second }), { code: "JOB_NOT_FOUND" });
  assert.equal(await hub.work.renew(first, id, held.lease), settings.leaseSeconds);
  await play.finish(hub, held);
  assert.equal((await hub.jobs.read(user, id)).encrypted, held.blob);
});
