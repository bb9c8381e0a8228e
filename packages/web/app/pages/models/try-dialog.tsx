/**
 * Starts a host on this machine.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { EncryptedRow } from "../../../src/protocol/library.ts";
import { asksForPassphrase } from "../../api/library.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { TextField } from "../../parts/field.tsx";
import { SubmissionFailure } from "../../parts/submission-failure.tsx";
import { useSubmission } from "../../parts/use-submission.ts";
import { beginJob } from "./jobs.ts";

export function TryDialog({ row, onClose }: { readonly row: EncryptedRow; readonly onClose: () => void }): JSX.Element {
  const [passphrase, setPassphrase] = useState("");
  const { busy, failure, submit } = useSubmission();
  const asks = asksForPassphrase(row.key);
  return (
    <Dialog
      title={`Try ${row.name} on this machine`}
      onClose={onClose}
      onSubmit={() =>
        submit(async () => {
          await beginJob({ kind: "serve", model: row.path }, asks ? passphrase : undefined);
          onClose();
        })
      }
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={busy}>
            Start
          </Button>
        </>
      }
    >
      <p>
        A host starts here as a process of its own, with the encrypted model and without the key. This shows how it works. It hides nothing
        from anybody: the host is your own machine.
      </p>
      {asks && (
        <TextField
          name="Passphrase of its key"
          hint={`The key ${row.key} asks for one. It stays in the gateway's memory.`}
          type="password"
          value={passphrase}
          onInput={setPassphrase}
          required
          autofocus
        />
      )}
      <SubmissionFailure failure={failure} />
    </Dialog>
  );
}
