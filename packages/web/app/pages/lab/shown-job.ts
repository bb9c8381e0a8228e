/**
 * A job as the parts of this page pass it on.
 * @module
 */
import type { ReadonlySignal } from "@preact/signals";
import type { Job } from "../../../src/protocol/jobs.ts";

export type ShownJob = ReadonlySignal<Job>;
