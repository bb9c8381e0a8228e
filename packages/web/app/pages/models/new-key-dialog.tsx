/**
 * Makes a key.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { KeyRow, NewKey } from "../../../src/protocol/library.ts";
import { request } from "../../api/console.ts";
import { refreshLibrary } from "../../api/library.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { CheckField, TextField } from "../../parts/field.tsx";
import { NewPassphrase, NOTHING_TYPED, passphraseMistake } from "../../parts/new-passphrase.tsx";
import { SubmissionFailure } from "../../parts/submission-failure.tsx";
import { useSubmission } from "../../parts/use-submission.ts";
import { freeName, keyNameMistake } from "./names.ts";

export function NewKeyDialog({ taken, onClose }: { readonly taken: readonly string[]; readonly onClose: () => void }): JSX.Element {
  const [name, setName] = useState(() => freeName(taken.includes("default") ? "key" : "default", taken));
  const [sealed, setSealed] = useState(false);
  const [typed, setTyped] = useState(NOTHING_TYPED);
  const [mistakes, setMistakes] = useState<{ name: string | null; passphrase: string | null }>({ name: null, passphrase: null });
  const { busy, failure, submit } = useSubmission();
  const begin = (): void => {
    const found = { name: keyNameMistake(name, taken), passphrase: sealed ? passphraseMistake(typed) : null };
    setMistakes(found);
    if (found.name !== null || found.passphrase !== null) return;
    submit(async () => {
      const key: NewKey = sealed ? { name, passphrase: typed.first } : { name };
      const made = await request<KeyRow>("/console/keys", { method: "POST", body: key });
      await refreshLibrary();
      announce(`The key ${made.name} was made. Export it to keep a copy.`);
      onClose();
    });
  };
  return (
    <Dialog
      title="New key"
      onClose={onClose}
      onSubmit={begin}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={busy}>
            Make the key
          </Button>
        </>
      }
    >
      <TextField name="Name" value={name} onInput={setName} mistake={mistakes.name} required autofocus />
      <CheckField
        name="Seal it with a passphrase."
        hint={
          sealed
            ? "It opens with the passphrase alone, and you are asked for it. If the passphrase is lost, the key is lost."
            : "Without one it opens with a file beside it that your account alone can read: whoever can read your files has the key."
        }
        checked={sealed}
        onChange={setSealed}
      />
      {sealed && <NewPassphrase name="Passphrase" typed={typed} mistake={mistakes.passphrase} onInput={setTyped} />}
      <SubmissionFailure failure={failure} />
    </Dialog>
  );
}
