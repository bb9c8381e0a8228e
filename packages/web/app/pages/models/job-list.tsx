/**
 * Downloads and encryptions, and what came of them.
 * @module
 */
import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import type { Job } from "../../../src/protocol/jobs.ts";
import { library } from "../../api/library.ts";
import { Button } from "../../parts/button.tsx";
import { JobView } from "../../parts/job-view.tsx";
import { forgetJob, jobs } from "./jobs.ts";
import { FidelityText, WorthText } from "./measured.tsx";
import { fieldOf, serves } from "./names.ts";
import { ServingHere } from "./serving-here.tsx";

export function JobList({
  onEncrypt,
  onPullAgain,
}: {
  readonly onEncrypt: (path: string) => void;
  readonly onPullAgain: (repository: string) => void;
}): JSX.Element | null {
  // Hosts stand with the models that they serve, as long as these are listed.
  const shown = jobs.value.filter(
    ({ value }) => value.kind !== "serve" || (library.value !== null && !library.value.encrypted.some((row) => serves(value, row))),
  );
  if (shown.length === 0) return null;
  return (
    <section class="stack" aria-label="Work">
      <h2>Work</h2>
      {shown.map((job) => {
        if (job.value.kind === "serve")
          return <ServingHere key={job.value.id} job={job} title={`Host of ${job.value.subject} on this machine`} keyName={null} />;
        return (
          <JobView key={job.value.id} job={job} title={titleOf(job.value)} onForget={() => forgetJob(job.value)}>
            {job.value.kind === "pull" ? <Pulled job={job} {...{ onEncrypt, onPullAgain }} /> : <Encrypted job={job} />}
          </JobView>
        );
      })}
    </section>
  );
}

function titleOf({ kind, subject }: Job): string {
  return kind === "pull" ? `Download ${subject}` : `Encrypt ${subject}`;
}

function Pulled({
  job: { value: job },
  onEncrypt,
  onPullAgain,
}: {
  readonly job: ReadonlySignal<Job>;
  readonly onEncrypt: (path: string) => void;
  readonly onPullAgain: (repository: string) => void;
}): JSX.Element | null {
  const directory = fieldOf(job.result, "directory");
  if (job.state === "done" && directory !== null)
    return (
      <div class="row">
        <Button icon="lock" onClick={() => onEncrypt(directory)}>
          Encrypt it
        </Button>
      </div>
    );
  if (job.state === "failed" || job.state === "stopped")
    return (
      <div class="row">
        <Button icon="again" onClick={() => onPullAgain(job.subject)}>
          Go on
        </Button>
        <span class="quiet small">What was downloaded before is not downloaded again.</span>
      </div>
    );
  return null;
}

function Encrypted({ job: { value: job } }: { readonly job: ReadonlySignal<Job> }): JSX.Element | null {
  const fingerprint = fieldOf(job.result, "fingerprint");
  const row = library.value?.encrypted.find((candidate) => candidate.fingerprint === fingerprint);
  if (job.state !== "done" || !row) return null;
  return (
    <dl class="facts">
      <dt>Result</dt>
      <dd>
        {row.name}, in <code>{row.path}</code>
      </dd>
      <dt>Fidelity</dt>
      <dd>
        <FidelityText fidelity={row.fidelity} />
      </dd>
      <dt>Worth</dt>
      <dd>
        <WorthText worth={row.worth} />
      </dd>
    </dl>
  );
}
