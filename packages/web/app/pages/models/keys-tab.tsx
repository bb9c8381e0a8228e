/**
 * The keys of this home. Their secrets are shown nowhere.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { KeyRow } from "../../../src/protocol/library.ts";
import { library, libraryFailure, refreshLibrary } from "../../api/library.ts";
import { Button } from "../../parts/button.tsx";
import { Empty, FailureNotice } from "../../parts/notice.tsx";
import { count, moment } from "../../parts/numbers.ts";
import { ExportKeyDialog } from "./export-key-dialog.tsx";
import style from "./models.module.css";
import { NewKeyDialog } from "./new-key-dialog.tsx";

export function KeysTab(): JSX.Element {
  const [making, setMaking] = useState(false);
  const [exported, setExported] = useState<KeyRow | null>(null);
  useEffect(() => void refreshLibrary(), []);
  const rows = library.value?.keys;
  return (
    <section class="stack" aria-label="Keys">
      <p class={style["worth"]}>
        A key turns words into numbers and back. Whoever has it reads all that was ever said to the models under it. Without it nobody can
        use them, you neither: keep a copy.
      </p>
      <div class="row">
        <Button kind="primary" icon="key" disabled={!rows} onClick={() => setMaking(true)}>
          New key
        </Button>
      </div>
      <FailureNotice failure={libraryFailure.value} />
      {rows?.length === 0 && (
        <Empty title="No key yet" icon="key">
          <p>Here will be your keys. Make one, or encrypt a model: the first one makes the key called default.</p>
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <ul class={style["rows"]}>
          {rows.map((row) => (
            <li key={row.id}>
              <div class={style["what"]}>
                <div class="row">
                  <h3>{row.name}</h3>
                  <span class={`badge ${row.protection === "passphrase" ? "good" : ""}`}>
                    {row.protection === "passphrase" ? "asks for a passphrase" : "opens without asking"}
                  </span>
                </div>
                <p class="quiet small">
                  <span class="mono">{row.id}</span>
                  {row.created && <>, made {moment(row.created)}</>}
                </p>
                <p class="small">
                  {row.models.length === 0 ? "No model is under it." : `${count(row.models.length, "model")}: ${row.models.join(", ")}`}
                </p>
              </div>
              <Button icon="download" onClick={() => setExported(row)}>
                Export<span class="only-heard"> the key {row.name}</span>
              </Button>
            </li>
          ))}
        </ul>
      )}
      {!rows && !libraryFailure.value && <p class="quiet">Loading</p>}
      {making && <NewKeyDialog taken={rows?.map(({ name }) => name) ?? []} onClose={() => setMaking(false)} />}
      {exported && <ExportKeyDialog row={exported} onClose={() => setExported(null)} />}
    </section>
  );
}
