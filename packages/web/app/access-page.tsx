/**
 * Shown to a browser that has no access code, or a wrong one.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { granted, keepAccess } from "./api/access.ts";
import { refreshStatus } from "./api/status.ts";
import { Button } from "./parts/button.tsx";
import { TextField } from "./parts/field.tsx";
import { useTitle } from "./page-frame.tsx";

export function AccessPage(): JSX.Element {
  useTitle("Access");
  const [code, setCode] = useState("");
  const [mistake, setMistake] = useState<string | null>(null);
  const submit = async (): Promise<void> => {
    keepAccess(code);
    await refreshStatus();
    if (granted.value === false) setMistake("That is not this gateway's code. The address that it printed has it after #access=.");
  };
  return (
    <main class="page stack">
      <header>
        <h1 tabIndex={-1}>This browser has no access yet</h1>
        <p class="quiet">
          The pages hold your conversations and keys, so other users and programs of this machine must not get them. Open the whole address
          that <code>npx unseen start</code> or <code>npx unseen gateway</code> printed, or paste it here.
        </p>
      </header>
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <TextField name="Address or access code" value={code} onInput={setCode} mistake={mistake} type="password" required autofocus />
        <div class="row">
          <Button kind="primary" type="submit">
            Continue
          </Button>
        </div>
      </form>
    </main>
  );
}
