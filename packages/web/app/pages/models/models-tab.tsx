/**
 * What lies here: encrypted models, models in clear, and the work on them.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { library, libraryFailure, refreshLibrary } from "../../api/library.ts";
import { status } from "../../api/status.ts";
import { Button } from "../../parts/button.tsx";
import { Empty, FailureNotice } from "../../parts/notice.tsx";
import { EncryptDialog } from "./encrypt-dialog.tsx";
import { EncryptedCard } from "./encrypted-card.tsx";
import { JobList } from "./job-list.tsx";
import { jobsFailure, refreshJobs } from "./jobs.ts";
import { PlainList } from "./plain-list.tsx";
import { PullDialog } from "./pull-dialog.tsx";

/** The form that is open, and what it begins with. */
type Opened = { readonly form: "pull"; readonly repository: string } | { readonly form: "encrypt"; readonly path: string | null } | null;

export function ModelsTab(): JSX.Element {
  const [opened, setOpened] = useState<Opened>(null);
  useEffect(() => void Promise.all([refreshLibrary(), refreshJobs()]), []);
  const encrypt = (path: string | null): void => setOpened({ form: "encrypt", path });
  const pull = (repository = ""): void => setOpened({ form: "pull", repository });
  const rows = library.value?.encrypted;
  return (
    <>
      <div class="row">
        <Button kind="primary" icon="lock" disabled={library.value === null} onClick={() => encrypt(null)}>
          Encrypt a model
        </Button>
        <Button icon="download" onClick={() => pull()}>
          Download a model
        </Button>
      </div>
      <FailureNotice failure={libraryFailure.value ?? jobsFailure.value} />
      <JobList onEncrypt={encrypt} onPullAgain={pull} />
      <section class="stack" aria-label="Encrypted models">
        <h2>Encrypted models</h2>
        {rows?.map((row) => (
          <EncryptedCard
            key={row.path}
            row={row}
            offered={status.value?.models.filter((model) => model.fingerprint === row.fingerprint) ?? []}
          />
        ))}
        {rows?.length === 0 && (
          <Empty title="No encrypted model yet" icon="lock">
            <p>Here will be the models that a host may get. Encrypt one of those below; it takes seconds for a small one.</p>
          </Empty>
        )}
        {!rows && !libraryFailure.value && <p class="quiet">Loading</p>}
      </section>
      {library.value && (
        <section class="stack" aria-label="Models in clear">
          <h2>Models in clear</h2>
          <p class="quiet">They stay on this machine. Only what is encrypted from them goes to a host.</p>
          <PlainList rows={library.value.plain} onEncrypt={encrypt} />
          <p class="quiet small">
            Models, keys and all else lie in <code>{library.value.home}</code>.
          </p>
        </section>
      )}
      {opened?.form === "pull" && <PullDialog repository={opened.repository} onClose={() => setOpened(null)} />}
      {opened?.form === "encrypt" && <EncryptDialog path={opened.path} onClose={() => setOpened(null)} />}
    </>
  );
}
