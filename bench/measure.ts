/**
 * Small helpers of the benchmarks: medians, alternating runs, a table.
 * @module
 */

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it should reach, for people to compare; benchmarks never fail. */
  readonly goal?: string;
}

/** The middle value; the mean of two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** Runs each candidate in turn, `rounds` times, so that what else the machine does hits all of them alike; gives every result. */
export async function alternate<Name extends string>(
  rounds: number,
  candidates: Record<Name, () => Promise<number>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(candidates) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round += 1) {
    // The order turns round, since the second of two runs finds warmer caches.
    for (const name of round % 2 === 0 ? names : names.toReversed()) results[name].push(await candidates[name]());
  }
  return results;
}

/** The median of the ratios of paired runs. */
export function medianRatio(numerators: readonly number[], denominators: readonly number[]): number {
  return median(numerators.map((value, index) => value / (denominators[index] ?? Number.NaN)));
}

/** Seconds that `work` takes. */
export async function seconds(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

export function printTable(title: string, figures: readonly Figure[]): void {
  process.stdout.write(`\n${title}\n`);
  for (const { name, value, unit, goal } of figures) {
    const shown = Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
    process.stdout.write(`  ${name.padEnd(58)} ${shown.padStart(9)} ${unit.padEnd(10)} ${goal ? `goal ${goal}` : ""}\n`);
  }
}
