/**
 * Maps of a vector made of equal blocks, such as the heads of an attention layer: the blocks move, each through its own map.
 * @module
 */
import { Chain } from "./chain.ts";
import type { Element } from "./element.ts";
import { allocatePanel, withArena } from "./panel.ts";
import { permutation, type RandomStream } from "./random.ts";

/** Result block k = (argument block order[k]) · elements[k]. Block = the size of the elements. */
export class Blocks implements Element {
  readonly size: number;
  readonly block: number;
  readonly order: Uint32Array;
  readonly elements: readonly Element[];

  /** @throws RangeError unless `order` is a permutation with one element per block and all elements have one size. */
  constructor(order: Uint32Array, elements: readonly Element[]) {
    const first = elements[0];
    if (first === undefined || elements.length !== order.length)
      throw new RangeError(`blocks: expected ${order.length} elements, at least one, got ${elements.length}.`);
    for (const element of elements)
      if (element.size !== first.size) throw new RangeError(`blocks: expected elements of size ${first.size}, got ${element.size}.`);
    if (new Set(order).size !== order.length || order.some((k) => k >= order.length))
      throw new RangeError(`blocks order: expected a permutation of ${order.length}.`);
    this.order = order;
    this.elements = elements;
    this.block = first.size;
    this.size = first.size * order.length;
  }

  source(k: number): number {
    return this.order[k]!;
  }

  applyBlock(k: number, panel: Float64Array, width: number): void {
    this.elements[k]!.apply(panel, width);
  }

  apply(panel: Float64Array, width: number): void {
    const length = this.block * width;
    withArena(() => {
      const argument = allocatePanel(this.size, width);
      argument.set(panel.subarray(0, this.size * width));
      this.elements.forEach((element, k) => {
        const from = this.order[k]! * length;
        const part = panel.subarray(k * length, (k + 1) * length);
        part.set(argument.subarray(from, from + length));
        element.apply(part, width);
      });
    });
  }

  inverse(): Blocks {
    const order = new Uint32Array(this.order.length);
    const elements = [...this.elements];
    this.order.forEach((from, k) => {
      order[from] = k;
      elements[from] = this.elements[k]!.inverse();
    });
    return new Blocks(order, elements);
  }

  inverseTranspose(): Blocks {
    return new Blocks(
      this.order,
      this.elements.map((element) => element.inverseTranspose()),
    );
  }

  compose(next: Element): Element {
    if (!(next instanceof Blocks) || next.block !== this.block || next.size !== this.size) return Chain.of(this, next);
    return new Blocks(
      next.order.map((k) => this.order[k]!),
      next.elements.map((element, k) => this.elements[next.order[k]!]!.compose(element)),
    );
  }
}

/** The order of the heads of one attention layer: result head k shows argument head `heads[k]`. */
export interface HeadOrders {
  /** `(kvHeads)` */
  readonly kv: Uint32Array;
  /** `(kvHeads·groupSize)` */
  readonly heads: Uint32Array;
}

/**
 * Random head orders under grouped-query attention: the wreath product S_kv ≀ S_group. Key/value heads move with all their
 * query heads, and query heads move inside their group.
 */
export function headOrders(random: RandomStream, kvHeads: number, groupSize: number): HeadOrders {
  const kv = permutation(random, kvHeads);
  const heads = new Uint32Array(kvHeads * groupSize);
  for (let k = 0; k < kvHeads; k++) {
    const inside = permutation(random, groupSize);
    for (let i = 0; i < groupSize; i++) heads[k * groupSize + i] = kv[k]! * groupSize + inside[i]!;
  }
  return { kv, heads };
}
