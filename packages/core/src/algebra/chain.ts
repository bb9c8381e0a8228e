/**
 * Products of elements of different kinds, kept as the list of their factors.
 * @module
 */
import type { Element } from "./element.ts";

/** First `elements[0]`, then `elements[1]`, ...: the general composition. Immutable. */
export class Chain implements Element {
  readonly size: number;
  readonly block: number;
  readonly elements: readonly Element[];

  /** @throws RangeError if there is no element or the sizes differ. */
  constructor(elements: readonly Element[]) {
    const flat = elements.flatMap((element) => (element instanceof Chain ? element.elements : [element]));
    const first = flat[0];
    if (first === undefined) throw new RangeError("chain: expected at least one element, got none.");
    for (const element of flat)
      if (element.size !== first.size) throw new RangeError(`chain: expected elements of size ${first.size}, got ${element.size}.`);
    this.elements = flat;
    this.size = first.size;
    // Blocks of unlike sizes interlock in ways that only the whole vector covers.
    this.block = flat.every((element) => element.block === first.block) ? first.block : first.size;
  }

  /** First `first`, then `next`, without looking for products in closed form. */
  static of(first: Element, next: Element): Chain {
    return new Chain([first, next]);
  }

  source(k: number): number {
    if (this.block === this.size) return 0;
    let block = k;
    for (const element of this.elements.toReversed()) block = element.source(block);
    return block;
  }

  applyBlock(k: number, panel: Float64Array, width: number): void {
    if (this.block === this.size) return this.apply(panel, width);
    // Which block each factor produces on the way to block k of the last one.
    const path: number[] = [];
    let block = k;
    for (const element of this.elements.toReversed()) {
      path.unshift(block);
      block = element.source(block);
    }
    this.elements.forEach((element, i) => element.applyBlock(path[i]!, panel, width));
  }

  apply(panel: Float64Array, width: number): void {
    for (const element of this.elements) element.apply(panel, width);
  }

  inverse(): Element {
    return new Chain(this.elements.toReversed().map((element) => element.inverse()));
  }

  inverseTranspose(): Element {
    return new Chain(this.elements.map((element) => element.inverseTranspose()));
  }

  compose(next: Element): Element {
    const last = this.elements.at(-1)!;
    const product = last.constructor === next.constructor ? last.compose(next) : null;
    if (product === null || product instanceof Chain) return Chain.of(this, next);
    const elements = [...this.elements.slice(0, -1), product];
    return elements.length === 1 ? product : new Chain(elements);
  }
}
