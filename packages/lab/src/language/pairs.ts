/**
 * What attacks on texts count: how often each id occurs, and which ids follow which.
 * @module
 */

/** Counts of adjacent ids as compressed rows: row `a` lists the ids that stand after `a` (or before it, where {@link transposePairs} made it). */
export interface PairCounts {
  /** (ids + 1) where each row starts. */
  readonly start: Uint32Array;
  /** (pairs) the other id, ascending within a row. */
  readonly ids: Uint32Array;
  /** (pairs) */
  readonly counts: Uint32Array;
}

/** Tokens that are read of a corpus, so that memory stays bounded (CWE-770): what comes after them is not counted. */
export const MAXIMUM_TOKENS = 2 ** 22;

/** How often each id occurs: `(vocabulary)`. @throws RangeError where an id is beyond the vocabulary. */
export function countTokens(texts: readonly ArrayLike<number>[], vocabulary: number): Float64Array {
  const counts = new Float64Array(vocabulary);
  for (const text of texts)
    for (let place = 0; place < text.length; place += 1) {
      const id = text[place] as number;
      if (id >= vocabulary) throw new RangeError(`token: expected an id below ${vocabulary}, got ${id}.`);
      counts[id]! += 1;
    }
  return counts;
}

/** Ids by descending count; of equal counts the smaller id first. */
export function byFrequency(counts: Float64Array): Uint32Array {
  return Uint32Array.from(counts.keys()).sort((a, b) => (counts[b] as number) - (counts[a] as number) || a - b);
}

/** Counts what follows what within each text, over the first {@link MAXIMUM_TOKENS} tokens. */
export function countPairs(texts: readonly ArrayLike<number>[], vocabulary: number): PairCounts {
  let total = 0;
  for (const text of texts) total += Math.max(0, text.length - 1);
  const keys = new Float64Array(Math.min(total, MAXIMUM_TOKENS));
  let at = 0;
  for (const text of texts)
    for (let place = 1; place < text.length && at < keys.length; place += 1, at += 1)
      keys[at] = (text[place - 1] as number) * vocabulary + (text[place] as number);
  keys.sort();
  let distinct = 0;
  for (let i = 0; i < keys.length; i += 1) distinct += Number(i === 0 || keys[i] !== keys[i - 1]);
  const start = new Uint32Array(vocabulary + 1);
  const ids = new Uint32Array(distinct);
  const counts = new Uint32Array(distinct);
  let pair = -1;
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i] as number;
    if (i === 0 || key !== keys[i - 1]) {
      pair += 1;
      const row = Math.floor(key / vocabulary);
      ids[pair] = key - row * vocabulary;
      start[row + 1]! += 1;
    }
    counts[pair]! += 1;
  }
  for (let row = 0; row < vocabulary; row += 1) start[row + 1]! += start[row] as number;
  return { start, ids, counts };
}

/** The same counts by the other id: who stands before whom, for who stands after whom. */
export function transposePairs(pairs: PairCounts): PairCounts {
  const rows = pairs.start.length - 1;
  const start = new Uint32Array(rows + 1);
  for (const id of pairs.ids) start[id + 1]! += 1;
  for (let row = 0; row < rows; row += 1) start[row + 1]! += start[row] as number;
  const next = start.slice();
  const ids = new Uint32Array(pairs.ids.length);
  const counts = new Uint32Array(pairs.ids.length);
  for (let row = 0; row < rows; row += 1)
    for (let i = pairs.start[row] as number; i < (pairs.start[row + 1] as number); i += 1) {
      const to = next[pairs.ids[i] as number]!++;
      ids[to] = row;
      counts[to] = pairs.counts[i] as number;
    }
  return { start, ids, counts };
}
