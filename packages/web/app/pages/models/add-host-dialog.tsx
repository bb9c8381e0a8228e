/**
 * Adds a host.
 * @module
 */
import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import type { NewHost } from "../../../src/protocol/library.ts";
import { keys } from "../../api/library.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { TextField } from "../../parts/field.tsx";
import { SubmissionFailure } from "../../parts/submission-failure.tsx";
import { useSubmission } from "../../parts/use-submission.ts";
import { addHost } from "./hosts.ts";
import style from "./models.module.css";

const MAXIMUM_POLICY = 65_536; // characters

export function AddHostDialog({ url: given, onClose }: { readonly url: string; readonly onClose: () => void }): JSX.Element {
  const [url, setUrl] = useState(given || "http://127.0.0.1:8801");
  const [apiKey, setApiKey] = useState("");
  const [model, setModel] = useState("");
  const [policy, setPolicy] = useState("");
  const [passphrase, setPassphrase] = useState("");
  const { busy, failure, submit } = useSubmission();
  const begin = (): void =>
    submit(async () => {
      const filled = Object.entries({ apiKey, policy, model: model.trim(), passphrase }).filter(([, value]) => value !== "");
      const row = await addHost({ url: url.trim(), ...Object.fromEntries(filled) } as NewHost);
      announce(row.models.length > 0 ? `The host serves ${row.models.join(", ")}.` : "The host was added.");
      onClose();
    });
  return (
    <Dialog
      title="Add a host"
      onClose={onClose}
      onSubmit={begin}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={busy}>
            {busy ? "Asking the host" : "Add"}
          </Button>
        </>
      }
    >
      <div class={style["form"]}>
        <TextField
          name="Address"
          hint="The host is asked at once, and stays in the list until you remove it."
          value={url}
          onInput={setUrl}
          type="url"
          required
          autofocus
        />
        <TextField name="API key" hint="Where the host asks for one." value={apiKey} onInput={setApiKey} type="password" />
        {keys.value.some(({ protection }) => protection === "passphrase") && (
          <TextField
            name="Passphrase of the model's key"
            hint="Where the key asks for one. It is not kept."
            value={passphrase}
            onInput={setPassphrase}
            type="password"
          />
        )}
        <details open={policy !== "" || model !== ""}>
          <summary>Stock engines and enclaves</summary>
          <div class={style["form"]}>
            <TextField
              name="Name of the model"
              hint="For vLLM, SGLang and llama.cpp, which do not say which encrypted model they serve."
              value={model}
              onInput={setModel}
            />
            <PolicyField policy={policy} onInput={setPolicy} />
          </div>
        </details>
        <SubmissionFailure failure={failure} />
      </div>
    </Dialog>
  );
}

function PolicyField({ policy, onInput }: { readonly policy: string; readonly onInput: (policy: string) => void }): JSX.Element {
  const id = useId();
  const [mistake, setMistake] = useState<string | null>(null);
  const read = async (input: HTMLInputElement): Promise<void> => {
    const [file] = input.files ?? [];
    // The same file may be chosen again once it was changed.
    input.value = "";
    if (!file) return;
    const fits = file.size <= MAXIMUM_POLICY;
    setMistake(fits ? null : `This file has ${file.size} bytes; a policy has at most ${MAXIMUM_POLICY}.`);
    if (fits) onInput(await file.text());
  };
  return (
    <>
      <TextField
        name="Attestation policy"
        hint="JSON. Nothing is sent to the host before its evidence satisfies this. The command npx unseen attest policy writes one."
        lines={4}
        value={policy}
        onInput={onInput}
        mistake={mistake}
      />
      <div class="field">
        <label class="name" for={id}>
          Policy from a file
        </label>
        <input id={id} type="file" accept=".json,application/json" onChange={(event) => void read(event.currentTarget)} />
      </div>
    </>
  );
}
