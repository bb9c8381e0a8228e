/**
 * Models that were split, and servers on this machine: begun here or found running.
 * @module
 */
import { computed, signal, type ReadonlySignal } from "@preact/signals";
import type { Failure } from "../../../src/protocol/failure.ts";
import type { Job, NewJob } from "../../../src/protocol/jobs.ts";
import type { SplitRow } from "../../../src/protocol/library.ts";
import { ConsoleError, failureOf } from "../../api/console.ts";
import { endJob, findJobs, isActive, settled, startJob } from "../../api/jobs.ts";
import { library, refreshLibrary } from "../../api/library.ts";
import { announce } from "../../parts/announcer.tsx";
import { fieldOf } from "../models/names.ts";

/** Latest first. */
const jobs = signal<readonly ReadonlySignal<Job>[]>([]);

export const jobsFailure = signal<Failure | null>(null);

export const splitting = computed(() => jobs.value.filter(({ value }) => value.kind === "share"));

export const serving = computed(() => jobs.value.filter(({ value }) => value.kind === "serve-shares"));

/** What was split here. */
export const splits = computed((): readonly SplitRow[] => library.value?.splits ?? []);

/** Addresses of servers on this machine that are ready. */
export const addressesHere = computed((): readonly string[] =>
  serving.value.flatMap(({ value }) => (value.state === "ready" ? [fieldOf(value.result, "url") ?? ""] : [])).toReversed(),
);

/** Finds those that the gateway knows. */
export async function refreshJobs(): Promise<void> {
  try {
    jobs.value = await findJobs("share", "serve-shares");
    jobsFailure.value = null;
  } catch (error) {
    jobsFailure.value = failureOf(error);
  }
}

/** @throws ConsoleError */
export async function beginSplit(asked: Extract<NewJob, { kind: "share" }>): Promise<void> {
  const job = await begin(asked);
  void settled(job).then(async ({ state, subject }) => {
    await refreshLibrary();
    announce(`Splitting ${subject}: ${state}.`);
  });
}

/**
 * Starts a server for each of two directories and waits until both are ready.
 * @returns their addresses
 * @throws ConsoleError, also for one that did not start; then neither runs on
 */
export async function startServersHere([a, b]: SplitRow["directories"]): Promise<[string, string]> {
  const begun = [await begin({ kind: "serve-shares", directory: a }), await begin({ kind: "serve-shares", directory: b })];
  const ended = await Promise.all(begun.map(settled));
  const failed = ended.find(({ state }) => state !== "ready");
  if (!failed) return ended.map(({ result }) => fieldOf(result, "url")!) as [string, string];
  await stopServersHere();
  throw new ConsoleError(failed.failure ?? { code: "JOB_FAILED", message: "a server on this machine was stopped." }, 0);
}

/** Stops every server on this machine. @throws ConsoleError */
export async function stopServersHere(): Promise<void> {
  await Promise.all(serving.value.filter(({ value }) => isActive(value)).map(({ value }) => endJob(value)));
}

/** Takes an ended job off the page. */
export function forgetJob({ id }: Job): void {
  jobs.value = jobs.value.filter(({ value }) => value.id !== id);
}

async function begin(asked: NewJob): Promise<ReadonlySignal<Job>> {
  const job = await startJob(asked);
  jobs.value = [job, ...jobs.value.filter((other) => other !== job)];
  return job;
}
