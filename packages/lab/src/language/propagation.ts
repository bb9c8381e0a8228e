/**
 * From a few ids that are read to the others: whoever stands beside known words as a word of the language does, is that word.
 * @module
 */
import type { Context } from "../attack.ts";
import { RANKS } from "../guess.ts";
import type { BigramModel } from "./ngrams.ts";
import type { Traffic } from "./traffic.ts";

/** What is read: all of it revised each round, but for what was fixed. */
export interface Reading {
  /** (vocabulary) plain id of each symbol, no two alike; -1 where unread. */
  readonly plain: Int32Array;
  /** (vocabulary, RANKS) plain ids by symbol, likeliest first; -1 where there are fewer. */
  readonly ranked: Int32Array;
  readonly rounds: number;
  /** False where the time was up before. */
  readonly finished: boolean;
}

/** Symbols read after the first round, at least, and by how much more after each. */
const FIRST = 40;
const GROWTH = 1.6;
/** Rounds in which all symbols may be read; fewer where nothing changes any more. */
const LAST_ROUNDS = 6;
/** Frequency in two texts differs by more than chance: standard deviations that a count is off, relative to its own. */
const BURSTINESS = 0.05;
/** Symbols between two looks at the clock. */
const STRIDE = 256;

/**
 * Reads more symbols in each round, those first whose best plain id is ahead of the next by most. A plain id is judged by three
 * likelihoods: of the read symbols after this one (multinomial), of those before it (Poisson, so that their absence counts too),
 * and of the symbol's own frequency.
 *
 * @param fixed (vocabulary) plain id of symbols that are certain, -1 for the others
 * @param start (vocabulary) plain id of symbols to begin with, which may be wrong; -1 for the others
 */
export async function propagate(
  traffic: Traffic,
  model: BigramModel,
  fixed: Int32Array,
  start: Int32Array,
  proceed: Context["proceed"],
): Promise<Reading> {
  const scorer = new Scorer(traffic, model, fixed);
  const certain = fixed.reduce((sum, plain, symbol) => sum + Number(plain >= 0 && symbol < traffic.seen), 0);
  const steps = Math.max(0, Math.ceil(Math.log(traffic.seen / Math.max(FIRST, GROWTH * certain)) / Math.log(GROWTH))) + LAST_ROUNDS;
  const open = Array.from({ length: traffic.seen }, (_, symbol) => symbol).filter((symbol) => (fixed[symbol] as number) < 0);
  let before: Int32Array | null = null;
  let plain: Int32Array = fixed.map((known, symbol) => (known >= 0 ? known : (start[symbol] as number)));
  let aim = Math.max(FIRST, GROWTH * certain);
  for (let round = 0; round < steps; round += 1, aim *= GROWTH) {
    scorer.expect(plain);
    for (const [index, symbol] of open.entries()) {
      if (index % STRIDE === 0 && !(await proceed((round + index / open.length) / steps)))
        return { plain, ranked: scorer.ranked, rounds: round, finished: false };
      if (!before || besideChange(traffic, symbol, before, plain)) scorer.score(symbol, plain);
    }
    const next = scorer.choose(open, aim - certain, aim >= traffic.seen);
    const same = aim >= traffic.seen && next.every((value, symbol) => value === plain[symbol]);
    before = plain;
    plain = next;
    if (same) return { plain, ranked: scorer.ranked, rounds: round + 1, finished: true };
  }
  return { plain, ranked: scorer.ranked, rounds: steps, finished: true };
}

/** Whether a neighbour of the symbol is read otherwise than before; if none is, its scores are what they were. */
function besideChange({ followers, predecessors }: Traffic, symbol: number, before: Int32Array, plain: Int32Array): boolean {
  for (const { start, ids } of [followers, predecessors])
    for (let i = start[symbol] as number; i < (start[symbol + 1] as number); i += 1)
      if (before[ids[i] as number] !== plain[ids[i] as number]) return true;
  return false;
}

/** Scores plain ids for one symbol after another, looking only at those that the language has beside a neighbour. */
class Scorer {
  readonly ranked: Int32Array;
  readonly #traffic: Traffic;
  readonly #model: BigramModel;
  readonly #fixed: Int32Array;
  readonly #taken: Uint8Array;
  readonly #followerExcess: Float32Array;
  readonly #predecessorExcess: Float32Array;
  /** (vocabulary) how often each plain id should follow what is read. */
  readonly #expected: Float64Array;
  /** (vocabulary) by which the best plain id of a symbol leads. */
  readonly #lead: Float64Array;
  readonly #evidence: Float64Array;
  readonly #stamp: Int32Array;
  readonly #touched: Uint32Array;
  #clock = 0;

  constructor(traffic: Traffic, model: BigramModel, fixed: Int32Array) {
    const { vocabulary } = traffic;
    this.#traffic = traffic;
    this.#model = model;
    this.#fixed = fixed;
    this.#taken = new Uint8Array(vocabulary);
    for (const plain of fixed) if (plain >= 0) this.#taken[plain] = 1;
    this.#followerExcess = model.excess("followers");
    this.#predecessorExcess = model.excess("predecessors");
    this.#expected = new Float64Array(vocabulary);
    this.#lead = new Float64Array(vocabulary);
    this.#evidence = new Float64Array(vocabulary);
    this.#stamp = new Int32Array(vocabulary);
    this.#touched = new Uint32Array(vocabulary);
    this.ranked = new Int32Array(vocabulary * RANKS).fill(-1);
    for (const [symbol, plain] of fixed.entries()) this.ranked[symbol * RANKS] = plain;
  }

  /** Computes how often each plain id should follow what is read. */
  expect(plain: Int32Array): void {
    const { followers, logBackoff, logUnigram } = this.#model;
    this.#expected.fill(0);
    let unspecific = 0;
    for (let symbol = 0; symbol < this.#traffic.seen; symbol += 1) {
      const row = plain[symbol] as number;
      if (row < 0) continue;
      const count = this.#traffic.counts[symbol] as number;
      unspecific += count * Math.exp(logBackoff[row] as number);
      let weight = 0;
      for (let i = followers.start[row] as number; i < (followers.start[row + 1] as number); i += 1)
        weight += 1 + (followers.counts[i] as number);
      for (let i = followers.start[row] as number; i < (followers.start[row + 1] as number); i += 1)
        this.#expected[followers.ids[i] as number]! += (count * (followers.counts[i] as number)) / weight;
    }
    for (let id = 0; id < this.#expected.length; id += 1) this.#expected[id]! += unspecific * Math.exp(logUnigram[id] as number);
  }

  /** Ranks the plain ids of one symbol under what is read. */
  score(symbol: number, plain: Int32Array): void {
    const { logBackoff, logUnigram, predecessors, followers } = this.#model;
    this.#clock += 1;
    const touched = { count: 0 };
    const after = this.#gather(this.#traffic.followers, predecessors, this.#predecessorExcess, symbol, plain, touched);
    const before = this.#gather(this.#traffic.predecessors, followers, this.#followerExcess, symbol, plain, touched);
    const root = Math.sqrt(this.#traffic.counts[symbol] as number);
    const spread = 1 + BURSTINESS * root;
    const best = new Float64Array(RANKS).fill(-Infinity);
    const ids = this.ranked.subarray(symbol * RANKS, (symbol + 1) * RANKS).fill(-1);
    for (let i = 0; i < touched.count; i += 1) {
      const id = this.#touched[i] as number;
      const off = root - Math.sqrt(this.#traffic.tokens * Math.exp(logUnigram[id] as number));
      const score =
        (this.#evidence[id] as number) +
        after * (logBackoff[id] as number) +
        before * (logUnigram[id] as number) -
        (this.#expected[id] as number) -
        (2 * off * off) / spread;
      if (score <= (best[RANKS - 1] as number)) continue;
      let rank = RANKS - 1;
      for (; rank > 0 && score > (best[rank - 1] as number); rank -= 1) {
        best[rank] = best[rank - 1] as number;
        ids[rank] = ids[rank - 1] as number;
      }
      best[rank] = score;
      ids[rank] = id;
    }
    // Alone among those looked at is not certain: a plain id that fits beside nothing would be as good without the evidence.
    this.#lead[symbol] =
      ids[0] === -1 ? -Infinity : Math.min((best[0] as number) - (best[1] as number), this.#evidence[ids[0] as number] as number);
  }

  /** Gives the `count` symbols that lead most their best plain id that is free; with `others`, lower ranks too where it is not. */
  choose(open: readonly number[], count: number, others: boolean): Int32Array {
    const plain = this.#fixed.slice();
    const taken = this.#taken.slice();
    let given = 0;
    for (const symbol of open.toSorted((a, b) => (this.#lead[b] as number) - (this.#lead[a] as number) || a - b)) {
      if (given >= count) break;
      for (let rank = 0; rank < (others ? RANKS : 1); rank += 1) {
        const id = this.ranked[symbol * RANKS + rank] as number;
        if (id < 0) break;
        if (taken[id] === 1) continue;
        taken[id] = 1;
        plain[symbol] = id;
        given += 1;
        break;
      }
    }
    return plain;
  }

  /** Adds the evidence of the read neighbours on one side; gives their number. */
  #gather(
    beside: Traffic["followers"],
    language: BigramModel["followers"],
    excess: Float32Array,
    symbol: number,
    plain: Int32Array,
    touched: { count: number },
  ): number {
    let read = 0;
    for (let i = beside.start[symbol] as number; i < (beside.start[symbol + 1] as number); i += 1) {
      const row = plain[beside.ids[i] as number] as number;
      if (row < 0) continue;
      const count = beside.counts[i] as number;
      read += count;
      for (let j = language.start[row] as number, end = language.start[row + 1] as number; j < end; j += 1) {
        const id = language.ids[j] as number;
        if (this.#taken[id] === 1) continue;
        if (this.#stamp[id] !== this.#clock) {
          this.#stamp[id] = this.#clock;
          this.#evidence[id] = 0;
          this.#touched[touched.count] = id;
          touched.count += 1;
        }
        this.#evidence[id]! += count * (excess[j] as number);
      }
    }
    return read;
  }
}
