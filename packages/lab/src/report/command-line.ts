/**
 * The command that makes a report again.
 * @module
 */
import type { LabReport } from "../lab-report.ts";
import { visible } from "./escape.ts";

/** The command line, with what the report knows of it: not the directories, nor the files of texts. */
export function commandLine({ model, settings, defences }: LabReport): string {
  const base = model.base === null ? [] : ["--base", quoted(model.base)];
  const numbers = ["--keys", settings.keys, "--seed", settings.seed, "--budget", settings.budgetSeconds];
  // A name that begins with a hyphen would be taken for an option (CWE-88).
  const name = model.name.startsWith("-") ? `./${model.name}` : model.name;
  return ["unseen attack", quoted(name), ...base, ...numbers, ...(defences.length > 0 ? ["--defences"] : []), "--json"].join(" ");
}

/** A word of a POSIX shell: names come from elsewhere, and readers copy the line (CWE-78). */
function quoted(word: string): string {
  const text = visible(word).replace(/\s/g, " ");
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
