/**
 * How much of a text must wait because it may be the beginning of something.
 * @module
 */

/**
 * Length of the longest end of `text` that is a proper beginning of a marker; at most `max(marker.length) - 1`.
 *
 * @example
 * ```ts
 * heldBack("Once <th", ["<think>"]) === 3;
 * ```
 */
export function heldBack(text: string, markers: readonly string[]): number {
  let held = 0;
  for (const marker of markers) {
    for (let length = Math.min(marker.length - 1, text.length); length > held; length -= 1) {
      if (text.endsWith(marker.slice(0, length))) held = length;
    }
  }
  return held;
}

/** The first occurrence of any marker, the longest one where several begin at the same place; null where there is none. */
export function findFirst(text: string, markers: readonly string[]): { index: number; marker: string } | null {
  let found: { index: number; marker: string } | null = null;
  for (const marker of markers) {
    const index = text.indexOf(marker);
    if (index < 0) continue;
    if (!found || index < found.index || (index === found.index && marker.length > found.marker.length)) found = { index, marker };
  }
  return found;
}
