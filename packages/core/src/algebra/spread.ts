/**
 * A map of the outer of two indices, the same at every inner one.
 * @module
 */
import { Chain } from "./chain.ts";
import type { Element } from "./element.ts";

/** T ⊗ I: vectors of `outer.size` blocks of `inner` coordinates, mixed block-wise. Size = outer.size·inner. */
export class Spread implements Element {
  readonly size: number;
  readonly block: number;
  readonly outer: Element;
  readonly inner: number;

  /** @throws RangeError unless `inner` is a positive integer. */
  constructor(outer: Element, inner: number) {
    if (!Number.isSafeInteger(inner) || inner < 1) throw new RangeError(`spread: expected a positive inner size, got ${inner}.`);
    this.outer = outer;
    this.inner = inner;
    this.size = outer.size * inner;
    this.block = outer.block * inner;
  }

  source(k: number): number {
    return this.outer.source(k);
  }

  applyBlock(k: number, panel: Float64Array, width: number): void {
    this.outer.applyBlock(k, panel, this.inner * width);
  }

  /** A panel `(outer·inner, width)` is a panel `(outer, inner·width)` of the outer element. */
  apply(panel: Float64Array, width: number): void {
    this.outer.apply(panel, this.inner * width);
  }

  inverse(): Spread {
    return new Spread(this.outer.inverse(), this.inner);
  }

  inverseTranspose(): Spread {
    return new Spread(this.outer.inverseTranspose(), this.inner);
  }

  compose(next: Element): Element {
    if (!(next instanceof Spread) || next.inner !== this.inner) return Chain.of(this, next);
    return new Spread(this.outer.compose(next.outer), this.inner);
  }
}
