/**
 * What a decoder remembers of a text: its ids, and every layer's keys and values.
 * @module
 */
import type { Architecture } from "@unseen/core/blueprint/architecture.ts";
import { UnseenError } from "@unseen/core/errors.ts";

/** One text on its way through a decoder. Only its owner sees it. */
export class DecoderState {
  /** By layer: (capacity, K·h); the first `length` rows count. */
  readonly #keys: Float64Array[];
  readonly #values: Float64Array[];
  readonly #rowSize: number;
  #ids: readonly number[] = [];
  /** Which rotary factors the keys were turned with: those of texts of this length. */
  #total = 0;
  #busy = false;

  constructor({ layers, kvHeads, headSize }: Architecture) {
    this.#rowSize = kvHeads * headSize;
    this.#keys = layers.map(() => new Float64Array(0));
    this.#values = layers.map(() => new Float64Array(0));
  }

  /** The ids so far. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  get length(): number {
    return this.#ids.length;
  }

  /** Length of the text with which the keys were turned last. */
  get total(): number {
    return this.#total;
  }

  /** Forgets all positions from `length` on, so that another continuation can follow. Throws `INTERNAL` for a length beyond, or during a step. */
  rewind(length: number): void {
    this.#requireIdle();
    if (!Number.isInteger(length) || length < 0 || length > this.length)
      throw new UnseenError("INTERNAL", `a text of ${this.length} ids cannot be rewound to ${length}.`);
    this.#ids = this.#ids.slice(0, length);
  }

  /** Runs a step on it, one at a time. Throws `INTERNAL` during another. */
  async hold<T>(step: () => Promise<T>): Promise<T> {
    this.#requireIdle();
    this.#busy = true;
    try {
      return await step();
    } finally {
      this.#busy = false;
    }
  }

  /** Room for `positions` in all; what is there stays. */
  reserve(positions: number): void {
    const capacity = (this.#keys[0]?.length ?? 0) / this.#rowSize;
    if (positions <= capacity) return;
    const grown = Math.max(positions, 2 * capacity) * this.#rowSize;
    for (const arrays of [this.#keys, this.#values])
      for (const [layer, array] of arrays.entries()) {
        const larger = new Float64Array(grown);
        larger.set(array.subarray(0, this.length * this.#rowSize));
        arrays[layer] = larger;
      }
  }

  /** Puts keys and values (T, K·h) from position `first` on, and gives those of all positions. They count once {@link commit} is called. */
  extend(layer: number, first: number, keys: Float64Array, values: Float64Array): readonly [keys: Float64Array, values: Float64Array] {
    const all = [this.#keys[layer], this.#values[layer]] as [Float64Array, Float64Array];
    all[0].set(keys, first * this.#rowSize);
    all[1].set(values, first * this.#rowSize);
    return all;
  }

  /** The text is now these ids. */
  commit(ids: readonly number[]): void {
    this.#ids = ids;
    this.#total = ids.length;
  }

  /** Takes another state's content. */
  adopt(other: DecoderState): void {
    for (const layer of this.#keys.keys()) {
      this.#keys[layer] = other.#keys[layer] as Float64Array;
      this.#values[layer] = other.#values[layer] as Float64Array;
    }
    this.commit(other.#ids);
  }

  #requireIdle(): void {
    if (this.#busy) throw new UnseenError("INTERNAL", "a step is already running on this text.");
  }
}
