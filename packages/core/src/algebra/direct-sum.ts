/**
 * Elements of unequal size laid one behind the other, as on the axis of a fused projection.
 * @module
 */
import type { Element } from "./element.ts";
import { Chain } from "./chain.ts";

/** One part of a {@link DirectSum}; a null element leaves its coordinates alone. */
export interface Part {
  readonly size: number;
  readonly element: Element | null;
}

/** Block-diagonal map diag(T_1, T_2, ...) with blocks of any size. */
export class DirectSum implements Element {
  readonly size: number;
  readonly block: number;
  readonly parts: readonly Part[];

  constructor(parts: readonly Part[]) {
    this.parts = parts;
    this.size = parts.reduce((sum, part) => sum + part.size, 0);
    this.block = this.size;
  }

  source(): number {
    return 0;
  }

  applyBlock(_block: number, panel: Float64Array, width: number): void {
    this.apply(panel, width);
  }

  apply(panel: Float64Array, width: number): void {
    let start = 0;
    for (const part of this.parts) {
      const end = start + part.size * width;
      part.element?.apply(panel.subarray(start, end), width);
      start = end;
    }
  }

  inverse(): Element {
    return new DirectSum(this.parts.map(({ size, element }) => ({ size, element: element?.inverse() ?? null })));
  }

  inverseTranspose(): Element {
    return new DirectSum(this.parts.map(({ size, element }) => ({ size, element: element?.inverseTranspose() ?? null })));
  }

  compose(next: Element): Element {
    return new Chain([this, next]);
  }
}
