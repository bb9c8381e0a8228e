/**
 * Whether bytes look like random ones, in words.
 * @module
 */

/** Random bytes stay below it in 999 of 1,000 cases: the quantile of chi-square with 255 degrees of freedom. */
export const LIMIT = 330.5;
/** Fewer bytes than 5 for each value say nothing about evenness (Cochran's rule). */
const LEAST_BYTES = 5 * 256;

export interface Evenness {
  readonly kind: "even" | "uneven" | "unknown";
  readonly text: string;
}

/** What the figures mean, for a person. */
export function evennessOf(histogram: readonly number[], chiSquare: number): Evenness {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  if (total < LEAST_BYTES)
    return { kind: "unknown", text: `Only ${total.toLocaleString("en")} bytes: too few to tell whether they are spread evenly.` };
  const figure = `chi-square ${chiSquare.toFixed(0)} over ${total.toLocaleString("en")} bytes`;
  if (chiSquare < LIMIT)
    return { kind: "even", text: `Spread as evenly as random bytes: ${figure}; random ones stay below 331 in 999 of 1,000 messages.` };
  return {
    kind: "uneven",
    text: `Less even than random bytes are in 999 of 1,000 messages: ${figure}. Once is chance; if the next messages show it too, switch off and report it.`,
  };
}

/** Neighbouring values put together. @param bins - Divides 256. */
export function binned(histogram: readonly number[], bins: number): number[] {
  const width = histogram.length / bins;
  return Array.from({ length: bins }, (_, bin) => histogram.slice(bin * width, (bin + 1) * width).reduce((sum, count) => sum + count, 0));
}
