/**
 * Second step: says which two servers, and switches the mode on.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { NewServers, SplitRow } from "../../../src/protocol/library.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { CheckField, SelectField, TextField } from "../../parts/field.tsx";
import { FailureNotice, Notice } from "../../parts/notice.tsx";
import { useSubmission } from "../../parts/use-submission.ts";
import { addressesHere, splits, startServersHere } from "./jobs.ts";
import { ServersHere } from "./servers-here.tsx";
import { switchOn } from "./servers.ts";

/** The gateway takes the only model that was split. */
const ONLY = "";

export function ConnectCard(): JSX.Element {
  const [chosen, setChosen] = useState(ONLY);
  const [passphrase, setPassphrase] = useState("");
  const split = splits.value.find(({ fingerprint }) => fingerprint === chosen) ?? splits.value[0];
  const common = { ...(split ? { model: split.fingerprint } : {}), ...(passphrase ? { passphrase } : {}) };
  return (
    <section class="card" aria-label="Step 2: choose two servers">
      <h2>2. Choose two servers</h2>
      {splits.value.length > 1 && (
        <SelectField
          name="Split model"
          value={split!.fingerprint}
          choices={[
            ...new Map(
              splits.value.map(({ fingerprint, name }) => [
                fingerprint,
                { value: fingerprint, label: `${name} (${fingerprint.slice(0, 8)})` },
              ]),
            ).values(),
          ]}
          onChange={setChosen}
        />
      )}
      <div class="columns">
        <Addresses common={common} />
        <Here common={common} split={split ?? null} />
      </div>
      <details>
        <summary>If the model's key has a passphrase</summary>
        <TextField name="Passphrase of the model's key" type="password" value={passphrase} onInput={setPassphrase} />
      </details>
    </section>
  );
}

type Common = Pick<NewServers, "model" | "passphrase">;

/** Two servers elsewhere. */
function Addresses({ common }: { readonly common: Common }): JSX.Element {
  const [[a, b], setUrls] = useState<readonly [string, string]>(["", ""]);
  const [allowed, setAllowed] = useState(false);
  const { busy, failure, submit } = useSubmission();
  const begin = (event: Event): void => {
    event.preventDefault();
    submit(async () => {
      await switchOn({ ...common, urls: [a.trim(), b.trim()], allowSameOperator: allowed });
      announce("Two-server mode is on.");
    });
  };
  return (
    <form class="stack" aria-label="Two operators" onSubmit={begin}>
      <h3>Two operators</h3>
      <p class="quiet">
        With nothing in common: two companies, two countries, no shared cloud account. No program can see who owns an address.
      </p>
      <TextField
        name="Address of server A"
        type="url"
        placeholder="https://a.example:8820"
        value={a}
        onInput={(url) => setUrls([url, b])}
        required
      />
      <TextField
        name="Address of server B"
        type="url"
        placeholder="https://b.example:8820"
        value={b}
        onInput={(url) => setUrls([a, url])}
        required
      />
      <CheckField
        name="Both may be one machine."
        hint="For trying: whoever owns that machine has both halves, and then this protects no more than EE."
        checked={allowed}
        onChange={setAllowed}
      />
      <FailureNotice failure={failure} />
      <div class="row">
        <Button {...(splits.value.length > 0 ? { kind: "primary" as const } : {})} type="submit" disabled={busy}>
          {busy ? "Connecting" : "Switch on"}
        </Button>
      </div>
    </form>
  );
}

/** Two servers on this machine. */
function Here({ common, split }: { readonly common: Common; readonly split: SplitRow | null }): JSX.Element {
  const { busy, failure, submit } = useSubmission();
  const ready = addressesHere.value;
  const begin = (): void =>
    submit(async () => {
      const urls = ready.length >= 2 ? ([ready[0]!, ready[1]!] as const) : await startServersHere(split!.directories);
      await switchOn({ ...common, urls, allowSameOperator: true });
      announce("Two-server mode is on, with both servers on this machine.");
    });
  return (
    <div class="stack" role="group" aria-label="On this machine, for trying">
      <h3>On this machine, for trying</h3>
      <Notice kind="warning">One owner has both halves: this shows how it works, and protects no more than EE.</Notice>
      {split === null && ready.length < 2 && <p class="quiet">Split a model first.</p>}
      <FailureNotice failure={failure} />
      <div class="row">
        <Button disabled={busy || (split === null && ready.length < 2)} onClick={begin}>
          {busy ? "Starting" : ready.length >= 2 ? "Switch on with these two" : "Start two servers here"}
        </Button>
      </div>
      <ServersHere />
    </div>
  );
}
