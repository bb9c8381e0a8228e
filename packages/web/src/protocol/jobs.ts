/**
 * Jobs: long work in a process of its own, each the same as one command of the command line.
 *
 * | request                                  | body           | answer                                                          |
 * | ---------------------------------------- | -------------- | --------------------------------------------------------------- |
 * | `GET /console/jobs`                      |                | `{jobs: Job[]}`, latest first                                   |
 * | `POST /console/jobs`                     | {@link NewJob} | {@link Job}                                                     |
 * | `GET /console/jobs/ID`                   |                | {@link Job}                                                     |
 * | `GET /console/jobs/ID/stream`            |                | server-sent {@link JobEvent}s, first a `snapshot`; ends with it |
 * | `DELETE /console/jobs/ID`                |                | {@link Job}; stops it, or forgets it when it has ended          |
 * @module
 */
import type { Failure } from "./failure.ts";

export type NewJob =
  | { readonly kind: "pull"; readonly repository: string; readonly revision?: string }
  | {
      readonly kind: "encrypt";
      /** A path, as the library lists it or as typed. */
      readonly model: string;
      readonly strength: "permute" | "rotate";
      readonly key: string;
      readonly name?: string;
      readonly format?: "safetensors" | "gguf";
      readonly precision?: "f32" | "f16" | "bf16";
      readonly passphrase?: string;
    }
  /** A blind host on this machine, for trying; its result comes when it is ready, and it runs until it is stopped. */
  | { readonly kind: "serve"; readonly model: string; readonly plain?: boolean }
  | {
      readonly kind: "attack";
      readonly model: string;
      readonly base?: string;
      readonly traffic?: string;
      readonly attacks?: readonly string[];
      readonly keys: number;
      readonly budget: number;
      /** Names. */
      readonly defences?: readonly string[];
      readonly passphrase?: string;
    }
  /** Splits a model for two servers. */
  | {
      readonly kind: "share";
      readonly model: string;
      readonly bits: 8 | 16;
      readonly key: string;
      readonly name?: string;
      readonly passphrase?: string;
    }
  /** One of two servers on this machine, for trying. */
  | { readonly kind: "serve-shares"; readonly directory: string }
  /** Every protection on one model, side by side. */
  | { readonly kind: "compare"; readonly model?: string; readonly roundTrip?: number; readonly quick?: boolean }
  /** Where the model of the private picture can be cut, and what each cut takes here. */
  | { readonly kind: "cuts"; readonly model?: string }
  | {
      readonly kind: "leak";
      readonly model?: string;
      readonly cut: number;
      readonly noise: number;
      readonly bits: number;
      readonly effort: "quick" | "full";
    }
  | {
      readonly kind: "private-run";
      /** Base64 of the picture's file; it is never written to a disk. */
      readonly picture: string;
      /** Absent: hub, enclave and creator on this machine, the enclave simulated. */
      readonly hub?: { readonly url: string; readonly key: string; readonly model: string; readonly policy: string };
      readonly cut: number;
      readonly scheme?: "ckks" | "bfv";
      readonly noise?: number;
      readonly bits?: number;
    }
  | {
      readonly kind: "contest";
      readonly date?: string;
      readonly prompt?: string;
      readonly response?: string;
      readonly practice?: boolean;
      readonly model?: string;
      readonly passphrase?: string;
    };

export type JobKind = NewJob["kind"];

/** `ready`: it serves until it is stopped. */
export type JobState = "running" | "ready" | "done" | "failed" | "stopped";

export interface Job {
  readonly id: string;
  readonly kind: JobKind;
  /** What it works on, for a person. */
  readonly subject: string;
  /** The command line that does the same, secrets left out. */
  readonly command: string;
  readonly state: JobState;
  /** ISO 8601, UTC. */
  readonly started: string;
  readonly ended: string | null;
  readonly progress: JobProgress | null;
  /** What it printed for a person, as far as it is kept. */
  readonly lines: readonly string[];
  /** What it told of, in order: `{kind: "attack", ...}`, `{kind: "stage", ...}`, `{kind: "view", ...}`. */
  readonly details: readonly JobDetail[];
  /** The object of `--json`, once there is one. */
  readonly result: unknown;
  readonly failure: Failure | null;
}

export interface JobProgress {
  readonly label: string;
  readonly done: number;
  /** 0: unknown. */
  readonly total: number;
}

/** Something that happened in a job and that a page shows; which kinds there are, each page says. */
export interface JobDetail {
  readonly kind: string;
  readonly value: unknown;
}

export type JobEvent =
  | { readonly kind: "snapshot"; readonly job: Job }
  | { readonly kind: "progress"; readonly progress: JobProgress | null }
  | { readonly kind: "line"; readonly line: string }
  | { readonly kind: "detail"; readonly detail: JobDetail }
  /** Its state or its result changed. */
  | { readonly kind: "change"; readonly job: Omit<Job, "lines" | "details"> };
