/**
 * Benchmarks: every protection on one model, side by side, measured on the machine of who looks.
 * @module
 */
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { isActive } from "../../api/jobs.ts";
import { PageFrame } from "../../page-frame.tsx";
import { CommandLine, JobView } from "../../parts/job-view.tsx";
import { Empty, FailureNotice } from "../../parts/notice.tsx";
import { moment } from "../../parts/numbers.ts";
import { comparing, comparisonFailure, forgetComparison, lastComparison, refreshComparison } from "./comparison.ts";
import { FiguresView } from "./figures-view.tsx";
import { MeasureForm } from "./measure-form.tsx";
import { circumstances, figuresOf } from "./rows.ts";

export default function BenchmarksPage(): JSX.Element {
  useEffect(() => void refreshComparison(), []);
  const job = comparing.value;
  const running = job !== null && isActive(job.value);
  return (
    <PageFrame
      title="Benchmarks"
      summary="What each protection costs: all of them on one model, on this machine, in one run, taking turns. Measured here, not promised."
    >
      <MeasureForm />
      <FailureNotice failure={comparisonFailure.value} />
      {job && <JobView job={job} title={running ? "Measuring" : "The comparison has no result"} onForget={forgetComparison} />}
      {running ? <Now /> : <Last />}
    </PageFrame>
  );
}

/** What runs, as far as it is. */
function Now(): JSX.Element | null {
  const figures = figuresOf(comparing.value?.value.details ?? []);
  if (figures.rows.length === 0) return null;
  const rounds = Math.max(...figures.rows.map((row) => row.rounds));
  return (
    <section class="stack" aria-label="Figures so far">
      <h2>So far</h2>
      <p class="quiet">
        {rounds === 0 ? "Nothing was timed yet." : `After ${rounds === 1 ? "1 round" : `${rounds} rounds`}; they still move.`}
      </p>
      <FiguresView figures={figures} />
    </section>
  );
}

function Last(): JSX.Element | null {
  const comparison = lastComparison.value;
  if (comparison === undefined) return comparisonFailure.value ? null : <p class="quiet">Loading</p>;
  if (comparison === null)
    return (
      <Empty title="Nothing was measured here yet" icon="benchmarks">
        <p>
          Here will be the speed, the exactness and the traffic of every protection beside each other. Press Measure: a quick run takes
          about a minute.
        </p>
      </Empty>
    );
  return (
    <section class="stack" aria-label="Last run">
      <header>
        <h2>
          {comparison.model}, {moment(comparison.date)}
        </h2>
        <p class="quiet small">{circumstances(comparison)}</p>
      </header>
      <FailureNotice
        failure={
          comparison.headFailure === null
            ? null
            : { code: "EVALUATION_FAILED", message: `the first layers on ciphertext were not measured: ${comparison.headFailure}` }
        }
      />
      <FiguresView figures={comparison} />
      <CommandLine command={comparison.command} />
    </section>
  );
}
