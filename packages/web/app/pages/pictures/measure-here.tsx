/**
 * Measures the chosen setting on this machine, quickly and on drawn pictures.
 * @module
 */
import { signal, type ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure } from "../../../src/protocol/failure.ts";
import type { Job } from "../../../src/protocol/jobs.ts";
import { failureOf } from "../../api/console.ts";
import { findJobs, isActive, startJob } from "../../api/jobs.ts";
import { Button } from "../../parts/button.tsx";
import { JobView } from "../../parts/job-view.tsx";
import { FailureNotice } from "../../parts/notice.tsx";
import type { Measurement } from "./leak-figures.ts";
import { LeakFigures } from "./leak-panel.tsx";
import { noiseInWords, settingsOfCommand, type RunSettings } from "./settings.ts";

/** The latest of this page; null: none. */
const measuring = signal<ReadonlySignal<Job> | null>(null);

/** The object of `unseen leak --json`, as far as it is shown. */
interface LeakResult {
  readonly leak: Omit<Measurement, "pictures"> & { readonly data: string; readonly psnrBaseline: number; readonly ssimBaseline: number };
}

export function MeasureHere({ settings }: { readonly settings: RunSettings }): JSX.Element {
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => {
    if (measuring.value) return;
    findJobs("leak").then(
      ([latest]) => (measuring.value ??= latest && isActive(latest.value) ? latest : null),
      () => {},
    );
  }, []);
  const measure = async (): Promise<void> => {
    setFailure(null);
    try {
      measuring.value = await startJob({ kind: "leak", ...settings, effort: "quick" });
    } catch (error) {
      setFailure(failureOf(error));
    }
  };
  const job = measuring.value;
  return (
    <div class="stack">
      <div class="row">
        <Button icon="lab" disabled={job?.value.state === "running"} onClick={() => void measure()}>
          Measure this setting here
        </Button>
      </div>
      <FailureNotice failure={failure} />
      {job && (
        <JobView job={job} title="Measure what the creator can read" onForget={() => (measuring.value = null)}>
          <Measured job={job.value} />
        </JobView>
      )}
    </div>
  );
}

function Measured({ job }: { readonly job: Job }): JSX.Element | null {
  if (job.state !== "done") return null;
  const { leak } = job.result as LeakResult;
  const { cut, noise, bits } = settingsOfCommand(job.command);
  const sheet = job.details.find(({ kind }) => kind === "pictures")?.value as { readonly png: string } | undefined;
  return (
    <div class="stack">
      <p class="small">
        Cut {cut}, noise of {noiseInWords(noise)}, {bits} bits. A quick attacker on drawn pictures: do not compare it with the figures for
        X-rays. A better one reads more.
      </p>
      <LeakFigures measurement={{ ...leak, pictures: sheet?.png ?? null }} file={leak} />
    </div>
  );
}
