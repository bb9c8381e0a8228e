/**
 * A proof: a claim, what was measured, what it had to be, and whether it holds.
 * @module
 */
import { run } from "node:test";

/** One line of a proof. */
export interface Finding {
  readonly claim: string;
  /** What was measured. */
  readonly figure: string;
  /** What it had to be; a dash where the figure itself is the result. */
  readonly bar: string;
  /** null: not measured here, and why stands in `figure`. */
  readonly holds: boolean | null;
}

/** Everything that shows one promise of the project. */
export interface Proof {
  readonly name: string;
  readonly title: string;
  /** Yields findings as they come, of one part only where it is named. `note` is for progress. Throws a RangeError for an unknown part. */
  run(note: (line: string) => void, part?: string): AsyncIterable<Finding>;
}

/** Counts of a run of test files. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  /** Figures that tests reported. */
  readonly diagnostics: readonly string[];
  /** Names of the tests that failed. */
  readonly failures: readonly string[];
}

/** Runs test files, each in a process of its own, and counts. */
export async function runTests(files: readonly string[]): Promise<TestCounts> {
  const started = performance.now();
  let [passed, failed, skipped] = [0, 0, 0];
  const diagnostics: string[] = [];
  const failures: string[] = [];
  const stream = run({ files: [...files], concurrency: 1 });
  stream.on("test:pass", (event) => {
    if (event.details.type === "suite") return;
    if (event.skip !== undefined && event.skip !== false) skipped += 1;
    else passed += 1;
  });
  stream.on("test:fail", (event) => {
    if (event.details.type === "suite") return;
    failed += 1;
    failures.push(event.name);
  });
  // The runner's own summary is a diagnostic too: "tests 9", "duration_ms 120".
  stream.on("test:diagnostic", ({ message }) => {
    if (!/^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) \d/.test(message)) diagnostics.push(message);
  });
  for await (const _event of stream); // the listeners above see everything
  return { passed, failed, skipped, seconds: (performance.now() - started) / 1000, diagnostics, failures };
}

/** A claim that test files show. */
export async function testsShow(claim: string, files: readonly string[]): Promise<Finding & { readonly counts: TestCounts }> {
  const counts = await runTests(files);
  const { passed, failed, skipped, seconds, failures } = counts;
  const figure = `${passed} of ${passed + failed} tests pass${skipped ? `, ${skipped} skipped` : ""} in ${seconds.toFixed(0)} s${failures.length ? `; failed: ${failures.join("; ")}` : ""}`;
  return { claim, figure, bar: "all", holds: failed === 0 && passed > 0, counts };
}

/** What a finding says in one word; a figure without a bar is a measurement, and holds nothing. */
export function verdict({ bar, holds }: Pick<Finding, "bar" | "holds">): string {
  if (holds === null) return "not run";
  if (!holds) return "FAILS";
  return bar === "-" ? "measured" : "holds";
}

/** A table for a terminal. */
export function formatTable(findings: readonly Finding[]): string {
  const rows = findings.map(({ claim, figure, bar, holds }) => [verdict({ bar, holds }), claim, figure, bar]);
  const header = ["", "claim", "figure", "bar"];
  const width = header.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] as string).length)));
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(width[column] as number))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
