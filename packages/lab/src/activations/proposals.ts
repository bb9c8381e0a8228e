/**
 * Which token comes next, as public texts say: the order in which a search tries tokens.
 * @module
 */

/** A token that opens public texts is preferred for a lone first state, of which only the length is known, within this misfit. */
export const OPENING_MISFIT = 0.01;

/** Counts of what opens a text and what follows what. */
export class Proposals {
  /** Tokens that open a text. */
  readonly openings: ReadonlySet<number>;
  readonly #followers = new Map<number, Map<number, number>>();
  /** All tokens, frequent ones first. */
  readonly #frequent: Uint32Array;

  constructor(texts: readonly Uint32Array[], vocabulary: number) {
    const counts = new Float64Array(vocabulary);
    const openings = new Set<number>();
    for (const text of texts) {
      for (const [place, id] of text.entries()) {
        counts[id]! += 1;
        if (place === 0) openings.add(id);
        else this.#count(text[place - 1] as number, id);
      }
    }
    this.openings = openings;
    // Stable: equal counts stay in the order of ids.
    this.#frequent = Uint32Array.from({ length: vocabulary }, (_, id) => id).toSorted(
      (a, b) => (counts[b] as number) - (counts[a] as number),
    );
  }

  /** All tokens, likeliest first, behind `previous`; null at the beginning of a text. */
  after(previous: number | null): Uint32Array {
    const followers = previous === null ? null : this.#followers.get(previous);
    const first = followers
      ? [...followers].toSorted(([, a], [, b]) => b - a).map(([id]) => id)
      : previous === null
        ? [...this.openings]
        : [];
    const taken = new Set(first);
    return Uint32Array.from([...first, ...this.#frequent.filter((id) => !taken.has(id))]);
  }

  #count(before: number, id: number): void {
    const followers = this.#followers.get(before) ?? new Map<number, number>();
    this.#followers.set(before, followers.set(id, (followers.get(id) ?? 0) + 1));
  }
}
