/**
 * Elements of unequal size laid one behind the other, as on the axis of a fused projection.
 * @module
 */
import { Chain } from "./chain.ts";
import type { Element } from "./element.ts";

/** One part of a {@link DirectSum}; a null element leaves its coordinates alone. */
export interface Part {
  readonly size: number;
  readonly element: Element | null;
}

/** Block-diagonal map diag(T_1, T_2, ...) with parts of any size. Block = that of the parts where they agree, else the whole. */
export class DirectSum implements Element {
  readonly size: number;
  readonly block: number;
  readonly parts: readonly Part[];

  /** @throws RangeError if an element does not have its part's size. */
  constructor(parts: readonly Part[]) {
    for (const { size, element } of parts)
      if (element !== null && element.size !== size)
        throw new RangeError(`direct sum: expected an element of size ${size}, got ${element.size}.`);
    this.parts = parts;
    this.size = parts.reduce((sum, part) => sum + part.size, 0);
    const blocks = new Set(parts.flatMap(({ element }) => element?.block ?? []));
    const [block = 1] = blocks;
    this.block = blocks.size <= 1 && parts.every(({ size }) => size % block === 0) ? block : this.size;
  }

  /** The part that block `k` lies in, and which of its blocks it is. */
  #locate(k: number): { element: Element | null; start: number; inside: number } {
    let start = 0;
    for (const { size, element } of this.parts) {
      if (k < start + size / this.block) return { element, start, inside: k - start };
      start += size / this.block;
    }
    throw new RangeError(`direct sum: expected a block below ${start}, got ${k}.`);
  }

  source(k: number): number {
    if (this.block === this.size) return 0;
    const { element, start, inside } = this.#locate(k);
    return start + (element?.source(inside) ?? inside);
  }

  applyBlock(k: number, panel: Float64Array, width: number): void {
    if (this.block === this.size) return this.apply(panel, width);
    const { element, inside } = this.#locate(k);
    element?.applyBlock(inside, panel, width);
  }

  apply(panel: Float64Array, width: number): void {
    let start = 0;
    for (const part of this.parts) {
      const end = start + part.size * width;
      part.element?.apply(panel.subarray(start, end), width);
      start = end;
    }
  }

  inverse(): DirectSum {
    return new DirectSum(this.parts.map(({ size, element }) => ({ size, element: element?.inverse() ?? null })));
  }

  inverseTranspose(): DirectSum {
    return new DirectSum(this.parts.map(({ size, element }) => ({ size, element: element?.inverseTranspose() ?? null })));
  }

  compose(next: Element): Element {
    if (!(next instanceof DirectSum) || !this.#matches(next)) return Chain.of(this, next);
    return new DirectSum(
      this.parts.map(({ size, element }, i) => {
        const second = next.parts[i]!.element;
        return { size, element: element === null ? second : second === null ? element : element.compose(second) };
      }),
    );
  }

  #matches(next: DirectSum): boolean {
    return next.parts.length === this.parts.length && next.parts.every(({ size }, i) => size === this.parts[i]!.size);
  }
}
