/**
 * Lab: what encryption is worth on one's own model, measured by attacking it.
 * @module
 */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure } from "../../../src/protocol/failure.ts";
import type { LabList, ReportRow } from "../../../src/protocol/lab.ts";
import type { EncryptedRow, Library } from "../../../src/protocol/library.ts";
import { failureOf, request } from "../../api/console.ts";
import { findJobs, isActive } from "../../api/jobs.ts";
import { PageFrame } from "../../page-frame.tsx";
import { Empty, FailureNotice } from "../../parts/notice.tsx";
import { route } from "../../router.ts";
import { AttackForm } from "./attack-form.tsx";
import { Contest } from "./contest.tsx";
import { AttackJob, EarlierReport } from "./report-view.tsx";
import type { ShownJob } from "./shown-job.ts";

/** The attack that is shown; null: none. */
const shown = signal<ShownJob | null>(null);

interface Known {
  readonly library: Library;
  readonly lab: LabList;
}

export default function LabPage(): JSX.Element {
  const [known, setKnown] = useState<Known | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const load = (): void => {
    Promise.all([request<Library>("/console/library"), request<LabList>("/console/attacks")]).then(
      ([library, lab]) => setKnown({ library, lab }),
      (error: unknown) => setFailure(failureOf(error)),
    );
  };
  useEffect(() => {
    load();
    if (shown.value) return;
    findJobs("attack").then(
      ([latest]) => (shown.value ??= latest && isActive(latest.value) ? latest : null),
      () => {},
    );
  }, []);
  return (
    <PageFrame
      title="Lab"
      summary="What is your encryption worth? Attack your own model as a host or a listener would, and see what is recovered. Nothing leaves this machine."
    >
      <FailureNotice failure={failure} />
      {known && <Attacks known={known} onChange={load} />}
      {known && <Contest encrypted={known.library.encrypted} />}
    </PageFrame>
  );
}

function Attacks({
  known: { library, lab },
  onChange,
}: {
  readonly known: Known;
  /** A report was made: what is known of models has changed. */
  readonly onChange: () => void;
}): JSX.Element {
  // A link from elsewhere may name a model by its fingerprint.
  const [path, setPath] = useState(() => library.encrypted.find(({ fingerprint }) => fingerprint === route.value.query.get("model"))?.path);
  const model = library.encrypted.find((one) => one.path === path) ?? library.encrypted[0];
  const forget = (): void => {
    shown.value = null;
    onChange();
  };
  if (!model)
    return (
      <>
        {shown.value && <AttackJob job={shown.value} onForget={forget} />}
        <Empty title="No encrypted model yet" icon="lab">
          <p>
            Encrypt one on the page <a href="/models">Models</a>; then attack it here.
          </p>
        </Empty>
      </>
    );
  const job = shown.value;
  return (
    <>
      {job && <AttackJob job={job} onForget={forget} />}
      <AttackForm
        library={library}
        lab={lab}
        model={model}
        onModel={setPath}
        busy={job?.value.state === "running"}
        onStart={(started) => {
          shown.value = started;
          scrollTo(0, 0);
        }}
      />
      {!job && <Earlier model={model} />}
    </>
  );
}

/** The report that was kept of a model, where one was. */
function Earlier({ model: { fingerprint, worth } }: { readonly model: EncryptedRow }): JSX.Element | null {
  const [report, setReport] = useState<ReportRow | null>(null);
  useEffect(() => {
    setReport(null);
    let left = false;
    if (worth.own)
      request<ReportRow>(`/console/reports/${fingerprint}`).then(
        (found) => left || setReport(found),
        () => {},
      );
    return () => {
      left = true;
    };
  }, [fingerprint, worth.own]);
  return report && <EarlierReport report={report} />;
}
