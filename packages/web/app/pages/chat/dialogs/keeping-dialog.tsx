/**
 * How conversations are kept: what opens them, and what that means.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Failure } from "../../../../src/protocol/failure.ts";
import { failureOf } from "../../../api/console.ts";
import { announce } from "../../../parts/announcer.tsx";
import { Button } from "../../../parts/button.tsx";
import { Dialog } from "../../../parts/dialog.tsx";
import { FailureNotice } from "../../../parts/notice.tsx";
import { NewPassphrase, NOTHING_TYPED, passphraseMistake } from "../../../parts/new-passphrase.tsx";
import { clearAllDrafts } from "../data/drafts.ts";
import { changePassphrase, lockVault, vault } from "../data/vault.ts";

export function KeepingDialog({ onClose }: { readonly onClose: () => void }): JSX.Element {
  const [typed, setTyped] = useState(NOTHING_TYPED);
  const [mistake, setMistake] = useState<string | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const guarded = vault.value?.protection === "passphrase";
  const change = async (to: string | null, said: string): Promise<void> => {
    setBusy(true);
    setFailure(null);
    try {
      await changePassphrase({ passphrase: to });
      announce(said);
      onClose();
    } catch (error) {
      setFailure(failureOf(error));
    } finally {
      setBusy(false);
    }
  };
  const submit = (): void => {
    const wrong = passphraseMistake(typed);
    setMistake(wrong);
    if (wrong === null) void change(typed.first, "The passphrase is set.");
  };
  const lock = async (): Promise<void> => {
    clearAllDrafts();
    await lockVault().then(onClose, (error: unknown) => setFailure(failureOf(error)));
  };
  return (
    <Dialog
      title="How conversations are kept"
      onClose={onClose}
      onSubmit={submit}
      actions={
        <>
          {guarded && (
            <>
              <Button icon="lock" onClick={() => void lock()}>
                Lock now
              </Button>
              <Button disabled={busy} onClick={() => void change(null, "The identity file opens them from now on.")}>
                Remove the passphrase
              </Button>
            </>
          )}
          <Button kind="primary" type="submit" disabled={busy}>
            {busy ? "One moment" : guarded ? "Change the passphrase" : "Set a passphrase"}
          </Button>
        </>
      }
    >
      <p>
        Conversations lie on this machine alone, as encrypted files.{" "}
        {guarded
          ? "Your passphrase opens them, after each start of the gateway."
          : "The identity file of your keys opens them without asking: whoever can read your files can read them."}
      </p>
      <FailureNotice failure={failure} />
      <NewPassphrase name={guarded ? "New passphrase" : "Passphrase"} typed={typed} mistake={mistake} onInput={setTyped} />
      <p class="small quiet">If it is lost, nobody can open these conversations any more. An export is a way to keep a copy, in clear.</p>
    </Dialog>
  );
}
