/**
 * What was measured on one model: of a run that goes on, of one that has ended, or of an earlier one.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { AttackResultRow, DefencePointRow, ReportRow, VerdictRow } from "../../../src/protocol/lab.ts";
import { request } from "../../api/console.ts";
import { announce } from "../../parts/announcer.tsx";
import { CommandLine, JobView } from "../../parts/job-view.tsx";
import { Notice } from "../../parts/notice.tsx";
import { count, duration, moment, percent } from "../../parts/numbers.ts";
import { defencesOf, mostRecovered, resultsOf } from "./attack-run.ts";
import { Curves, Defences } from "./figures.tsx";
import { ResultTable } from "./result-table.tsx";
import type { ShownJob } from "./shown-job.ts";

/** Figures alone. */
function Measured({
  results,
  defences,
}: {
  readonly results: readonly AttackResultRow[];
  readonly defences: readonly DefencePointRow[];
}): JSX.Element {
  return (
    <>
      <ResultTable results={results} />
      {results.some((result) => mostRecovered(result) !== null) && (
        <p class="small quiet">
          Shares of the token ids, and of the tokens of texts, that the attacker reads without the key. A control is a setting in which the
          attack must succeed: where it fails, a low figure says nothing.
        </p>
      )}
      <Curves results={results} />
      <Defences points={defences} />
    </>
  );
}

/** The attack of now, or the last one. */
export function AttackJob({ job, onForget }: { readonly job: ShownJob; readonly onForget: () => void }): JSX.Element {
  const { value } = job;
  const results = resultsOf(value);
  const report = value.state === "done" ? (value.result as ReportRow) : null;
  const latest = value.state === "running" ? results.at(-1) : undefined;
  useEffect(() => {
    if (!latest) return;
    const most = mostRecovered(latest);
    announce(most === null ? `${latest.name} has no figure.` : `${latest.name} recovers ${percent(most)}.`);
  }, [latest?.name]);
  return (
    <JobView job={job} title={`Attack on ${value.subject}`} onForget={onForget}>
      {report && <Verdict fingerprint={report.model.fingerprint} created={report.created} />}
      {value.state === "running" && results.length === 0 && <p class="quiet">Results come one by one, as each attack ends.</p>}
      <Measured results={report?.attacks ?? results} defences={report?.defences ?? defencesOf(value)} />
      {report && <ReportCommand fingerprint={report.model.fingerprint} />}
    </JobView>
  );
}

/** What an earlier run found out, as it was kept. */
export function EarlierReport({ report }: { readonly report: ReportRow }): JSX.Element {
  const { model, settings, attacks, defences, created } = report;
  return (
    <section class="card" aria-labelledby="earlier">
      <header>
        <h2 id="earlier">What was measured on {model.name}</h2>
        <p class="small quiet">
          {moment(created)}; {model.strength}, {count(settings.keys, "key")}, at most {duration(settings.budgetSeconds)} for each attack and
          key.
        </p>
      </header>
      <Verdict fingerprint={model.fingerprint} created={created} />
      <Measured results={attacks} defences={defences} />
      <ReportCommand fingerprint={model.fingerprint} />
    </section>
  );
}

/** The report in a sentence, worst news first. */
function Verdict({ fingerprint, created }: { readonly fingerprint: string; readonly created: string }): JSX.Element | null {
  const [verdict, setVerdict] = useState<VerdictRow | null>(null);
  useEffect(() => {
    let left = false;
    request<VerdictRow>(`/console/verdicts/${fingerprint}`).then(
      (found) => left || setVerdict(found),
      // The figures below say the same.
      () => {},
    );
    return () => {
      left = true;
    };
  }, [fingerprint, created]);
  if (!verdict) return null;
  return (
    <Notice kind="warning">
      <strong>{verdict.sentence}</strong>
      {verdict.limits.map((limit) => (
        <span key={limit} class="small">
          {limit}
        </span>
      ))}
    </Notice>
  );
}

function ReportCommand({ fingerprint }: { readonly fingerprint: string }): JSX.Element {
  return (
    <div class="stack">
      <p class="small quiet">As a page of HTML to pass on:</p>
      <CommandLine command={`npx unseen report ${fingerprint}`} />
    </div>
  );
}
