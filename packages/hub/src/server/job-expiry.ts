/**
 * What happens to jobs by the passing of time.
 * @module
 */
import { COLUMNS, move, topicsOf, type Change, type JobDesk, type JobRow } from "./job-rows.ts";
import type { JobEvent } from "./job-states.ts";

/** Jobs that one look takes on. */
const SWEEP_ROWS = 100;

/** Takes jobs back from workers that are gone, ends those that nobody goes on with, and forgets which blobs old ones used. */
export async function sweepJobs(desk: JobDesk): Promise<void> {
  const { stateSeconds, retentionSeconds } = desk.settings;
  await expire(desk, "lease IS NOT NULL AND lease_until < now()", [], "expire", {
    note: "the worker was not heard of any more",
    failure: { code: "JOB_FAILED", message: "the last of several workers was not heard of any more." },
  });
  await expire(desk, "changed < now() - make_interval(secs => $1)", [stateSeconds], "overdue", {
    failure: { code: "JOB_FAILED", message: `nobody went on with the job for ${stateSeconds} s.` },
  });
  await desk.database.transaction(async (queries) => {
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

async function expire(
  { database, bells, settings }: JobDesk,
  where: string,
  values: readonly number[],
  event: JobEvent,
  change: Omit<Change, "by">,
): Promise<void> {
  const moved = await database.transaction(async (queries) => {
    const rows = await queries.query<JobRow>(
      `SELECT ${COLUMNS} FROM jobs WHERE state NOT IN ('answered', 'failed', 'cancelled') AND ${where}
       ORDER BY changed LIMIT ${SWEEP_ROWS} FOR UPDATE SKIP LOCKED`,
      values,
    );
    for (const row of rows) await move(queries, row, event, settings.attempts, { by: "hub", ...change });
    return rows;
  });
  for (const row of moved) bells.ring(...topicsOf(row));
}
