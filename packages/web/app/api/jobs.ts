/**
 * Jobs as signals: started here or found running, and followed until they end, over reloads of the page and restarts of the network.
 * @module
 */
import { signal, type ReadonlySignal, type Signal } from "@preact/signals";
import type { Job, JobEvent, JobKind, NewJob } from "../../src/protocol/jobs.ts";
import { ConsoleError, events, request } from "./console.ts";

const RETRY = 1_000; // ms

const followed = new Map<string, Signal<Job>>();

/** Starts a job and follows it. @throws ConsoleError */
export async function startJob(job: NewJob): Promise<ReadonlySignal<Job>> {
  return follow(await request<Job>("/console/jobs", { method: "POST", body: job }));
}

/** Jobs of some kinds, latest first; each is followed. @throws ConsoleError */
export async function findJobs(...kinds: JobKind[]): Promise<ReadonlySignal<Job>[]> {
  const { jobs } = await request<{ jobs: Job[] }>("/console/jobs");
  return jobs.filter(({ kind }) => kinds.includes(kind)).map(follow);
}

/** Stops a job, or forgets one that has ended. @throws ConsoleError */
export async function endJob({ id }: Job): Promise<void> {
  await request(`/console/jobs/${id}`, { method: "DELETE" });
}

/** Whether a job goes on. */
export function isActive({ state }: Job): boolean {
  return state === "running" || state === "ready";
}

/** A promise of the job's end, or of its being ready. */
export function settled(job: ReadonlySignal<Job>): Promise<Job> {
  return new Promise((resolve) => {
    const stop = job.subscribe((value) => {
      if (value.state === "running") return;
      resolve(value);
      queueMicrotask(() => stop());
    });
  });
}

function follow(job: Job): Signal<Job> {
  const known = followed.get(job.id);
  if (known) return known;
  const state = signal(job);
  followed.set(job.id, state);
  void keepUp(state);
  return state;
}

async function keepUp(state: Signal<Job>): Promise<void> {
  const { signal: never } = new AbortController();
  while (isActive(state.value)) {
    try {
      for await (const event of events<JobEvent>(`/console/jobs/${state.value.id}/stream`, never)) state.value = after(state.value, event);
    } catch (error) {
      // A gateway that was started again knows nothing of the jobs before.
      if (error instanceof ConsoleError && error.status === 404)
        state.value = {
          ...state.value,
          state: "failed",
          failure: { code: "JOB_FAILED", message: "the gateway ended, and the job with it." },
        };
    }
    if (isActive(state.value)) await new Promise((resolve) => setTimeout(resolve, RETRY));
  }
}

function after(job: Job, event: JobEvent): Job {
  switch (event.kind) {
    case "snapshot":
      return event.job;
    case "progress":
      return { ...job, progress: event.progress };
    case "line":
      return { ...job, lines: [...job.lines, event.line] };
    case "detail":
      return { ...job, details: [...job.details, event.detail] };
    case "change":
      return { ...job, ...event.job };
  }
}
