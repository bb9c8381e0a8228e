/**
 * What each cut costs on this machine: the job `cuts`, once for each start of the gateway.
 * @module
 */
import { computed, signal, type ReadonlySignal } from "@preact/signals";
import type { Job } from "../../../src/protocol/jobs.ts";
import { findJobs, startJob } from "../../api/jobs.ts";

/** One cut as `unseen cuts --calibrate --json` prints it, as far as it is shown. */
export interface CutCost {
  readonly cut: number;
  readonly layers: readonly string[];
  /** (channels, height, width) */
  readonly features: readonly [number, number, number];
  readonly parameters: { readonly scheme: "ckks" | "bfv" };
  /** Evaluation keys, the picture, the features. */
  readonly keyBytes: number;
  readonly uploadBytes: number;
  readonly downloadBytes: number;
  /** On ciphertext; null where it was not measured. */
  readonly seconds: number | null;
  /** Why it is not offered; null where it is. */
  readonly refused: string | null;
}

/** null before it was asked for. */
export const cutsJob = signal<ReadonlySignal<Job> | null>(null);

/** null until it is known. */
export const cuts = computed(() => {
  const job = cutsJob.value?.value;
  return job?.state === "done" ? (job.result as { readonly cuts: readonly CutCost[] }).cuts : null;
});

/** Finds what was measured, or measures it. @throws ConsoleError */
export async function measureCuts({ anew = false } = {}): Promise<void> {
  const found = anew ? undefined : (await findJobs("cuts")).find(({ value }) => value.state === "done" || value.state === "running");
  cutsJob.value = found ?? (await startJob({ kind: "cuts" }));
}

/** What `private-run` takes by itself: whole numbers where the cut has them. */
export function costOf(cut: number, known: readonly CutCost[]): CutCost | null {
  const offered = known.filter((one) => one.cut === cut && one.refused === null);
  return offered.find(({ parameters }) => parameters.scheme === "bfv") ?? offered[0] ?? null;
}
