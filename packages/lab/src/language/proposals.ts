/**
 * Which two symbols a search tries to exchange next.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import type { BigramModel } from "./ngrams.ts";
import type { PairCounts } from "./pairs.ts";
import type { SearchState } from "./search-state.ts";

/** Share of exchanges between symbols of similar frequency; the others look at the context. */
const BY_FREQUENCY = 0.5;
/** Mean distance of ranks in an exchange by frequency, relative to the rank: errors of a frequency match grow with it. */
const SPREAD = 0.3;

/**
 * Draws exchanges: half of them between symbols of similar frequency (Jakobsen 1995), half of them for a plain id that the
 * language puts beside a neighbour of the symbol, as that neighbour is read now. Common symbols come more often.
 */
export class Proposals {
  /** The two symbols of the last {@link draw}. */
  x = 0;
  y = 0;
  readonly #state: SearchState;
  readonly #random: RandomStream;
  readonly #model: BigramModel | null;
  readonly #followers: Float64Array;
  readonly #predecessors: Float64Array;

  /** `model`: what the context is judged by; null proposes by frequency alone. */
  constructor(state: SearchState, random: RandomStream, model: BigramModel | null) {
    this.#state = state;
    this.#random = random;
    this.#model = model;
    this.#followers = model ? cumulative(model.followers) : new Float64Array(0);
    this.#predecessors = model ? cumulative(model.predecessors) : new Float64Array(0);
  }

  /** Sets {@link x}, a symbol that occurs, and {@link y}, any; they may be equal. */
  draw(): void {
    const random = this.#random;
    const { traffic } = this.#state;
    this.x = Math.floor(traffic.seen * random.uniform() ** 2);
    if (!this.#model || random.uniform() < BY_FREQUENCY) {
      const distance = 1 + Math.floor(-Math.log(1 - random.uniform()) * (1 + SPREAD * this.x));
      this.y = Math.min(traffic.vocabulary - 1, Math.max(0, this.x + random.sign() * distance));
      return;
    }
    this.y = this.#fitting(this.x, this.#model);
  }

  /** The symbol that stands for a plain id that fits beside a neighbour of `x`. */
  #fitting(x: number, model: BigramModel): number {
    const { traffic, plain, symbolOf } = this.#state;
    const { followers, predecessors } = traffic;
    const after = (followers.start[x + 1] as number) - (followers.start[x] as number);
    const before = (predecessors.start[x + 1] as number) - (predecessors.start[x] as number);
    if (after + before === 0) return x;
    const chosen = this.#random.below(after + before);
    if (chosen < after) {
      const neighbour = followers.ids[(followers.start[x] as number) + chosen] as number;
      return symbolOf[this.#beside(model.predecessors, this.#predecessors, plain[neighbour] as number) ?? (plain[x] as number)] as number;
    }
    const neighbour = predecessors.ids[(predecessors.start[x] as number) + chosen - after] as number;
    return symbolOf[this.#beside(model.followers, this.#followers, plain[neighbour] as number) ?? (plain[x] as number)] as number;
  }

  /** A plain id beside `row`, as often as the language has it there; undefined where it has none. */
  #beside({ start, ids }: PairCounts, sums: Float64Array, row: number): number | undefined {
    let low = start[row] as number;
    let high = (start[row + 1] as number) - 1;
    if (high < low) return undefined;
    const before = low === 0 ? 0 : (sums[low - 1] as number);
    const target = before + this.#random.uniform() * ((sums[high] as number) - before);
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) > target) high = middle;
      else low = middle + 1;
    }
    return ids[low];
  }
}

/** Running sums of the counts, over all rows. */
function cumulative({ counts }: PairCounts): Float64Array {
  let sum = 0;
  return Float64Array.from(counts, (count) => (sum += count));
}
