/**
 * Permutations, signs and scales: the maps that move and stretch coordinates but never mix them.
 * @module
 */
import { Chain } from "./chain.ts";
import type { Element } from "./element.ts";
import { gatherRows } from "./panel-operations.ts";
import { permutation, type RandomStream } from "./random.ts";

/** What {@link Monomial.scaled} draws. */
export interface ScaledOptions {
  /** Also draw a sign for every coordinate. */
  readonly signs: boolean;
}

/** The map `result[j] = scale[j]·v[source[j]]`: a permutation matrix with non-zero entries. Block 1. */
export class Monomial implements Element {
  readonly size: number;
  readonly block = 1;
  /** `source[j]` = which coordinate of the argument result coordinate `j` shows. */
  readonly order: Uint32Array;
  /** `scale[j]` multiplies result coordinate `j`; null = all ones. */
  readonly scale: Float64Array | null;

  /** @throws RangeError unless `source` is a permutation and every scale is finite and not 0. */
  constructor(source: Uint32Array, scale: Float64Array | null = null) {
    const seen = new Uint8Array(source.length);
    for (const i of source) {
      if (i >= source.length || seen[i] === 1)
        throw new RangeError(`monomial source: expected a permutation of ${source.length}, got ${i} twice or out of range.`);
      seen[i] = 1;
    }
    if (scale !== null) {
      if (scale.length !== source.length) throw new RangeError(`monomial scale: expected ${source.length} numbers, got ${scale.length}.`);
      for (const s of scale)
        if (!Number.isFinite(s) || s === 0) throw new RangeError(`monomial scale: expected finite numbers other than 0, got ${s}.`);
    }
    this.size = source.length;
    this.order = source;
    this.scale = scale;
  }

  /** Changes nothing. */
  static identity(n: number): Monomial {
    return new Monomial(Uint32Array.from({ length: n }, (_, i) => i));
  }

  /** A uniform permutation. */
  static permutation(random: RandomStream, n: number): Monomial {
    return new Monomial(permutation(random, n));
  }

  /** Random signs, nothing moved. */
  static signs(random: RandomStream, n: number): Monomial {
    return new Monomial(Monomial.identity(n).order, drawSigns(random, n));
  }

  /** A uniform permutation with random signs. */
  static signed(random: RandomStream, n: number): Monomial {
    const order = permutation(random, n);
    return new Monomial(order, drawSigns(random, n));
  }

  /** A uniform permutation with scales log-uniform in [1/2, 2], and random signs if asked for. */
  static scaled(random: RandomStream, n: number, options: ScaledOptions): Monomial {
    const order = permutation(random, n);
    const scale = new Float64Array(n);
    for (let j = 0; j < n; j++) {
      const magnitude = drawScale(random);
      scale[j] = options.signs ? random.sign() * magnitude : magnitude;
    }
    return new Monomial(order, scale);
  }

  source(k: number): number {
    return this.order[k]!;
  }

  /** The same permutation without scales. */
  unsigned(): Monomial {
    return this.scale === null ? this : new Monomial(this.order);
  }

  /** Where coordinate `i` of the argument goes: the inverse of the source table. */
  target(): Uint32Array {
    const target = new Uint32Array(this.size);
    for (let j = 0; j < this.size; j++) target[this.order[j]!] = j;
    return target;
  }

  applyBlock(k: number, panel: Float64Array, width: number): void {
    if (this.scale === null) return;
    const scale = this.scale[k]!;
    for (let c = 0; c < width; c++) panel[c] = panel[c]! * scale;
  }

  apply(panel: Float64Array, width: number): void {
    gatherRows(panel, width, this.order, this.scale);
  }

  inverse(): Monomial {
    const target = this.target();
    if (this.scale === null) return new Monomial(target);
    const scale = new Float64Array(this.size);
    for (let i = 0; i < this.size; i++) scale[i] = 1 / this.scale[target[i]!]!;
    return new Monomial(target, scale);
  }

  inverseTranspose(): Monomial {
    return new Monomial(this.order, this.scale === null ? null : this.scale.map((s) => 1 / s));
  }

  compose(next: Element): Element {
    if (!(next instanceof Monomial)) return Chain.of(this, next);
    const { order, scale } = this;
    const composed = next.order.map((j) => order[j]!);
    if (scale === null) return new Monomial(composed, next.scale);
    const scales = new Float64Array(this.size);
    for (let k = 0; k < this.size; k++) scales[k] = scale[next.order[k]!]! * (next.scale === null ? 1 : next.scale[k]!);
    return new Monomial(composed, scales);
  }
}

function drawSigns(random: RandomStream, n: number): Float64Array {
  return Float64Array.from({ length: n }, () => random.sign());
}

/** A scale log-uniform in [1/2, 2]: mild enough that the stored dtype loses no precision (literature: keep s in [1/2, 2]). */
export function drawScale(random: RandomStream): number {
  return 2 ** (2 * random.uniform() - 1);
}
