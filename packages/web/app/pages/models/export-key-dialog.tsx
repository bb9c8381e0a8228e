/**
 * Saves a key as a file, sealed with a passphrase of its own.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { KeyExport, KeyRow } from "../../../src/protocol/library.ts";
import { download } from "../../api/console.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { TextField } from "../../parts/field.tsx";
import { CommandLine } from "../../parts/job-view.tsx";
import { NewPassphrase, NOTHING_TYPED, passphraseMistake } from "../../parts/new-passphrase.tsx";
import { saveFile } from "../../parts/save-file.ts";
import { SubmissionFailure } from "../../parts/submission-failure.tsx";
import { useSubmission } from "../../parts/use-submission.ts";

export function ExportKeyDialog({ row, onClose }: { readonly row: KeyRow; readonly onClose: () => void }): JSX.Element {
  const [current, setCurrent] = useState("");
  const [typed, setTyped] = useState(NOTHING_TYPED);
  const [mistake, setMistake] = useState<string | null>(null);
  const { busy, failure, submit } = useSubmission();
  const asks = row.protection === "passphrase";
  const begin = (): void => {
    const found = passphraseMistake(typed);
    setMistake(found);
    if (found !== null) return;
    submit(async () => {
      const body: KeyExport = { passphrase: typed.first, ...(asks ? { current } : {}) };
      const file = await download(`/console/keys/${encodeURIComponent(row.name)}/export`, { method: "POST", body });
      saveFile(file, `${row.name}.age`);
      announce(`The key ${row.name} was saved as ${row.name}.age.`);
      onClose();
    });
  };
  return (
    <Dialog
      title={`Export the key ${row.name}`}
      onClose={onClose}
      onSubmit={begin}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" icon="download" type="submit" disabled={busy}>
            Export
          </Button>
        </>
      }
    >
      <p>
        Whoever has this file and its passphrase reads everything that is said to the models under the key, also what was recorded before.
        If all copies of the key are lost, those models are of no use to anybody.
      </p>
      {asks && <TextField name="Passphrase of the key now" type="password" value={current} onInput={setCurrent} required autofocus />}
      <NewPassphrase name="Passphrase of the file" typed={typed} mistake={mistake} onInput={setTyped} />
      <p class="quiet small">It is an age file. On another machine:</p>
      <CommandLine command={`npx unseen key import ${row.name}.age`} />
      <SubmissionFailure failure={failure} />
    </Dialog>
  );
}
