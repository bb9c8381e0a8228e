/**
 * The jobs of one gateway: started, followed, stopped, and ended with it.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import type { Job, JobKind } from "@unseen/web/protocol/jobs.ts";
import { JobRecord } from "./job-record.ts";
import { shownCommand, type Plan, type Step } from "./plan.ts";
import { runStep, type RunningStep } from "./run-step.ts";

/** Jobs that compute at once: each may take all cores and much memory. */
const MAXIMUM_WORKING = 3;
/** Servers at once. */
const MAXIMUM_SERVING = 8;
/** Jobs that are kept; the oldest that have ended are forgotten (CWE-770). */
const MAXIMUM_JOBS = 100;

interface Entry {
  readonly record: JobRecord;
  readonly plan: Plan;
  /** For what its commands make and remove again: one that is killed leaves it all in here. */
  readonly temporary: string;
  /** The process of now. */
  step: RunningStep | null;
  stopping: boolean;
  /** Resolves when all of it is over. */
  over: Promise<void>;
}

export class JobBoard {
  readonly #home: string;
  /** By id, the latest last. */
  readonly #entries = new Map<string, Entry>();
  #closed = false;
  /** The last start; the next waits for it. */
  #starting: Promise<unknown> = Promise.resolve();

  /** @param home `UNSEEN_HOME` of the commands. */
  constructor(home: string) {
    this.#home = home;
  }

  /** Latest first. */
  list(): Job[] {
    return [...this.#entries.values()].map(({ record }) => record.snapshot()).toReversed();
  }

  /** @throws UnseenError JOB_NOT_FOUND */
  find(id: string): JobRecord {
    return this.#entry(id).record;
  }

  /** The process that a job runs in now, or null. @throws UnseenError JOB_NOT_FOUND */
  processOf(id: string): number | null {
    return this.#entry(id).step?.processId ?? null;
  }

  /**
   * Starts a job. Plans are made one after the other, so that no two choose the same free place.
   * @param plan gets the paths that running jobs will make
   * @throws UnseenError OVERLOADED, and whatever `plan` throws; nothing of it is left then
   */
  start(kind: JobKind, plan: (taken: ReadonlySet<string>) => Promise<Plan>): Promise<Job> {
    const started = this.#starting.then(async () => this.#launch(kind, await plan(this.#taken)));
    this.#starting = started.catch(() => {});
    return started;
  }

  async #launch(kind: JobKind, plan: Plan): Promise<Job> {
    let temporary: string;
    try {
      this.#requireRoom(plan.serves ?? false);
      temporary = await mkdtemp(join(tmpdir(), "unseen-job-"));
    } catch (error) {
      await plan.cleanUp?.();
      throw explainSystemError(error, tmpdir());
    }
    const record = new JobRecord(kind, plan.subject, shownCommand(plan));
    const entry: Entry = { record, plan, temporary, step: null, stopping: false, over: Promise.resolve() };
    this.#entries.set(record.id, entry);
    this.#forgetOldest();
    entry.over = this.#run(entry);
    return record.snapshot();
  }

  #requireRoom(serves: boolean): void {
    if (this.#closed) throw new UnseenError("OVERLOADED", "the gateway is ending.", { hint: "Start it again." });
    const running = this.#running.filter(({ plan }) => (plan.serves ?? false) === serves).length;
    if (running >= (serves ? MAXIMUM_SERVING : MAXIMUM_WORKING))
      throw new UnseenError("OVERLOADED", `${running} ${serves ? "servers" : "jobs"} run already.`, {
        hint: serves ? "Stop one of them first." : "Wait until one of them has ended, or stop one.",
      });
  }

  /** Stops a job that runs and waits for its end; forgets one that has ended. @throws UnseenError JOB_NOT_FOUND */
  async remove(id: string): Promise<Job> {
    const entry = this.#entry(id);
    if (entry.record.hasEnded) this.#entries.delete(id);
    else await stop(entry);
    return entry.record.snapshot();
  }

  /** Ends all processes. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#starting;
    await Promise.all(this.#running.map(stop));
  }

  /** Paths that running jobs will make. */
  get #taken(): ReadonlySet<string> {
    return new Set(this.#running.flatMap(({ plan }) => plan.output ?? []));
  }

  get #running(): Entry[] {
    return [...this.#entries.values()].filter(({ record }) => !record.hasEnded);
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry) return entry;
    throw new UnseenError("JOB_NOT_FOUND", "there is no such job; it was forgotten, or the gateway has been started anew since.", {
      hint: "Load the page again.",
    });
  }

  /** Never rejects: how it ended is in the record. */
  async #run(entry: Entry): Promise<void> {
    const { record, plan } = entry;
    const last = plan.steps.length - 1;
    let result: object | null = null;
    try {
      for (const [at, step] of plan.steps.entries()) {
        const serving = plan.serves === true && at === last;
        const end = await this.#runStep(entry, step, serving);
        if (entry.stopping) return record.end(end.result && !serving ? "done" : "stopped", { result: end.result, failure: null });
        if (end.failure) return record.end("failed", end);
        // A server that ends by itself does not do what it is for.
        if (serving)
          return record.end("failed", {
            result: null,
            failure: { code: "JOB_FAILED", message: "the server ended by itself.", hint: "Start it again." },
          });
        if (at < last && end.result) record.detail("made", end.result);
        result = end.result;
      }
      record.end("done", { result, failure: null });
    } finally {
      entry.step = null;
      await plan.cleanUp?.().catch(() => {});
      // Processes that a killed command had started end in this moment, and may still write.
      await rm(entry.temporary, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }).catch(() => {});
    }
  }

  #runStep(entry: Entry, step: Step, serving: boolean): RunningStep["ended"] {
    entry.step = runStep(
      step,
      { home: this.#home, temporary: entry.temporary },
      {
        onMessage: (message) => entry.record.take(message),
        onResult: (result) => serving && entry.record.becomeReady(result),
      },
    );
    return entry.step.ended;
  }

  #forgetOldest(): void {
    for (const [id, { record }] of this.#entries) {
      if (this.#entries.size <= MAXIMUM_JOBS) return;
      if (record.hasEnded) this.#entries.delete(id);
    }
  }
}

async function stop(entry: Entry): Promise<void> {
  entry.stopping = true;
  entry.step?.stop();
  await entry.over;
}
