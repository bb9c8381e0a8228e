/**
 * Downloads a model.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { TextField } from "../../parts/field.tsx";
import { SubmissionFailure } from "../../parts/submission-failure.tsx";
import { useSubmission } from "../../parts/use-submission.ts";
import { beginJob } from "./jobs.ts";
import { repositoryMistake, repositoryOf } from "./names.ts";

export function PullDialog({ repository, onClose }: { readonly repository: string; readonly onClose: () => void }): JSX.Element {
  const [typed, setTyped] = useState(repository);
  const [revision, setRevision] = useState("");
  const [mistake, setMistake] = useState<string | null>(null);
  const { busy, failure, submit } = useSubmission();
  const begin = (): void => {
    const wanted = repositoryOf(typed);
    const found = repositoryMistake(wanted);
    setMistake(found);
    if (found !== null) return;
    submit(async () => {
      await beginJob({ kind: "pull", repository: wanted, ...(revision.trim() ? { revision: revision.trim() } : {}) });
      announce(`Downloading ${wanted}.`);
      onClose();
    });
  };
  return (
    <Dialog
      title="Download a model"
      onClose={onClose}
      onSubmit={begin}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={busy}>
            Download
          </Button>
        </>
      }
    >
      <TextField
        name="Model"
        hint="As the hub calls it, ORG/NAME, or the address of its page. The hub learns which model you download."
        placeholder="ORG/NAME"
        value={typed}
        onInput={setTyped}
        mistake={mistake}
        required
        autofocus
      />
      <TextField name="Revision" hint="A branch, tag or commit. Leave it empty for the newest." value={revision} onInput={setRevision} />
      <p class="quiet small">
        Weights, configuration and text are taken, never code. A model that asks for a token needs HF_TOKEN where the gateway was started.
      </p>
      <SubmissionFailure failure={failure} />
    </Dialog>
  );
}
