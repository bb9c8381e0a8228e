/**
 * Jobs, for the enclaves and creators who do them. Rows are locked while they are decided on, so that no two workers are given one job,
 * whichever of several hubs they ask.
 * @module
 */
import { randomBytes } from "node:crypto";
import type { Job, Work } from "../protocol.ts";
import type { Account } from "./accounts.ts";
import { requireOwned } from "./blob-owners.ts";
import type { Queries } from "./database.ts";
import {
  changeJob,
  COLUMNS,
  describeJob,
  isParty,
  jobTopic,
  lockJob,
  move,
  movedOn,
  noJob,
  readJob,
  type JobDesk,
  type JobRow,
} from "./job-rows.ts";

/** What enclaves and creators do with jobs. */
export class WorkDesk {
  readonly #desk: JobDesk;

  constructor(desk: JobDesk) {
    this.#desk = desk;
  }

  /** Gives a worker the oldest job that it can do, for as long as its lease; null where there is none. */
  async claim(worker: Account, keys: readonly string[]): Promise<Extract<Work, { kind: "job" }> | null> {
    const { database, bells, settings } = this.#desk;
    const where = worker.role === "enclave" ? "state = 'queued' AND enclave_key = ANY($1)" : "state = 'featured' AND creator = $1";
    const statement = `SELECT ${COLUMNS} FROM jobs WHERE ${where} ORDER BY changed LIMIT 1`;
    const values = [worker.role === "enclave" ? keys : worker.name];
    // Without a lock first: most looks find nothing.
    if ((await database.query(statement, values)).length === 0) return null;
    const claimed = await database.transaction(async (queries) => {
      const [row] = await queries.query<JobRow>(`${statement} FOR UPDATE SKIP LOCKED`, values);
      if (!row) return null;
      const lease = randomBytes(16).toString("hex");
      const claim = { account: worker.name, lease, seconds: settings.leaseSeconds };
      await move(queries, row, "claim", settings.attempts, { by: worker.role, claim });
      return { job: await describeJob(queries, await lockJob(queries, row.id)), lease };
    });
    if (claimed === null) return null;
    bells.ring(jobTopic(claimed.job.id));
    return { kind: "job", ...claimed, leaseSeconds: settings.leaseSeconds };
  }

  /** Prolongs a lease. @throws UnseenError JOB_NOT_FOUND, CONFLICT where the job is not this worker's any more */
  async renew(worker: Account, id: string, lease: string): Promise<number> {
    const { database, settings } = this.#desk;
    const rows = await database.query(
      `UPDATE jobs SET lease_until = now() + make_interval(secs => $4)
       WHERE id = $1 AND lease = $2 AND CASE state WHEN 'evaluating' THEN enclave WHEN 'answering' THEN creator END = $3 RETURNING id`,
      [id, lease, worker.name, settings.leaseSeconds],
    );
    if (rows.length > 0) return settings.leaseSeconds;
    await readJob(database, worker, id);
    throw movedOn();
  }

  /** The worker's step is done. @throws UnseenError JOB_NOT_FOUND, REQUEST_INVALID, CONFLICT where the job is not this worker's any more */
  async finish(worker: Account, id: string, lease: string, sha256: string): Promise<Job> {
    const kind = worker.role === "enclave" ? "encrypted" : "answer";
    return changeJob(this.#desk, id, async (queries, job) => {
      if (await this.#isRepetition(queries, worker, job, lease)) {
        if (job[kind] !== sha256) throw movedOn();
        return;
      }
      await requireOwned(queries, worker.name, [sha256]);
      await move(queries, job, "done", this.#desk.settings.attempts, { by: worker.role, result: { kind, sha256, supplier: worker.name } });
    });
  }

  /** The worker's step failed. @throws UnseenError JOB_NOT_FOUND, CONFLICT where the job is not this worker's any more */
  async fail(worker: Account, id: string, lease: string, failure: { code: string; message: string; again: boolean }): Promise<Job> {
    const { code, again } = failure;
    // The worker's words are shown to the user.
    const message = failure.message.replaceAll(/\p{C}+/gu, " ");
    return changeJob(this.#desk, id, async (queries, job) => {
      if (await this.#isRepetition(queries, worker, job, lease)) return;
      await move(queries, job, again ? "retry" : "fail", this.#desk.settings.attempts, {
        by: worker.role,
        note: `${code}: ${message}`,
        failure: { code, message },
      });
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
}
