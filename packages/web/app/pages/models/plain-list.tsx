/**
 * Models in clear.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ModelRow } from "../../../src/protocol/library.ts";
import { deleteModel } from "../../api/library.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { Confirm } from "../../parts/dialog.tsx";
import { FailureNotice } from "../../parts/notice.tsx";
import { byteSize } from "../../parts/numbers.ts";
import { useSubmission } from "../../parts/use-submission.ts";
import { focusHeading } from "./focus-heading.ts";
import style from "./models.module.css";

export function PlainList({
  rows,
  onEncrypt,
}: {
  readonly rows: readonly ModelRow[];
  readonly onEncrypt: (path: string) => void;
}): JSX.Element {
  return (
    <ul class={style["rows"]}>
      {rows.map((row) => (
        <PlainItem key={row.path} row={row} onEncrypt={onEncrypt} />
      ))}
    </ul>
  );
}

function PlainItem({ row, onEncrypt }: { readonly row: ModelRow; readonly onEncrypt: (path: string) => void }): JSX.Element {
  const [asking, setAsking] = useState(false);
  const deleting = useSubmission();
  const remove = (): void =>
    deleting.submit(async () => {
      await deleteModel(row.path);
      announce(`${row.name} was deleted.`);
      focusHeading();
    });
  return (
    <li>
      <div class={style["what"]}>
        <div class="row">
          <h3>{row.name}</h3>
          {row.bundled && <span class="badge">comes along</span>}
        </div>
        <p class="quiet small">
          {row.family ?? "unknown family"}, {byteSize(row.bytes)}
        </p>
        <p class="quiet small mono">{row.path}</p>
        <FailureNotice failure={deleting.failure} />
      </div>
      <div class="row">
        <Button icon="lock" onClick={() => onEncrypt(row.path)}>
          Encrypt<span class="only-heard"> {row.name}</span>
        </Button>
        {!row.bundled && (
          <Button kind="plain" icon="trash" disabled={deleting.busy} onClick={() => setAsking(true)}>
            Delete<span class="only-heard"> {row.name}</span>
          </Button>
        )}
      </div>
      {asking && (
        <Confirm title={`Delete ${row.name}?`} action="Delete" onConfirm={remove} onClose={() => setAsking(false)}>
          Its files are deleted: {row.path}, {byteSize(row.bytes)}. What was encrypted from it stays, and can be used without it.
        </Confirm>
      )}
    </li>
  );
}
