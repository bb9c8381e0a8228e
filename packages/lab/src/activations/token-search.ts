/**
 * Reads texts from the hidden states of a model under an unknown orthogonal map: knowing how a text begins, it runs the public
 * model on every token that may come next and keeps the one whose state stands to all earlier ones as the recorded state does.
 * @module
 */
import { rowOf, type Matrix } from "../numeric/matrix.ts";
import type { IncrementalForward, Prefix } from "./incremental-forward.ts";
import { asRead, invariantsOf, misfits, stacked, type Invariants } from "./invariants.ts";
import { OPENING_MISFIT, type Proposals } from "./proposals.ts";

/** Tokens tried first, and at once afterwards. */
const FIRST_BATCH = 256;
const BATCH = 1024;
/** A token is clearly the right one where the next best fits so many times worse. */
const CLEAR = 4;

/** A text as far as it was read. */
export interface Reading {
  readonly ids: Int32Array;
  /** Root mean square over its positions. */
  readonly misfit: number;
}

interface Beam {
  readonly prefix: Prefix;
  readonly ids: readonly number[];
  readonly states: readonly Float64Array[];
  /** Sum of squared misfits. */
  readonly cost: number;
}

interface Candidate {
  readonly beam: Beam;
  readonly id: number;
  readonly misfit: number;
  readonly cost: number;
}

/** Texts whose states lie under one map, read one after the other: what was read clearly helps to read the next. */
export class TokenSearch {
  /** Tokens tried so far. */
  tried = 0;
  readonly #base: IncrementalForward;
  readonly #proposals: Proposals;
  readonly #width: number;
  /** Below this misfit a token is taken without trying the others; learnt where all were tried. */
  #threshold = 0;
  /** States that were read: as they were seen, and as the public model has them. */
  readonly #seen: Float64Array[] = [];
  readonly #read: Float64Array[] = [];

  /**
   * @param base runs the layers up to the one that was recorded
   * @param width texts pursued at once while it is not clear which is right
   */
  constructor(base: IncrementalForward, proposals: Proposals, width: number) {
    this.#base = base;
    this.#proposals = proposals;
    this.#width = width;
  }

  /**
   * Reads one text.
   *
   * @param recorded `(t, d)`, as the norm reads them
   * @param proceed called often with a share 0..1 of this text; on false, what was read so far is returned
   */
  async read(recorded: Matrix, proceed: (done: number) => Promise<boolean>): Promise<Reading> {
    let beams: readonly Beam[] = [{ prefix: this.#base.empty, ids: [], states: [], cost: 0 }];
    let clear = true;
    for (let position = 0; position < recorded.rows; position += 1) {
      const others = [...this.#seen, ...Array.from({ length: position }, (_, before) => rowOf(recorded, before))];
      const seen = invariantsOf(rowOf(recorded, position), stacked(others, recorded.columns));
      let found: Candidate[] = [];
      for (const beam of beams) {
        const candidates = await this.#try(beam, seen, () => proceed(position / recorded.rows));
        if (!candidates) return reading(beams);
        found.push(...candidates);
        if (this.#isTaken(candidates)) break;
      }
      // Of a lone first state the length is all there is: too little to decide anything.
      if (others.length > 0) {
        found.sort((a, b) => a.cost - b.cost);
        const [best, second] = found as [Candidate, Candidate?];
        clear &&= !second || second.misfit > CLEAR * best.misfit;
        found = found.filter(({ cost }) => cost <= CLEAR ** 2 * best.cost);
      }
      beams = found.slice(0, this.#width).map((candidate) => this.#extend(candidate));
    }
    const [best] = beams as readonly [Beam];
    if (clear) {
      this.#read.push(...best.states);
      for (let i = 0; i < recorded.rows; i += 1) this.#seen.push(rowOf(recorded, i));
    }
    return reading(beams);
  }

  /** The best tokens behind a beam, best first; null once the time is up. */
  async #try(beam: Beam, seen: Invariants, proceed: () => Promise<boolean>): Promise<Candidate[] | null> {
    const order = this.#proposals.after(beam.ids.at(-1) ?? null);
    const others = stacked([...this.#read, ...beam.states], this.#base.architecture.hidden);
    const alone = others.rows === 0;
    const found: Candidate[] = [];
    for (let start = 0; start < order.length;) {
      if (!(await proceed())) return null;
      const batch = order.subarray(start, start + (start === 0 ? FIRST_BATCH : BATCH));
      for (const [row, misfit] of misfits(this.#statesOf(beam, batch), others, seen).entries())
        found.push({ beam, id: batch[row] as number, misfit, cost: beam.cost + misfit ** 2 });
      found.sort((a, b) => (alone ? this.#rank(a) - this.#rank(b) : 0) || a.misfit - b.misfit);
      found.length = Math.min(found.length, this.#width + 1);
      start += batch.length;
      if (!alone && this.#isTaken(found)) return found.filter(({ misfit }) => misfit < this.#threshold);
    }
    const [best, second] = found;
    // Halfway, as ratios go, between what fits and what does not.
    if (!alone && best && second && second.misfit > CLEAR * best.misfit) this.#threshold = Math.sqrt(best.misfit * second.misfit);
    return found;
  }

  #isTaken([best]: readonly Candidate[]): boolean {
    return best !== undefined && best.misfit < this.#threshold;
  }

  #rank({ id, misfit }: Candidate): number {
    return misfit < OPENING_MISFIT && this.#proposals.openings.has(id) ? 0 : 1;
  }

  #statesOf(beam: Beam, ids: ArrayLike<number>): Matrix {
    this.tried += ids.length;
    const { states } = this.#base.step(beam.prefix, ids);
    return asRead(states.at(-1) as Matrix, this.#base.architecture.norm.kind);
  }

  #extend({ beam, id, cost }: Candidate): Beam {
    const step = this.#base.step(beam.prefix, [id]);
    const state = asRead(step.states.at(-1) as Matrix, this.#base.architecture.norm.kind);
    return { prefix: step.extend(0), ids: [...beam.ids, id], states: [...beam.states, state.values], cost };
  }
}

function reading([best]: readonly Beam[]): Reading {
  const { ids, cost } = best as Beam;
  return { ids: Int32Array.from(ids), misfit: ids.length === 0 ? 0 : Math.sqrt(cost / ids.length) };
}
