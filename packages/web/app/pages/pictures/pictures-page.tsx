/**
 * Private picture: a picture is classified by a model whose creator, hub and machine never get it, and one sees what each got.
 * @module
 */
import { signal, type ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure } from "../../../src/protocol/failure.ts";
import type { Job } from "../../../src/protocol/jobs.ts";
import { failureOf } from "../../api/console.ts";
import { findJobs, isActive, startJob } from "../../api/jobs.ts";
import { PageFrame } from "../../page-frame.tsx";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { toBase64 } from "../../parts/bytes.ts";
import { FailureNotice } from "../../parts/notice.tsx";
import { CutSettings } from "./cut-settings.tsx";
import { draft } from "./draft.ts";
import { HubFields } from "./hub-fields.tsx";
import { picture } from "./picture-file.ts";
import { PictureInput } from "./picture-input.tsx";
import { RunView } from "./run-view.tsx";

/** The run that is shown; null: one is being prepared. */
const run = signal<ReadonlySignal<Job> | null>(null);

export default function PicturesPage(): JSX.Element {
  useEffect(() => {
    if (run.value) return;
    findJobs("private-run").then(
      ([latest]) => (run.value ??= latest && isActive(latest.value) ? latest : null),
      () => {},
    );
  }, []);
  const job = run.value;
  const again = (): void => {
    run.value = null;
    document.querySelector<HTMLElement>("h1")?.focus();
    scrollTo(0, 0);
  };
  return (
    <PageFrame
      title="Private picture"
      summary="A picture goes through a model of somebody else. You see what each party gets of it. The creator gets features, and these can show the picture: look at the figures first."
    >
      {job ? <RunView job={job} onAgain={again} /> : <Preparation />}
    </PageFrame>
  );
}

function Preparation(): JSX.Element {
  const [failure, setFailure] = useState<Failure | null>(null);
  const [sending, setSending] = useState(false);
  const chosen = picture.value;
  const send = async (): Promise<void> => {
    if (!chosen || sending) return;
    const { place, hub, settings } = draft.value;
    setSending(true);
    setFailure(null);
    try {
      run.value = await startJob({
        kind: "private-run",
        picture: toBase64(chosen.bytes),
        ...settings,
        ...(place === "hub" ? { hub } : {}),
      });
      announce("Your picture is on its way.");
      scrollTo(0, 0);
    } catch (error) {
      setFailure(failureOf(error));
      setSending(false);
    }
  };
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <section class="card" aria-labelledby="model-and-cut">
        <h2 id="model-and-cut">1. Model and cut</h2>
        <HubFields />
        <CutSettings />
      </section>
      <section class="card" aria-labelledby="picture">
        <h2 id="picture">2. Picture</h2>
        <PictureInput />
      </section>
      <FailureNotice failure={failure} />
      <div class="row">
        <Button kind="primary" type="submit" icon="send" disabled={!chosen || sending}>
          {sending ? "Sending" : "Send it through"}
        </Button>
        {!chosen && <span class="quiet">Choose a picture first.</span>}
      </div>
    </form>
  );
}
