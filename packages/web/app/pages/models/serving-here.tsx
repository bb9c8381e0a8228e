/**
 * A host on this machine: its process, and whether it has joined the gateway's hosts.
 * @module
 */
import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Job } from "../../../src/protocol/jobs.ts";
import { asksForPassphrase } from "../../api/library.ts";
import { Button } from "../../parts/button.tsx";
import { TextField } from "../../parts/field.tsx";
import { JobView } from "../../parts/job-view.tsx";
import { FailureNotice } from "../../parts/notice.tsx";
import { forgetJob, joinHost, joining } from "./jobs.ts";
import { fieldOf } from "./names.ts";

export function ServingHere({
  job,
  title = "Host on this machine",
  keyName,
}: {
  readonly job: ReadonlySignal<Job>;
  readonly title?: string;
  /** Of the model's key. */
  readonly keyName: string | null;
}): JSX.Element {
  const url = fieldOf(job.value.result, "url");
  const state = joining.value.get(job.value.id);
  return (
    <JobView job={job} title={title} onForget={() => forgetJob(job.value)}>
      {job.value.state === "ready" && (
        <p class="small quiet">
          It answers at <code>{url}</code>. It hides nothing from you: it is your own machine.
          {state === null && " It is joining the gateway's hosts."}
        </p>
      )}
      {job.value.state === "ready" && state && (
        <>
          <FailureNotice failure={state} />
          <JoinAgain job={job.value} asks={asksForPassphrase(keyName)} />
        </>
      )}
    </JobView>
  );
}

function JoinAgain({ job, asks }: { readonly job: Job; readonly asks: boolean }): JSX.Element {
  const [passphrase, setPassphrase] = useState("");
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void joinHost(job, passphrase || undefined);
      }}
    >
      {asks && <TextField name="Passphrase of its key" type="password" value={passphrase} onInput={setPassphrase} required />}
      <div class="row">
        <Button type="submit">Try again</Button>
      </div>
    </form>
  );
}
