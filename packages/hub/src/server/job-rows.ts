/**
 * Jobs as rows: read, lock, change. A change is written only where the row is still in the state that it was decided on, together with
 * its line in the list of transitions.
 * @module
 */
import type { Job, JobRequest, Role, State } from "../protocol.ts";
import type { Account } from "./accounts.ts";
import type { Bells } from "./bells.ts";
import type { Database, Queries } from "./database.ts";
import { advance, type Actor, type JobEvent, type JobPosition } from "./job-states.ts";
import { Refusal } from "./refusal.ts";
import type { HubSettings } from "./settings.ts";

/** What the hub knows of a job. */
export interface JobRow extends JobPosition {
  readonly id: string;
  readonly owner: string;
  readonly request: string;
  readonly model: string;
  readonly version: string;
  readonly creator: string;
  readonly enclaveKey: string;
  readonly enclave: string | null;
  readonly encrypted: string | null;
  readonly features: string | null;
  readonly answer: string | null;
  readonly lease: string | null;
  readonly failureCode: string | null;
  readonly failureMessage: string | null;
  readonly created: Date;
}

/** Columns of {@link JobRow}. */
export const COLUMNS = `id, owner, request, model, version, creator, enclave_key AS "enclaveKey", enclave, encrypted, features, answer, state,
  attempts, lease, failure_code AS "failureCode", failure_message AS "failureMessage", created`;

/** What a change sets besides state and attempts. */
export interface Change {
  readonly by: Actor;
  readonly note?: string;
  readonly failure?: { readonly code: string; readonly message: string };
  /** The account that claims the job, and the lease that it gets. */
  readonly claim?: { readonly account: string; readonly lease: string; readonly seconds: number };
  /** The blob that the step gives. */
  readonly result?: { readonly kind: "encrypted" | "features" | "answer"; readonly sha256: string; readonly supplier: string };
}

/**
 * A job as a row that nobody else can change until the transaction ends.
 * @throws UnseenError JOB_NOT_FOUND
 */
export async function lockJob(queries: Queries, id: string): Promise<JobRow> {
  const [row] = await queries.query<JobRow>(`SELECT ${COLUMNS} FROM jobs WHERE id = $1 FOR UPDATE`, [id]);
  if (!row) throw noJob();
  return row;
}

/**
 * Moves a locked job by an event.
 * @param attempts how often a step may be begun
 * @throws UnseenError CONFLICT where the event is not legal; nothing is changed then
 */
export async function move(queries: Queries, job: JobRow, event: JobEvent, attempts: number, change: Change): Promise<void> {
  const next = advance(job, event, change.by, attempts);
  if (next === null) throw movedOn();
  const { claim, result } = change;
  const failure = next.state === "failed" ? change.failure : undefined;
  const moved = await queries.query(
    `UPDATE jobs SET state = $4, attempts = $5, changed = now(), lease = $6, lease_until = now() + make_interval(secs => $7),
       enclave = CASE WHEN $4 = 'evaluating' THEN $8 ELSE enclave END, failure_code = $9, failure_message = $10,
       encrypted = CASE WHEN $11 = 'encrypted' THEN $12 ELSE encrypted END,
       features = CASE WHEN $11 = 'features' THEN $12 ELSE features END,
       answer = CASE WHEN $11 = 'answer' THEN $12 ELSE answer END
     WHERE id = $1 AND state = $2 AND lease IS NOT DISTINCT FROM $3 RETURNING id`,
    [
      job.id,
      job.state,
      job.lease,
      next.state,
      next.attempts,
      claim?.lease ?? null,
      claim?.seconds ?? null,
      claim?.account ?? null,
      failure?.code ?? null,
      failure?.message ?? null,
      result?.kind ?? null,
      result?.sha256 ?? null,
    ],
  );
  if (moved.length !== 1) throw new Error("a locked job was changed");
  await note(queries, job.id, next.state, change.by, failure ? `${failure.code}: ${failure.message}` : (change.note ?? null), job.lease);
  if (result)
    await queries.query("INSERT INTO job_blobs (job, kind, sha256, supplier) VALUES ($1, $2, $3, $4)", [
      job.id,
      result.kind,
      result.sha256,
      result.supplier,
    ]);
}

/** Writes one line of a job's history. */
export async function note(
  queries: Queries,
  job: string,
  state: State,
  by: Actor,
  text: string | null,
  lease: string | null,
): Promise<void> {
  await queries.query("INSERT INTO transitions (job, state, by, note, lease) VALUES ($1, $2, $3, $4, $5)", [job, state, by, text, lease]);
}

/** What changing jobs takes. */
export interface JobDesk {
  readonly database: Database;
  readonly bells: Bells;
  readonly settings: HubSettings;
}

/** Changes a job that nobody else changes meanwhile, and wakes who waits when it can be seen. */
export async function changeJob(
  { database, bells }: JobDesk,
  id: string,
  body: (queries: Queries, job: JobRow) => Promise<void>,
): Promise<Job> {
  const { row, job } = await database.transaction(async (queries) => {
    await body(queries, await lockJob(queries, id));
    const row = await lockJob(queries, id);
    return { row, job: await describeJob(queries, row) };
  });
  bells.ring(...topicsOf(row));
  return job;
}

/** A job of which an account is a party. @throws UnseenError JOB_NOT_FOUND */
export async function readJob(queries: Queries, account: Account, id: string): Promise<Job> {
  const [row] = await queries.query<JobRow>(`SELECT ${COLUMNS} FROM jobs WHERE id = $1`, [id]);
  if (!row || !isParty(row, account)) throw noJob();
  return describeJob(queries, row);
}

/** A job as its parties see it. */
export async function describeJob(queries: Queries, row: JobRow): Promise<Job> {
  const request = JSON.parse(row.request) as JobRequest;
  const transitions = await queries.query<{ state: State; at: Date; by: Actor; note: string | null }>(
    "SELECT state, at, by, note FROM transitions WHERE job = $1 ORDER BY sequence",
    [row.id],
  );
  const { idempotencyKey, version, cut, scheme, session, userKey, enclaveKey, keys, input, budget } = request;
  return {
    id: row.id,
    state: row.state,
    idempotencyKey,
    model: row.model,
    version,
    cut,
    scheme,
    session,
    userKey,
    enclaveKey,
    keys,
    input,
    encrypted: row.encrypted,
    features: row.features,
    answer: row.answer,
    budget,
    attempts: row.attempts,
    failure: row.failureCode === null ? null : { code: row.failureCode, message: row.failureMessage ?? "" },
    created: row.created.toISOString(),
    transitions: transitions.map((line) => ({ ...line, at: line.at.toISOString() })),
  };
}

/** Whether an account has a part in a job: its user, the enclave that claimed it last, the creator of its model. */
export function isParty(job: JobRow, { name, role }: Account): boolean {
  return name === { user: job.owner, enclave: job.enclave, creator: job.creator }[role];
}

/** Topics of {@link Bells} on which the parties of a job wait. */
export function topicsOf(job: JobRow): string[] {
  return [jobTopic(job.id), workTopic("enclave"), workTopic("creator", job.creator)];
}

/** Topic of a job's changes. */
export function jobTopic(id: string): string {
  return `job ${id}`;
}

/** Topic of work for all enclaves, or for one creator. */
export function workTopic(role: Role, name = ""): string {
  return role === "creator" ? `work creator ${name}` : "work enclave";
}

/** The refusal of a change that comes too late, or from the wrong one. */
export function movedOn(): Refusal {
  return new Refusal("CONFLICT", "the job has moved on, or is another worker's by now.", { hint: "Ask for its state." });
}

/** Also for jobs of others: who may not see a job does not learn that it is there. */
export function noJob(): Refusal {
  return new Refusal("JOB_NOT_FOUND", "the hub has no such job, or it belongs to someone else.", { hint: "Check the job's id." });
}
