/**
 * Takes hidden states for those of single tokens behind a common beginning.
 * @module
 */
import type { Matrix } from "../numeric/matrix.ts";
import type { IncrementalForward, Prefix } from "./incremental-forward.ts";
import { asRead, misfits, type Invariants } from "./invariants.ts";

/** Tokens that are run at once. */
const BATCH = 1024;

/** A token and how well it fits; -1 and infinity where none was tried. */
export interface NearestToken {
  readonly id: number;
  readonly misfit: number;
}

/** The beginning that all share: how it goes on, and the states that it consists of. */
export interface Beginning {
  readonly prefix: Prefix;
  readonly states: Matrix; // (n, d)
}

/**
 * For each state that was seen the token whose state behind `beginning` fits best.
 *
 * @param seen invariants with the states of the beginning
 * @param proceed called often with a share 0..1; on false, the best so far are returned
 */
export async function nearestTokens(
  run: IncrementalForward,
  { prefix, states: others }: Beginning,
  ids: Uint32Array,
  seen: readonly Invariants[],
  proceed: (done: number) => Promise<boolean>,
): Promise<NearestToken[]> {
  const best: NearestToken[] = seen.map(() => ({ id: -1, misfit: Infinity }));
  for (let start = 0; start < ids.length; start += BATCH) {
    if (!(await proceed(start / ids.length))) break;
    const batch = ids.subarray(start, start + BATCH);
    const states = asRead(run.step(prefix, batch).states.at(-1) as Matrix, run.architecture.norm.kind);
    for (const [at, one] of seen.entries())
      for (const [row, misfit] of misfits(states, others, one).entries())
        if (misfit < (best[at] as NearestToken).misfit) best[at] = { id: batch[row] as number, misfit };
  }
  return best;
}
