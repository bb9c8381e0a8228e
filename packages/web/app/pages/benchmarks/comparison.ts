/**
 * The last comparison, and the one that runs.
 * @module
 */
import { signal, type ReadonlySignal } from "@preact/signals";
import type { Comparison } from "../../../src/protocol/comparison.ts";
import type { Failure } from "../../../src/protocol/failure.ts";
import type { Job, NewJob } from "../../../src/protocol/jobs.ts";
import { failureOf, request } from "../../api/console.ts";
import { findJobs, isActive, settled, startJob } from "../../api/jobs.ts";
import { announce } from "../../parts/announcer.tsx";

/** The last one that was kept; undefined before the first answer, null where there is none. */
export const lastComparison = signal<Comparison | null | undefined>(undefined);

export const comparisonFailure = signal<Failure | null>(null);

/** The one that runs, or the last that did not end well; null otherwise. */
export const comparing = signal<ReadonlySignal<Job> | null>(null);

/** Asks for the last one, and finds one that runs. */
export async function refreshComparison(): Promise<void> {
  try {
    const [{ comparison }, [latest]] = await Promise.all([
      request<{ comparison: Comparison | null }>("/console/comparison"),
      findJobs("compare"),
    ]);
    lastComparison.value = comparison;
    comparisonFailure.value = null;
    if (latest && isActive(latest.value)) void attend(latest);
  } catch (error) {
    comparisonFailure.value = failureOf(error);
  }
}

/** @throws ConsoleError */
export async function beginComparison(asked: Extract<NewJob, { kind: "compare" }>): Promise<void> {
  void attend(await startJob(asked));
}

/** Takes what ended without a result off the page. */
export function forgetComparison(): void {
  comparing.value = null;
}

async function attend(job: ReadonlySignal<Job>): Promise<void> {
  if (comparing.value === job) return;
  comparing.value = job;
  const { state } = await settled(job);
  if (state !== "done") return announce(`The comparison was ${state === "stopped" ? "stopped" : "not finished"}.`);
  await refreshComparison();
  if (comparing.value === job) comparing.value = null;
  announce("The comparison is done.");
}
