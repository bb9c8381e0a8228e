/**
 * One host.
 * @module
 */
import type { JSX } from "preact";
import type { AttestationRow, HostRow } from "../../../src/protocol/library.ts";
import { endJob } from "../../api/jobs.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { FailureNotice, Notice } from "../../parts/notice.tsx";
import { moment } from "../../parts/numbers.ts";
import { useSubmission } from "../../parts/use-submission.ts";
import { Copied } from "./copied.tsx";
import { focusHeading } from "./focus-heading.ts";
import { removeHost } from "./hosts.ts";
import { jobs } from "./jobs.ts";
import { fieldOf } from "./names.ts";

const BADGES: Readonly<Record<HostRow["state"], string>> = { up: "good", loading: "warning", down: "bad" };

export function HostCard({ row, onAddAgain }: { readonly row: HostRow; readonly onAddAgain: () => void }): JSX.Element {
  const { busy, failure, submit } = useSubmission();
  const serving = jobs.value.find(({ value: { state, result } }) => state === "ready" && fieldOf(result, "url") === row.url);
  const remove = (): void =>
    submit(async () => {
      await removeHost(row.url);
      announce("The host was removed.");
      focusHeading();
    });
  const stop = (): void => submit(() => endJob(serving!.value));
  const needsHelp = row.added && row.state === "up" && row.failure !== null;
  return (
    <article class="card" aria-label={row.url}>
      <header class="row spread">
        <div class="row">
          <h2 class="mono">{row.url}</h2>
          <span class={`badge ${BADGES[row.state]}`}>{row.state}</span>
          {serving && <span class="badge">on this machine, for trying</span>}
        </div>
        <div class="row">
          {needsHelp && (
            <Button tiny onClick={onAddAgain}>
              Add again
            </Button>
          )}
          {serving && (
            <Button tiny icon="stop" disabled={busy} onClick={stop}>
              Stop<span class="only-heard"> {row.url}</span>
            </Button>
          )}
          {row.added && !serving && (
            <Button tiny icon="trash" disabled={busy} onClick={remove}>
              Remove<span class="only-heard"> {row.url}</span>
            </Button>
          )}
        </div>
      </header>
      {row.attestation?.simulated && (
        <Notice kind="bad">
          <strong>SIMULATOR</strong>
          <span>Its evidence is made by a program and protects nothing. Use it to try the steps out.</span>
        </Notice>
      )}
      <FailureNotice failure={failure ?? row.failure} />
      <dl class="facts">
        <dt>Models</dt>
        <dd>{row.models.length > 0 ? row.models.join(", ") : "none that is offered"}</dd>
        <dt>Engine</dt>
        <dd>{row.engine ?? "unknown"}</dd>
        <dt>Answered in</dt>
        <dd>{row.milliseconds === null ? "no answer" : `${row.milliseconds} ms`}</dd>
        <Evidence attestation={row.attestation} shown={row.failure} />
      </dl>
      {!row.added && !serving && <p class="quiet small">It was given where the gateway was started, and is removed there.</p>}
    </article>
  );
}

function Evidence({
  attestation,
  shown,
}: {
  readonly attestation: AttestationRow | null;
  /** What stands above already. */
  readonly shown: HostRow["failure"];
}): JSX.Element {
  if (!attestation)
    return (
      <>
        <dt>Evidence</dt>
        <dd>None is demanded: whoever runs the host can look into it.</dd>
      </>
    );
  const { kind, simulated, verifiedAt, measurement, failure } = attestation;
  return (
    <>
      <dt>Evidence</dt>
      <dd>
        {verifiedAt
          ? `${simulated ? "of a simulator" : `of kind ${kind ?? "unknown"}`}, verified ${moment(verifiedAt)}`
          : "demanded, not verified yet"}
      </dd>
      {measurement && (
        <>
          <dt>Measurement</dt>
          <dd>
            <Copied text={measurement} what="the measurement" />
          </dd>
        </>
      )}
      {failure && failure.message !== shown?.message && (
        <>
          <dt>Refused</dt>
          <dd>
            <FailureNotice failure={failure} />
          </dd>
        </>
      )}
    </>
  );
}
