/**
 * Measurements by turns, and their medians.
 * @module
 */

/** The middle value; the mean of two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** The median of the ratios of paired runs. */
export function medianRatio(numerators: readonly number[], denominators: readonly number[]): number {
  return median(numerators.map((value, index) => value / (denominators[index] ?? Number.NaN)));
}

/** Runs each candidate in turn, `rounds` times, so that what else the machine does hits all of them alike; gives every result. */
export async function alternate<Name extends string, Result = number>(
  rounds: number,
  candidates: Record<Name, (round: number) => Promise<Result>>,
  onResult?: (name: Name, results: readonly Result[]) => void,
): Promise<Record<Name, Result[]>> {
  const names = Object.keys(candidates) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, [] as Result[]])) as Record<Name, Result[]>;
  for (let round = 0; round < rounds; round += 1) {
    // The order turns round, since the second of two runs finds warmer caches.
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      results[name].push(await candidates[name](round));
      onResult?.(name, results[name]);
    }
  }
  return results;
}

/** Seconds that `work` takes. */
export async function seconds(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}
