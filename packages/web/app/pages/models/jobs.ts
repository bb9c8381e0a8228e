/**
 * Downloads, encryptions, and hosts on this machine: begun here or found running. A host joins the gateway's hosts when it is ready, and
 * leaves them when it ends.
 * @module
 */
import { signal, type ReadonlySignal } from "@preact/signals";
import type { Failure } from "../../../src/protocol/failure.ts";
import type { Job, JobState, NewJob } from "../../../src/protocol/jobs.ts";
import { failureOf } from "../../api/console.ts";
import { endJob, findJobs, startJob } from "../../api/jobs.ts";
import { refreshLibrary } from "../../api/library.ts";
import { announce } from "../../parts/announcer.tsx";
import { addHost, hosts, refreshHosts, removeHost } from "./hosts.ts";
import { fieldOf } from "./names.ts";

/** Latest first. */
export const jobs = signal<readonly ReadonlySignal<Job>[]>([]);

export const jobsFailure = signal<Failure | null>(null);

/** Of hosts on this machine that are not among the gateway's yet, by job: null while they join, or why they could not. */
export const joining = signal<ReadonlyMap<string, Failure | null>>(new Map());

const attended = new Set<string>();
/** What opens a model's key, by job, until its host has joined. */
const passphrases = new Map<string, string>();

/** Finds those that the gateway knows. */
export async function refreshJobs(): Promise<void> {
  try {
    const found = await findJobs("pull", "encrypt", "serve");
    jobs.value = found;
    for (const job of found) attend(job);
    jobsFailure.value = null;
  } catch (error) {
    jobsFailure.value = failureOf(error);
  }
}

/** @throws ConsoleError */
export async function beginJob(asked: NewJob, passphrase?: string): Promise<void> {
  const job = await startJob(asked);
  if (passphrase) passphrases.set(job.value.id, passphrase);
  jobs.value = [job, ...jobs.value.filter((other) => other !== job)];
  attend(job);
}

/** Takes an ended job off the page. */
export function forgetJob({ id }: Job): void {
  jobs.value = jobs.value.filter((job) => job.value.id !== id);
}

/** Puts a host that is ready among the gateway's. */
export async function joinHost({ id, result }: Job, passphrase = passphrases.get(id)): Promise<void> {
  const url = fieldOf(result, "url");
  if (url === null) return;
  setJoining(id, null);
  try {
    await refreshHosts();
    const isNew = !hosts.value?.some((host) => host.url === url);
    if (isNew) await addHost({ url, ...(passphrase ? { passphrase } : {}) });
    setJoining(id, undefined);
    if (isNew) announce("The model is served on this machine.");
  } catch (error) {
    setJoining(id, failureOf(error));
  } finally {
    passphrases.delete(id);
  }
}

function attend(job: ReadonlySignal<Job>): void {
  if (attended.has(job.value.id)) return;
  attended.add(job.value.id);
  let before: JobState | null = null;
  job.subscribe((value) => {
    const [from, to] = [before, value.state];
    if (from === to) return;
    before = to;
    // Not within the notification: what follows reads and writes other signals.
    queueMicrotask(() => void changed(value, from));
  });
}

async function changed(job: Job, before: JobState | null): Promise<void> {
  if (job.state === "ready") return joinHost(job);
  // What ended before this page was opened has told of it already.
  if (job.state === "running" || before === null) return;
  if (job.kind === "serve") return leave(job);
  announce(`${job.kind === "pull" ? "Downloading" : "Encrypting"} ${job.subject}: ${job.state}.`);
  await refreshLibrary();
}

async function leave(job: Job): Promise<void> {
  setJoining(job.id, undefined);
  const url = fieldOf(job.result, "url");
  // Where it never joined, or was removed by hand, there is nothing to do.
  if (url !== null) await removeHost(url).catch(() => refreshHosts());
  if (job.state !== "stopped") return;
  // One that was stopped has nothing more to tell.
  await endJob(job).catch(() => {});
  forgetJob(job);
  announce("The host on this machine was stopped.");
}

function setJoining(id: string, state: Failure | null | undefined): void {
  const next = new Map(joining.value);
  if (state === undefined) next.delete(id);
  else next.set(id, state);
  joining.value = next;
}
