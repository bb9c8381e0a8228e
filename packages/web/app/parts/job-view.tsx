/**
 * A job: how far it is, what it prints, the command that does the same, and how to stop it.
 * @module
 */
import type { ReadonlySignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import type { Job, JobState } from "../../src/protocol/jobs.ts";
import { failureOf } from "../api/console.ts";
import { endJob, isActive } from "../api/jobs.ts";
import { announce } from "./announcer.tsx";
import { Button, CopyButton } from "./button.tsx";
import { duration } from "./numbers.ts";
import { FailureNotice } from "./notice.tsx";

const WORDS: Readonly<Record<JobState, string>> = {
  running: "running",
  ready: "running",
  done: "done",
  failed: "failed",
  stopped: "stopped",
};
const KINDS: Readonly<Record<JobState, string>> = { running: "accent", ready: "good", done: "good", failed: "bad", stopped: "" };

export function JobView({
  job: { value: job },
  title,
  onForget,
  children,
}: {
  readonly job: ReadonlySignal<Job>;
  readonly title?: string;
  /** Called once an ended job was put away. */
  readonly onForget?: () => void;
  readonly children?: ComponentChildren;
}): JSX.Element {
  const [busy, setBusy] = useState(false);
  const end = async (): Promise<void> => {
    setBusy(true);
    const active = isActive(job);
    await endJob(job).then(
      () => !active && onForget?.(),
      (error: unknown) => announce(failureOf(error).message),
    );
    setBusy(false);
  };
  return (
    <section class="card" aria-label={title ?? `${job.kind} ${job.subject}`}>
      <header class="row spread">
        <h3 class="grow">{title ?? `${job.kind} ${job.subject}`}</h3>
        <span class={`badge ${KINDS[job.state]}`}>{WORDS[job.state]}</span>
        {(isActive(job) || onForget) && (
          <Button tiny disabled={busy} onClick={() => void end()}>
            {isActive(job) ? "Stop" : "Put away"}
          </Button>
        )}
      </header>
      {job.state === "running" && job.progress && <ProgressBar {...job.progress} since={job.started} />}
      {job.state === "running" && !job.progress && (
        <ProgressBar label={job.lines.length > 0 ? "working" : "starting"} done={0} total={0} since={job.started} />
      )}
      <FailureNotice failure={job.failure} />
      {children}
      {job.lines.length > 0 && (
        <details>
          <summary>What it printed</summary>
          <pre class="output" tabIndex={0}>
            {job.lines.join("\n")}
          </pre>
        </details>
      )}
      <CommandLine command={job.command} />
    </section>
  );
}

/** The same in the terminal. */
export function CommandLine({ command }: { readonly command: string }): JSX.Element {
  return (
    <div class="command">
      <code tabIndex={0} aria-label="The same in a terminal">
        {command}
      </code>
      <CopyButton text={command} label="Copy the command" />
    </div>
  );
}

export function ProgressBar({
  label,
  done,
  total,
  since,
}: {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  readonly since?: string;
}): JSX.Element {
  const share = total > 0 ? Math.min(1, done / total) : null;
  const seconds = since ? (Date.now() - Date.parse(since)) / 1000 : 0;
  const left = share && share > 0.02 && seconds > 2 ? `, ${duration((seconds / share) * (1 - share))} left` : "";
  return (
    <div class="progress">
      <progress {...(share === null ? {} : { value: share })} max={1} aria-label={label} />
      <span class="small quiet">
        {label}
        {share === null ? "" : ` ${Math.floor(share * 100)} %${left}`}
      </span>
    </div>
  );
}
