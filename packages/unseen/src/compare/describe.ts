/**
 * A comparison as text for a terminal.
 * @module
 */
import type { Comparison, HeadRow, ProtectionRow } from "@unseen/web/protocol/comparison.ts";

/** One line, all figures of one protection. */
export function describeRow(row: ProtectionRow): string {
  const name = row.name.padEnd(30);
  if (row.refusal !== null) return `${name} not measured: ${row.refusal}`;
  const { tokensPerSecond, firstTokenSeconds, overhead, overheadRange, fidelity, bytesPerToken } = row;
  const cells = [
    `${shown(tokensPerSecond).padStart(7)} tokens/s`,
    `${shown(overhead).padStart(6)} x the time (${overheadRange?.map(shown).join(" to ") ?? "-"})`.padEnd(36),
    `first token ${shown(firstTokenSeconds === null ? null : firstTokenSeconds * 1000).padStart(6)} ms`,
    `${String(bytesPerToken === null ? "-" : Math.round(bytesPerToken)).padStart(7)} bytes/token`,
    fidelity === null
      ? "the reference"
      : `same next token ${(fidelity.greedyAgreement * 100).toFixed(1)} %, KL ${fidelity.meanKl.toExponential(1)} nats`,
  ];
  return `${name} ${cells.join("   ")}`;
}

/** Three significant digits, or all of a large number. */
function shown(value: number | null): string {
  if (value === null) return "-";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** In a unit of its own: milliseconds of one picture. */
export function describeHead(head: HeadRow): string[] {
  const milliseconds = (seconds: number): string => `${shown(seconds * 1000)} ms`;
  return [
    `First layers on ciphertext (${head.network}, cut ${head.cut}, ${head.scheme}: ${head.layers.join(", ")}), one picture:`,
    `  ${milliseconds(head.ciphertextSeconds)}, in clear ${milliseconds(head.clearSeconds)}; largest error of a feature ${head.largestError.toExponential(1)}`,
    `  keys ${head.keyBytes} bytes once, picture ${head.pictureBytes}, features ${head.featureBytes}`,
  ];
}

/** What each leaves to see; equal lines once. */
export function describeViews({ rows, head }: Comparison): string[] {
  const views = Map.groupBy(rows, ({ learns }) => learns);
  return [
    ...[...views].map(([learns, same]) => `${same.map(({ name }) => name).join("; ")}\n  ${learns}`),
    ...(head ? [`First layers on ciphertext\n  ${head.learns}`] : []),
  ];
}
