/**
 * The pages, in a real browser against the real gateway, host and models: every test of `tests/web` is one finding, with the figures that
 * it measured.
 * @module
 */
import { globSync } from "node:fs";
import { basename } from "node:path";
import { run } from "node:test";
import { fileURLToPath } from "node:url";
import type { Finding, Proof } from "./proof.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const files = globSync("tests/web/*.{test,long}.ts", { cwd: ROOT }).toSorted();
const parts = files.map(partOf);

function partOf(file: string): string {
  return basename(file).split(".")[0]!;
}

export const web: Proof = {
  name: "web",
  title: "The pages: stories in a real browser, budgets, accessibility, and what goes wrong",
  async *run(note, part) {
    if (part !== undefined && !parts.includes(part)) throw new RangeError(`web has the parts ${parts.join(", ")}.`);
    for (const file of files) {
      const name = partOf(file);
      if (part !== undefined && part !== name) continue;
      note(file);
      yield* findingsOf(file, name);
    }
  },
};

/** One finding a test. What it reports as a diagnostic is its figure. */
async function* findingsOf(file: string, name: string): AsyncGenerator<Finding> {
  const findings: Finding[] = [];
  const figures = new Map<string, string[]>();
  const stream = run({ files: [`${ROOT}${file}`], concurrency: 1 });
  const place = ({ line, column }: { readonly line?: number | undefined; readonly column?: number | undefined }): string =>
    `${line}:${column}`;
  stream.on("test:diagnostic", (event) => {
    const key = place(event);
    figures.set(key, [...(figures.get(key) ?? []), event.message]);
  });
  const add = (
    event: {
      readonly name: string;
      readonly line?: number | undefined;
      readonly column?: number | undefined;
      readonly details: { readonly duration_ms: number };
    },
    holds: boolean | null,
    figure: string,
  ): void => {
    findings.push({ claim: `${name}: ${event.name}`, figure: [figure, place(event)].join("\u0000"), bar: "passes", holds });
  };
  stream.on("test:pass", (event) => {
    if (event.details.type === "suite") {
      if (event.skip) add(event, null, String(event.skip));
    } else add(event, event.skip ? null : true, event.skip ? String(event.skip) : `${(event.details.duration_ms / 1000).toFixed(1)} s`);
  });
  stream.on("test:fail", (event) => {
    if (event.details.type !== "suite") add(event, false, event.details.error.message.split("\n")[0]!);
  });
  for await (const _event of stream); // the listeners above see everything
  // Diagnostics come after the end of their test.
  for (const finding of findings) {
    const [figure, key] = finding.figure.split("\u0000") as [string, string];
    yield { ...finding, figure: [...(figures.get(key) ?? []), figure].join("; ") };
  }
}
