/**
 * Jobs, for the users who make them. Every request may come twice: a repetition gets the first one's answer.
 * @module
 */
import { randomBytes } from "node:crypto";
import { finalStates, type Job, type JobRequest, type State } from "../protocol.ts";
import type { Account } from "./accounts.ts";
import { requireOwned } from "./blob-owners.ts";
import type { Catalogue } from "./catalogue.ts";
import type { Queries } from "./database.ts";
import { changeJob, COLUMNS, describeJob, jobTopic, lockJob, move, noJob, note, readJob, type JobDesk, type JobRow } from "./job-rows.ts";
import { Refusal } from "./refusal.ts";

/** What users do with jobs. */
export class Jobs {
  readonly #desk: JobDesk;
  readonly #catalogue: Catalogue;

  constructor(desk: JobDesk, catalogue: Catalogue) {
    this.#desk = desk;
    this.#catalogue = catalogue;
  }

  /**
   * Makes a job, or finds the one of the same idempotency key.
   * @throws UnseenError CONFLICT for the key of another request, MODEL_NOT_FOUND, CUT_UNAVAILABLE, QUOTA_EXCEEDED
   */
  async create(user: Account, request: JobRequest): Promise<{ job: Job; isNew: boolean }> {
    const { manifest, creator } = await this.#catalogue.version(request.version);
    if (!manifest.cuts.some(({ cut, parameters }) => cut === request.cut && parameters.scheme === request.scheme))
      throw new Refusal("CUT_UNAVAILABLE", `cut: the version has none at ${request.cut} in ${request.scheme}.`, {
        hint: "The version's manifest lists its cuts.",
      });
    // Members sorted, so that the same content is the same text.
    const text = JSON.stringify(request, Object.keys(request).toSorted());
    const id = `job_${randomBytes(16).toString("hex")}`;
    return this.#desk.database.transaction(async (queries) => {
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
    const { openJobs, jobsPerDay } = this.#desk.settings;
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
  read(account: Account, id: string): Promise<Job> {
    return readJob(this.#desk.database, account, id);
  }

  /** The job once it has left a state, or as it is after the wait. @throws UnseenError JOB_NOT_FOUND */
  async awaitChange(account: Account, id: string, after: State | null, seconds: number, signal: AbortSignal): Promise<Job> {
    const changed = await this.#desk.bells.until([jobTopic(id)], after === null ? 0 : seconds, signal, async () => {
      const job = await this.read(account, id);
      return job.state === after && !finalStates.has(job.state) ? null : job;
    });
    return changed ?? this.read(account, id);
  }

  /** The user has uploaded everything. @throws UnseenError JOB_NOT_FOUND, REQUEST_INVALID for a blob that is missing */
  async submit(user: Account, id: string): Promise<Job> {
    return changeJob(this.#desk, id, async (queries, job) => {
      if (job.owner !== user.name) throw noJob();
      // Later states are those after an earlier, equal request.
      if (job.state !== "uploading") return;
      const { keys, input } = JSON.parse(job.request) as JobRequest;
      await requireOwned(queries, user.name, keys === null ? [input] : [keys, input]);
      await move(queries, job, "submit", this.#desk.settings.attempts, { by: "user" });
    });
  }

  /** The user sends the features, sealed to the creator. @throws UnseenError JOB_NOT_FOUND, REQUEST_INVALID, CONFLICT */
  async sendFeatures(user: Account, id: string, sha256: string): Promise<Job> {
    return changeJob(this.#desk, id, async (queries, job) => {
      if (job.owner !== user.name) throw noJob();
      if (job.features === sha256) return;
      if (job.state === "evaluated") await requireOwned(queries, user.name, [sha256]);
      await move(queries, job, "features", this.#desk.settings.attempts, {
        by: "user",
        result: { kind: "features", sha256, supplier: user.name },
      });
    });
  }

  /** Ends a job; one that has ended stays as it is. @throws UnseenError JOB_NOT_FOUND */
  async cancel(user: Account, id: string): Promise<Job> {
    return changeJob(this.#desk, id, async (queries, job) => {
      if (job.owner !== user.name) throw noJob();
      if (!finalStates.has(job.state)) await move(queries, job, "cancel", this.#desk.settings.attempts, { by: "user" });
    });
  }
}
