/**
 * Jobs, for those who make them and those who do them. Every request may come twice: a repetition gets the first one's answer.
 * Several hubs may serve one database: rows are locked while they are decided on, and no two workers are given one job.
 * @module
 */
import { randomBytes } from "node:crypto";
import { finalStates, type Job, type JobRequest, type State, type Work } from "../protocol.ts";
import type { Account } from "./accounts.ts";
import type { Bells } from "./bells.ts";
import { requireOwned } from "./blob-store.ts";
import type { Catalogue } from "./catalogue.ts";
import type { Database, Queries } from "./database.ts";
import { COLUMNS, describeJob, lockJob, move, noJob, note, type Change, type JobRow } from "./job-rows.ts";
import type { JobEvent } from "./job-states.ts";
import { Refusal } from "./refusal.ts";
import type { HubSettings } from "./settings.ts";

/** Jobs that one look for what has run out takes on. */
const SWEEP_ROWS = 100;

export interface JobsOptions {
  readonly database: Database;
  readonly catalogue: Catalogue;
  readonly bells: Bells;
  readonly settings: HubSettings;
}

/** Topics of {@link Bells} on which a worker waits. */
export function topicOf({ role, name }: Account): string {
  return role === "enclave" ? "work enclave" : `work creator ${name}`;
}

/** Topic of a job's changes. */
export function jobTopic(id: string): string {
  return `job ${id}`;
}

export class Jobs {
  readonly #options: JobsOptions;

  constructor(options: JobsOptions) {
    this.#options = options;
  }

  /**
   * Makes a job, or finds the one of the same idempotency key.
   * @throws UnseenError CONFLICT for the key of another request, MODEL_NOT_FOUND, CUT_UNAVAILABLE, QUOTA_EXCEEDED
   */
  async create(user: Account, request: JobRequest): Promise<{ job: Job; isNew: boolean }> {
    const { database, catalogue } = this.#options;
    const { manifest, creator } = await catalogue.version(request.version);
    if (!manifest.cuts.some(({ cut, parameters }) => cut === request.cut && parameters.scheme === request.scheme))
      throw new Refusal("CUT_UNAVAILABLE", `cut: the version has none at ${request.cut} in ${request.scheme}.`, {
        hint: "The version's manifest lists its cuts.",
      });
    // Members sorted, so that the same content is the same text.
    const text = JSON.stringify(request, Object.keys(request).toSorted());
    const id = `job_${randomBytes(16).toString("hex")}`;
    return database.transaction(async (queries) => {
      await queries.query("SELECT 1 FROM accounts WHERE name = $1 FOR NO KEY UPDATE", [user.name]);
      const [known] = await queries.query<JobRow>(`SELECT ${COLUMNS} FROM jobs WHERE owner = $1 AND idempotency_key = $2`, [
        user.name,
        request.idempotencyKey,
      ]);
      if (known && known.request !== text)
        throw new Refusal("CONFLICT", "idempotencyKey: another job of this account has it.", { hint: "Draw a new one for each job." });
      if (known) return { job: await describeJob(queries, known), isNew: false };
      await this.#requireRoom(queries, user.name);
      await queries.query(
        `INSERT INTO jobs (id, owner, idempotency_key, request, model, version, creator, enclave_key, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'uploading')`,
        [id, user.name, request.idempotencyKey, text, manifest.name, request.version, creator, request.enclaveKey],
      );
      for (const [kind, sha256] of Object.entries({ keys: request.keys, input: request.input }))
        if (sha256 !== null)
          await queries.query("INSERT INTO job_blobs (job, kind, sha256, supplier) VALUES ($1, $2, $3, $4)", [id, kind, sha256, user.name]);
      await note(queries, id, "uploading", "user", null, null);
      return { job: await describeJob(queries, await lockJob(queries, id)), isNew: true };
    });
  }

  async #requireRoom(queries: Queries, owner: string): Promise<void> {
    const { openJobs, jobsPerDay } = this.#options.settings;
    const [used] = await queries.query<{ open: number; today: number }>(
      `SELECT (SELECT count(*) FROM jobs WHERE owner = $1 AND state NOT IN ('answered', 'failed', 'cancelled'))::int AS open,
              (SELECT count(*) FROM jobs WHERE owner = $1 AND created > now() - interval '1 day')::int AS today`,
      [owner],
    );
    if (used!.open >= openJobs)
      throw new Refusal("QUOTA_EXCEEDED", `open jobs: expected at most ${openJobs} of one account.`, {
        hint: "Wait for one to end, or cancel one.",
        headers: { "retry-after": "10" },
      });
    if (used!.today >= jobsPerDay)
      throw new Refusal("QUOTA_EXCEEDED", `jobs: expected at most ${jobsPerDay} of one account in 24 hours.`, {
        hint: "Try again later.",
        headers: { "retry-after": "3600" },
      });
  }

  /** A job of which the account is a party. @throws UnseenError JOB_NOT_FOUND */
  async read(account: Account, id: string): Promise<Job> {
    const { database } = this.#options;
    const [row] = await database.query<JobRow>(`SELECT ${COLUMNS} FROM jobs WHERE id = $1`, [id]);
    if (!row || !isParty(row, account)) throw noJob();
    return describeJob(database, row);
  }

  /** The job once it has left a state, or as it is after the wait. @throws UnseenError JOB_NOT_FOUND */
  async awaitChange(account: Account, id: string, after: State | null, seconds: number, signal: AbortSignal): Promise<Job> {
    const changed = await this.#options.bells.until([jobTopic(id)], after === null ? 0 : seconds, signal, async () => {
      const job = await this.read(account, id);
      return job.state === after && !finalStates.has(job.state) ? null : job;
    });
    return changed ?? this.read(account, id);
  }

  /** The user has uploaded everything. @throws UnseenError JOB_NOT_FOUND, REQUEST_INVALID for a blob that is missing */
  async submit(user: Account, id: string): Promise<Job> {
    return this.#change(id, async (queries, job) => {
      if (job.owner !== user.name) throw noJob();
      // Later states are those after an earlier, equal request.
      if (job.state !== "uploading") return;
      const { keys, input } = JSON.parse(job.request) as JobRequest;
      await requireOwned(queries, user.name, keys === null ? [input] : [keys, input]);
      await this.#move(queries, job, "submit", { by: "user" });
    });
  }

  /** The user sends the features, sealed to the creator. @throws UnseenError JOB_NOT_FOUND, REQUEST_INVALID, CONFLICT */
  async sendFeatures(user: Account, id: string, sha256: string): Promise<Job> {
    return this.#change(id, async (queries, job) => {
      if (job.owner !== user.name) throw noJob();
      if (job.features === sha256) return;
      if (job.state === "evaluated") await requireOwned(queries, user.name, [sha256]);
      await this.#move(queries, job, "features", { by: "user", result: { kind: "features", sha256, supplier: user.name } });
    });
  }

  /** Ends a job; one that has ended stays as it is. @throws UnseenError JOB_NOT_FOUND */
  async cancel(user: Account, id: string): Promise<Job> {
    return this.#change(id, async (queries, job) => {
      if (job.owner !== user.name) throw noJob();
      if (!finalStates.has(job.state)) await this.#move(queries, job, "cancel", { by: "user" });
    });
  }

  /** Gives a worker the oldest job that it can do, for as long as its lease; null where there is none. */
  async claim(worker: Account, keys: readonly string[]): Promise<Extract<Work, { kind: "job" }> | null> {
    const { database, settings } = this.#options;
    const where = worker.role === "enclave" ? "state = 'queued' AND enclave_key = ANY($1)" : "state = 'featured' AND creator = $1";
    const [statement, values] = [
      `SELECT ${COLUMNS} FROM jobs WHERE ${where} ORDER BY changed LIMIT 1`,
      [worker.role === "enclave" ? keys : worker.name],
    ];
    // Without a lock first: most looks find nothing.
    if ((await database.query(statement, values)).length === 0) return null;
    return this.#ringing(() =>
      database.transaction(async (queries) => {
        const [row] = await queries.query<JobRow>(`${statement} FOR UPDATE SKIP LOCKED`, values);
        if (!row) return { job: null, result: null };
        const lease = randomBytes(16).toString("hex");
        const claim = { account: worker.name, lease, seconds: settings.leaseSeconds };
        await this.#move(queries, row, "claim", { by: worker.role, claim });
        const job = await lockJob(queries, row.id);
        return { job, result: { kind: "job", job: await describeJob(queries, job), lease, leaseSeconds: settings.leaseSeconds } as const };
      }),
    );
  }

  /** Prolongs a lease. @throws UnseenError JOB_NOT_FOUND, CONFLICT where the job is not this worker's any more */
  async renew(worker: Account, id: string, lease: string): Promise<number> {
    const { database, settings } = this.#options;
    const rows = await database.query(
      `UPDATE jobs SET lease_until = now() + make_interval(secs => $4)
       WHERE id = $1 AND lease = $2 AND CASE state WHEN 'evaluating' THEN enclave WHEN 'answering' THEN creator END = $3 RETURNING id`,
      [id, lease, worker.name, settings.leaseSeconds],
    );
    if (rows.length > 0) return settings.leaseSeconds;
    await this.read(worker, id);
    throw movedOn();
  }

  /** The worker's step is done. @throws UnseenError JOB_NOT_FOUND, REQUEST_INVALID, CONFLICT where the job is not this worker's any more */
  async finish(worker: Account, id: string, lease: string, sha256: string): Promise<Job> {
    const kind = worker.role === "enclave" ? "encrypted" : "answer";
    return this.#change(id, async (queries, job) => {
      if (await this.#isRepetition(queries, worker, job, lease)) {
        if (job[kind] !== sha256) throw movedOn();
        return;
      }
      await requireOwned(queries, worker.name, [sha256]);
      await this.#move(queries, job, "done", { by: worker.role, result: { kind, sha256, supplier: worker.name } });
    });
  }

  /** The worker's step failed. @throws UnseenError JOB_NOT_FOUND, CONFLICT where the job is not this worker's any more */
  async fail(worker: Account, id: string, lease: string, failure: { code: string; message: string; again: boolean }): Promise<Job> {
    const { code, again } = failure;
    // The worker's words are shown to the user.
    const message = failure.message.replaceAll(/\p{C}+/gu, " ");
    return this.#change(id, async (queries, job) => {
      if (await this.#isRepetition(queries, worker, job, lease)) return;
      const event: JobEvent = again ? "retry" : "fail";
      await this.#move(queries, job, event, { by: worker.role, note: `${code}: ${message}`, failure: { code, message } });
    });
  }

  /**
   * Whether the lease has had its effect before; false where it has it now.
   * @throws UnseenError JOB_NOT_FOUND where the worker is no party, CONFLICT where the lease is not valid
   */
  async #isRepetition(queries: Queries, worker: Account, job: JobRow, lease: string): Promise<boolean> {
    if (!isParty(job, worker)) throw noJob();
    if (job.lease === lease) return false;
    const made = await queries.query("SELECT 1 FROM transitions WHERE job = $1 AND lease = $2 AND by = $3", [job.id, lease, worker.role]);
    if (made.length === 0) throw movedOn();
    return true;
  }

  /** Takes jobs back from workers that are gone, ends those that nobody goes on with, and forgets which blobs old ones used. */
  async sweep(): Promise<void> {
    const { stateSeconds, retentionSeconds } = this.#options.settings;
    await this.#expire("lease_until < now()", [], "expire", {
      note: "the worker was not heard of any more",
      failure: { code: "JOB_FAILED", message: "the last of several workers was not heard of any more." },
    });
    await this.#expire("changed < now() - make_interval(secs => $1)", [stateSeconds], "overdue", {
      failure: { code: "JOB_FAILED", message: `nobody went on with the job for ${stateSeconds} s.` },
    });
    await this.#options.database.transaction(async (queries) => {
      const old = await queries.query<{ id: string }>(
        `SELECT id FROM jobs WHERE state IN ('answered', 'failed', 'cancelled') AND NOT purged
         AND changed < now() - make_interval(secs => $1) LIMIT ${SWEEP_ROWS} FOR UPDATE SKIP LOCKED`,
        [retentionSeconds],
      );
      const ids = old.map(({ id }) => id);
      await queries.query("UPDATE jobs SET purged = true WHERE id = ANY($1)", [ids]);
      await queries.query("DELETE FROM job_blobs WHERE job = ANY($1)", [ids]);
    });
  }

  async #expire(where: string, values: readonly number[], event: JobEvent, change: Omit<Change, "by">): Promise<void> {
    const { database, bells } = this.#options;
    const moved = await database.transaction(async (queries) => {
      const rows = await queries.query<JobRow>(
        `SELECT ${COLUMNS} FROM jobs WHERE state NOT IN ('answered', 'failed', 'cancelled') AND ${where}
         ORDER BY changed LIMIT ${SWEEP_ROWS} FOR UPDATE SKIP LOCKED`,
        values,
      );
      for (const row of rows) await this.#move(queries, row, event, { by: "hub", ...change });
      return rows;
    });
    for (const row of moved) bells.ring(...topicsOf(row));
  }

  /** Changes a job that nobody else changes meanwhile. */
  async #change(id: string, body: (queries: Queries, job: JobRow) => Promise<void>): Promise<Job> {
    return this.#ringing(() =>
      this.#options.database.transaction(async (queries) => {
        await body(queries, await lockJob(queries, id));
        const job = await lockJob(queries, id);
        return { job, result: await describeJob(queries, job) };
      }),
    );
  }

  /** Wakes who waits, after the change is visible to them. */
  async #ringing<Result>(body: () => Promise<{ job: JobRow | null; result: Result }>): Promise<Result> {
    const { job, result } = await body();
    if (job) this.#options.bells.ring(...topicsOf(job));
    return result;
  }

  async #move(queries: Queries, job: JobRow, event: JobEvent, change: Change): Promise<void> {
    if (!(await move(queries, job, event, this.#options.settings.attempts, change))) throw movedOn();
  }
}

function isParty(job: JobRow, { name, role }: Account): boolean {
  return name === { user: job.owner, enclave: job.enclave, creator: job.creator }[role];
}

function topicsOf(job: JobRow): string[] {
  return [jobTopic(job.id), topicOf({ role: "enclave", name: "" }), topicOf({ role: "creator", name: job.creator })];
}

function movedOn(): Refusal {
  return new Refusal("CONFLICT", "the job has moved on, or is another worker's by now.", { hint: "Ask for its state." });
}
