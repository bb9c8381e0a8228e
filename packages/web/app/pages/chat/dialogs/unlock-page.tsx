/**
 * Shown instead of the conversations while they are locked.
 * @module
 */
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { failureOf } from "../../../api/console.ts";
import { useTitle } from "../../../page-frame.tsx";
import { Button } from "../../../parts/button.tsx";
import { TextField } from "../../../parts/field.tsx";
import { sentence } from "../../../parts/notice.tsx";
import { unlockVault } from "../data/vault.ts";

export function UnlockPage(): JSX.Element {
  useTitle("Locked");
  const [passphrase, setPassphrase] = useState("");
  const [mistake, setMistake] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const submit = async (): Promise<void> => {
    setBusy(true);
    try {
      await unlockVault({ passphrase });
    } catch (error) {
      const { message, hint } = failureOf(error);
      setMistake(`${sentence(message)}${hint ? ` ${hint}` : ""}`);
      const field = form.current?.querySelector("input");
      field?.focus();
      field?.select();
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="page stack">
      <header>
        <h1 tabIndex={-1}>Your conversations are locked</h1>
        <p class="quiet">They lie on this machine, encrypted. Your passphrase opens them until the gateway ends or you lock them.</p>
      </header>
      <form
        ref={form}
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <TextField
          name="Passphrase"
          type="password"
          autocomplete="current-password"
          value={passphrase}
          onInput={setPassphrase}
          mistake={mistake}
          required
          autofocus
        />
        <div class="row">
          <Button kind="primary" type="submit" disabled={busy}>
            {busy ? "Opening" : "Unlock"}
          </Button>
        </div>
      </form>
    </div>
  );
}
