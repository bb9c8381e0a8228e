/**
 * How often each word is said: what defences of traffic are drawn from, and attacks on it live on.
 * @module
 */

/** Share of each plain id among the ordinary tokens of texts, `(vocabulary)`; 0 for special ids, and everywhere without text. */
export function frequenciesOf(texts: readonly Uint32Array[], vocabulary: number, special: ReadonlySet<number>): Float64Array {
  const counts = new Float64Array(vocabulary);
  let all = 0;
  for (const text of texts) {
    for (const id of text) {
      if (special.has(id)) continue;
      counts[id]! += 1;
      all += 1;
    }
  }
  return all === 0 ? counts : counts.map((count) => count / all);
}
