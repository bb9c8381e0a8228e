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
    this.factor = 2 / normal.reduce((sum, value) => sum + value * value, 0);
  }

  apply(panel: Float64Array, width: number): void {
    reflect(panel, this.normal.length, width, this.normal, this.factor);
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
    return new StructuredOrthogonal(
      this.size,
      this.factors.toReversed().map((factor) => factor.inverse()),
    );
  }

  /** Itself: T^-T = T for an orthogonal map. */
  inverseTranspose(): StructuredOrthogonal {
    return this;
  }

  compose(next: Element): Element {
    if (!(next instanceof StructuredOrthogonal)) return Chain.of(this, next);
    return new StructuredOrthogonal(this.size, mergeMonomials([...this.factors, ...next.factors]));
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
  const one = 1 / Math.sqrt(n);
  const image = new Float64Array(n).fill(one);
  rotation.apply(image, 1);
  // The normal of the reflection is the difference of two unit vectors. Where they are near each other it would be mostly
  // rounding errors, so the image is first turned to the far side: -M is as random a rotation as M.
  const near = image.reduce((sum, value) => sum + value, 0) > 0;
  const normal = image.map((value) => (near ? -value : value) - one);
  const factors: OrthogonalFactor[] = near ? [negation(n), ...rotation.factors] : [...rotation.factors];
  return new StructuredOrthogonal(n, mergeMonomials([...factors, new Reflection(normal)]));
}

function negation(n: number): Monomial {
  return new Monomial(Monomial.identity(n).order, new Float64Array(n).fill(-1));
}

/** Replaces neighbouring monomials by their product: one pass over the panel instead of two. */
function mergeMonomials(factors: readonly OrthogonalFactor[]): OrthogonalFactor[] {
  const merged: OrthogonalFactor[] = [];
  for (const factor of factors) {
    const last = merged.at(-1);
    const product = last instanceof Monomial && factor instanceof Monomial ? last.compose(factor) : null;
    if (product instanceof Monomial) merged[merged.length - 1] = product;
    else merged.push(factor);
  }
  return merged;
}
