/**
 * Rows of a comparison, as far as a running job has told of them, and the words for their figures.
 * @module
 */
import type { Comparison, HeadRow, ProtectionId, ProtectionRow } from "../../../src/protocol/comparison.ts";
import type { JobDetail } from "../../../src/protocol/jobs.ts";
import { compact, duration, percent } from "../../parts/numbers.ts";

export interface Figures {
  readonly rows: readonly ProtectionRow[];
  readonly head: HeadRow | null;
}

/** The newest of each row, in the order in which they were first told of. */
export function figuresOf(details: readonly JobDetail[]): Figures {
  const rows = new Map<ProtectionId, ProtectionRow>();
  let head: HeadRow | null = null;
  for (const { kind, value } of details) {
    if (kind === "protection") rows.set((value as ProtectionRow).id, value as ProtectionRow);
    if (kind === "head") head = value as HeadRow;
  }
  return { rows: [...rows.values()], head };
}

/** Three digits, and large ones whole: "1.02", "1,235". */
export function ratio(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}

/** Such as "1.02 x the time". */
export function timesAsLong(overhead: number): string {
  return `${ratio(overhead)} x the time`;
}

/** How exact it is, in short; what is missing is said. */
export function exactness({ id, fidelity }: ProtectionRow): string {
  if (id === "plain") return "the reference";
  return fidelity ? `same next token ${percent(fidelity.greedyAgreement)}, KL ${compact(fidelity.meanKl)} nats` : "";
}

/** What each leaves to see, equal texts once. */
export function viewsOf({ rows, head }: Figures): { readonly names: readonly string[]; readonly learns: string }[] {
  const views = new Map<string, string[]>();
  for (const { name, learns } of rows) views.set(learns, [...(views.get(learns) ?? []), name]);
  if (head) views.set(head.learns, ["First layers on ciphertext"]);
  return [...views].map(([learns, names]) => ({ names, learns }));
}

/** When, where and how carefully. */
export function circumstances({ machine, quick, rounds, seconds, promptTokens }: Comparison): string {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  return `${machine.processor}, ${machine.cores === 1 ? "1 core" : `${machine.cores} cores`}, ${memory}, ${machine.system}. ${rounds} rounds${quick ? " (quick)" : ""}, prompts of ${promptTokens} tokens, one thread each, ${duration(seconds)} in all.`;
}
