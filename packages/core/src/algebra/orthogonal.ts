/**
 * Rotations of a whole hidden stream at O(n log n) per vector.
 *
 * Two rounds of random signs, a random permutation, and (Walsh-Hadamard on the power-of-two part) ⊗ (Haar on the odd part):
 * the structured stand-in for a Haar matrix, used where n is a model's hidden size (2^k·m with a small odd m).
 * @module
 */
import { Chain } from "./chain.ts";
import { Dense, haarOrthogonal } from "./dense.ts";
import type { Element } from "./element.ts";
import { Monomial } from "./monomial.ts";
import { multiplyDense, reflect, transformHadamard } from "./panel-operations.ts";
import type { RandomStream } from "./random.ts";

const ROUNDS = 2;

/** An orthogonal factor that undoes itself when run backwards. */
export type OrthogonalFactor = Monomial | Kronecker | Reflection;

/** H ⊗ Q on coordinates (a, b) -> a·m + b: normalised Walsh-Hadamard along a in 2^k, an orthogonal Q `(m, m)` along b. */
export class Kronecker {
  readonly power: number;
  readonly odd: Dense | null;

  constructor(power: number, odd: Dense | null) {
    this.power = power;
    this.odd = odd;
  }

  apply(panel: Float64Array, width: number): void {
    transformHadamard(panel, this.power, (this.odd?.size ?? 1) * width, 1 / Math.sqrt(this.power));
    if (this.odd !== null) multiplyDense(panel, this.odd.size, width, this.odd.matrix, this.power);
  }

  inverse(): Kronecker {
    return new Kronecker(this.power, this.odd?.inverse() ?? null);
  }
}

/** The reflection that exchanges two unit vectors whose difference is `normal`. */
export class Reflection {
  readonly normal: Float64Array;
  readonly factor: number;

  constructor(normal: Float64Array) {
    this.normal = normal;
    const square = normal.reduce((sum, value) => sum + value * value, 0);
    this.factor = square === 0 ? 0 : 2 / square;
  }

  apply(panel: Float64Array, width: number): void {
    if (this.factor !== 0) reflect(panel, this.normal.length, width, this.normal, this.factor);
  }

  inverse(): Reflection {
    return this;
  }
}

/** A product of fast orthogonal factors, in the order they act. Block = size. */
export class StructuredOrthogonal implements Element {
  readonly size: number;
  readonly block: number;
  readonly factors: readonly OrthogonalFactor[];

  constructor(size: number, factors: readonly OrthogonalFactor[]) {
    this.size = size;
    this.block = size;
    this.factors = factors;
  }

  source(): number {
    return 0;
  }

  applyBlock(_k: number, panel: Float64Array, width: number): void {
    this.apply(panel, width);
  }

  apply(panel: Float64Array, width: number): void {
    for (const factor of this.factors) factor.apply(panel, width);
  }

  inverse(): StructuredOrthogonal {
    return new StructuredOrthogonal(this.size, this.factors.toReversed().map((factor) => factor.inverse()));
  }

  /** Itself: T^-T = T for an orthogonal map. */
  inverseTranspose(): StructuredOrthogonal {
    return this;
  }

  compose(next: Element): Element {
    if (!(next instanceof StructuredOrthogonal)) return Chain.of(this, next);
    return new StructuredOrthogonal(this.size, [...this.factors, ...next.factors]);
  }
}

/** A random rotation of size n = 2^k·m, m odd; drawing it costs O(n + m³). */
export function structuredOrthogonal(random: RandomStream, n: number): StructuredOrthogonal {
  let odd = n;
  while (odd % 2 === 0) odd /= 2;
  const factors: OrthogonalFactor[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    factors.push(Monomial.signed(random, n), new Kronecker(n / odd, odd === 1 ? null : haarOrthogonal(random, odd)));
  }
  return new StructuredOrthogonal(n, factors);
}

/**
 * A random rotation that leaves the all-ones vector alone, 1·T = 1: the group of a LayerNorm stream.
 * A structured rotation M moves 1 to 1·M; one reflection brings it back.
 */
export function fixingOnes(random: RandomStream, n: number): StructuredOrthogonal {
  const rotation = structuredOrthogonal(random, n);
  const image = new Float64Array(n).fill(1 / Math.sqrt(n));
  rotation.apply(image, 1);
  const normal = image.map((value) => value - 1 / Math.sqrt(n));
  return new StructuredOrthogonal(n, [...rotation.factors, new Reflection(normal)]);
}
