/**
 * A guess that a search changes step by step, and what each step is worth without reading the traffic again.
 * @module
 */
import type { PairModel } from "./ngrams.ts";
import type { Traffic } from "./traffic.ts";

/** An assignment of plain ids to symbols, one to one, and its log-likelihood under a model of pairs. */
export class SearchState {
  readonly traffic: Traffic;
  readonly model: PairModel;
  /** (vocabulary) plain id of each symbol; change it by {@link swap} and {@link assign} alone. */
  readonly plain: Uint32Array;
  /** (vocabulary) symbol of each plain id. */
  readonly symbolOf: Uint32Array;

  /** `order`: all plain ids, for the symbols from the commonest on. */
  constructor(traffic: Traffic, model: PairModel, order: ArrayLike<number>) {
    this.traffic = traffic;
    this.model = model;
    this.plain = new Uint32Array(traffic.vocabulary);
    this.symbolOf = new Uint32Array(traffic.vocabulary);
    this.assign(order);
  }

  /** Replaces the whole assignment; `order` is a permutation of the plain ids. */
  assign(order: ArrayLike<number>): void {
    for (let symbol = 0; symbol < this.plain.length; symbol += 1) {
      this.plain[symbol] = order[symbol] as number;
      this.symbolOf[order[symbol] as number] = symbol;
    }
  }

  /** Exchanges the plain ids of two symbols. */
  swap(x: number, y: number): void {
    const [p, q] = [this.plain[x] as number, this.plain[y] as number];
    this.plain[x] = q;
    this.plain[y] = p;
    this.symbolOf[q] = x;
    this.symbolOf[p] = y;
  }

  /** Log-likelihood of the traffic, in nats, from all its pairs. */
  total(): number {
    const { followers, seen } = this.traffic;
    let sum = 0;
    for (let x = 0; x < seen; x += 1)
      for (let i = followers.start[x] as number; i < (followers.start[x + 1] as number); i += 1)
        sum +=
          (followers.counts[i] as number) *
          this.model.logProbability(this.plain[x] as number, this.plain[followers.ids[i] as number] as number);
    return sum;
  }

  /** What {@link swap} would add to {@link total}: only the pairs that touch one of the two symbols are looked at. */
  gain(x: number, y: number): number {
    if (x === y) return 0;
    return this.#gainOf(x, y, false) + this.#gainOf(y, x, true);
  }

  /** Plain id of each cipher id, -1 for those that do not occur in the traffic: `(vocabulary)`. */
  mapping(): Int32Array {
    const mapping = new Int32Array(this.plain.length).fill(-1);
    for (let symbol = 0; symbol < this.traffic.seen; symbol += 1)
      mapping[this.traffic.cipherOf[symbol] as number] = this.plain[symbol] as number;
    return mapping;
  }

  /** The part of the pairs of `x`, which takes the plain id of `y`; `second` leaves out those with `y`, counted already. */
  #gainOf(x: number, y: number, second: boolean): number {
    const { model, plain } = this;
    const { followers, predecessors } = this.traffic;
    const [p, q] = [plain[x] as number, plain[y] as number];
    let gain = 0;
    for (let i = followers.start[x] as number, end = followers.start[x + 1] as number; i < end; i += 1) {
      const b = followers.ids[i] as number;
      const count = followers.counts[i] as number;
      if (b === x) gain += count * (model.logProbability(q, q) - model.logProbability(p, p));
      else if (b !== y) gain += count * (model.logProbability(q, plain[b] as number) - model.logProbability(p, plain[b] as number));
      else if (!second) gain += count * (model.logProbability(q, p) - model.logProbability(p, q));
    }
    for (let i = predecessors.start[x] as number, end = predecessors.start[x + 1] as number; i < end; i += 1) {
      const a = predecessors.ids[i] as number;
      const count = predecessors.counts[i] as number;
      if (a === x) continue;
      if (a !== y) gain += count * (model.logProbability(plain[a] as number, q) - model.logProbability(plain[a] as number, p));
      else if (!second) gain += count * (model.logProbability(p, q) - model.logProbability(q, p));
    }
    return gain;
  }
}
