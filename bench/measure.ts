/**
 * Small helpers of the benchmarks: medians, alternating runs, a table.
 * @module
 */
export { alternate, median, medianRatio, seconds } from "unseen/compare/rounds.ts";

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it should reach, for people to compare; benchmarks never fail. */
  readonly goal?: string;
}

export function printTable(title: string, figures: readonly Figure[]): void {
  process.stdout.write(`\n${title}\n`);
  for (const { name, value, unit, goal } of figures) {
    const shown = Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
    process.stdout.write(`  ${name.padEnd(58)} ${shown.padStart(9)} ${unit.padEnd(10)} ${goal ? `goal ${goal}` : ""}\n`);
  }
}
