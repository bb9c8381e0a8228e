/**
 * One encrypted model: what it is, what was measured on it, and who serves it.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { EncryptedRow, OfferedRow, Protection } from "../../../src/protocol/library.ts";
import { isActive } from "../../api/jobs.ts";
import { deleteModel } from "../../api/library.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { Confirm } from "../../parts/dialog.tsx";
import { FailureNotice } from "../../parts/notice.tsx";
import { byteSize, moment } from "../../parts/numbers.ts";
import { useSubmission } from "../../parts/use-submission.ts";
import { Copied } from "./copied.tsx";
import { focusHeading } from "./focus-heading.ts";
import { jobs } from "./jobs.ts";
import { FidelityText, WorthText } from "./measured.tsx";
import { serves } from "./names.ts";
import { ServingHere } from "./serving-here.tsx";
import { TryDialog } from "./try-dialog.tsx";

const PROTECTIONS: Readonly<Record<Protection, string>> = { ee: "EE", "ee+tee": "EE + TEE", shares: "two servers" };

export function EncryptedCard({ row, offered }: { readonly row: EncryptedRow; readonly offered: readonly OfferedRow[] }): JSX.Element {
  const chattable = offered.find(({ task }) => task === "chat");
  const [opened, setOpened] = useState<"try" | "delete" | null>(null);
  const deleting = useSubmission();
  const serving = jobs.value.filter((job) => serves(job.value, row));
  const served = serving.some((job) => isActive(job.value));
  const remove = (): void =>
    deleting.submit(async () => {
      await deleteModel(row.path);
      announce(`${row.name} was deleted.`);
      focusHeading();
    });
  const close = (): void => setOpened(null);
  return (
    <article class="card" aria-label={row.name}>
      <header class="row">
        <h3>{row.name}</h3>
        {offered.map((model) => (
          <span class="badge good" key={model.id}>
            offered now, {PROTECTIONS[model.protection]}
          </span>
        ))}
        {offered.length === 0 && <span class="badge">not offered: no host serves it</span>}
        {row.shared && (
          <a class="badge accent" href="/servers">
            split for two servers
          </a>
        )}
      </header>
      <dl class="facts">
        <dt>Family</dt>
        <dd>
          {row.family}, {byteSize(row.bytes)}
          {row.created && <>, made {moment(row.created)}</>}
        </dd>
        <dt>Strength</dt>
        <dd>
          <code>{row.strength}</code>
        </dd>
        <dt>Key</dt>
        <dd>{row.key ?? "Not in the keyring: nobody can talk to this model from here."}</dd>
        <dt>Fidelity</dt>
        <dd>
          <FidelityText fidelity={row.fidelity} />
        </dd>
        <dt>Worth</dt>
        <dd>
          <WorthText worth={row.worth} />
        </dd>
        <dt>Fingerprint</dt>
        <dd>
          <Copied text={row.fingerprint} what={`the fingerprint of ${row.name}`} />
        </dd>
        <dt>Path</dt>
        <dd>
          <Copied text={row.path} what={`the path of ${row.name}`} />
        </dd>
      </dl>
      <FailureNotice failure={deleting.failure} />
      {serving.map((job) => (
        <ServingHere key={job.value.id} job={job} keyName={row.key} />
      ))}
      <div class="row">
        {!served && row.key !== null && (
          <Button icon="play" onClick={() => setOpened("try")}>
            Try it on this machine
          </Button>
        )}
        {chattable && (
          <a class="button" href={`/chat?model=${encodeURIComponent(chattable.id)}`}>
            Chat with it
          </a>
        )}
        <Button
          kind="plain"
          icon="trash"
          disabled={served || deleting.busy}
          {...(served ? { title: "Stop the host on this machine first." } : {})}
          onClick={() => setOpened("delete")}
        >
          Delete
        </Button>
      </div>
      {opened === "try" && <TryDialog row={row} onClose={close} />}
      {opened === "delete" && (
        <Confirm title={`Delete ${row.name}?`} action="Delete" onConfirm={remove} onClose={close}>
          Its files on this machine are deleted: {row.path}, {byteSize(row.bytes)}. Copies on other machines stay, and so does its key.
          {offered.length > 0 && " A host serves this model now; if it does so from these files, it may fail."}
        </Confirm>
      )}
    </article>
  );
}
