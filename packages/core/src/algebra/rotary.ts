/**
 * What a head's queries and keys may undergo under rotary position embedding.
 *
 * RoPE turns each frequency pair of a head by an angle that depends on the position. What commutes with all those turns is, per
 * pair, a turn and a stretch: one complex number (literature: the commutant is C^* per frequency).
 * @module
 */
import { Chain } from "./chain.ts";
import type { Element } from "./element.ts";
import { drawScale } from "./monomial.ts";
import { rotatePairs } from "./panel-operations.ts";
import type { RandomStream } from "./random.ts";

/** Which coordinates form pair i of r/2: `half` = (i, i + r/2) as in Hugging Face, `interleaved` = (2i, 2i + 1) as in GGUF's Llama. */
export type RotaryLayout = "half" | "interleaved";

/** How the pairs lie in a head. */
export interface RotaryShape {
  readonly layout: RotaryLayout;
  /** Leading coordinates that RoPE turns; even; the head size if not given. */
  readonly rotaryDimensions?: number;
  /** The element of the remaining coordinates; null or absent = identity. */
  readonly rest?: Element | null;
}

/** One complex factor per frequency pair: v -> v·T with T block-diagonal over the pairs. Block = size. */
export class Rotary implements Element {
  readonly size: number;
  readonly block: number;
  readonly layout: RotaryLayout;
  readonly rotaryDimensions: number;
  readonly rest: Element | null;
  /** Real parts of the factors: scale·cos(angle), `(rotaryDimensions/2)`. */
  readonly real: Float64Array;
  /** Imaginary parts of the factors: scale·sin(angle), `(rotaryDimensions/2)`. */
  readonly imaginary: Float64Array;

  /** @throws RangeError if the dimensions contradict each other or a factor is 0 or not finite. */
  constructor(size: number, real: Float64Array, imaginary: Float64Array, shape: RotaryShape) {
    const rotaryDimensions = shape.rotaryDimensions ?? size;
    const rest = shape.rest ?? null;
    if (!Number.isInteger(rotaryDimensions) || rotaryDimensions % 2 !== 0 || rotaryDimensions < 0 || rotaryDimensions > size)
      throw new RangeError(`rotary dimensions: expected an even number up to ${size}, got ${rotaryDimensions}.`);
    if (real.length !== rotaryDimensions / 2 || imaginary.length !== rotaryDimensions / 2)
      throw new RangeError(`rotary factors: expected ${rotaryDimensions / 2}, got ${real.length} and ${imaginary.length}.`);
    if (rest !== null && rest.size !== size - rotaryDimensions)
      throw new RangeError(`rotary rest: expected an element of size ${size - rotaryDimensions}, got ${rest.size}.`);
    for (let p = 0; p < real.length; p++) {
      const square = real[p]! ** 2 + imaginary[p]! ** 2;
      if (!Number.isFinite(square) || square === 0) throw new RangeError(`rotary factor ${p}: expected a finite number other than 0.`);
    }
    this.size = size;
    this.block = size;
    this.layout = shape.layout;
    this.rotaryDimensions = rotaryDimensions;
    this.rest = rest;
    this.real = real;
    this.imaginary = imaginary;
  }

  /** Per pair any angle and a scale log-uniform in [1/2, 2]. */
  static random(random: RandomStream, size: number, shape: RotaryShape): Rotary {
    const pairs = (shape.rotaryDimensions ?? size) / 2;
    const real = new Float64Array(pairs);
    const imaginary = new Float64Array(pairs);
    for (let p = 0; p < pairs; p++) {
      const angle = 2 * Math.PI * random.uniform();
      const scale = drawScale(random);
      real[p] = scale * Math.cos(angle);
      imaginary[p] = scale * Math.sin(angle);
    }
    return new Rotary(size, real, imaginary, shape);
  }

  /** Per pair +1 or -1: all that a gain inside the head (Qwen3's q/k norm) leaves. */
  static signs(random: RandomStream, size: number, shape: RotaryShape): Rotary {
    const pairs = (shape.rotaryDimensions ?? size) / 2;
    const real = Float64Array.from({ length: pairs }, () => random.sign());
    return new Rotary(size, real, new Float64Array(pairs), shape);
  }

  #with(real: Float64Array, imaginary: Float64Array, rest: Element | null): Rotary {
    return new Rotary(this.size, real, imaginary, { layout: this.layout, rotaryDimensions: this.rotaryDimensions, rest });
  }

  source(): number {
    return 0;
  }

  applyBlock(_k: number, panel: Float64Array, width: number): void {
    this.apply(panel, width);
  }

  apply(panel: Float64Array, width: number): void {
    rotatePairs(panel, width, this.layout, this.real, this.imaginary);
    if (this.rest !== null) this.rest.apply(panel.subarray(this.rotaryDimensions * width, this.size * width), width);
  }

  inverse(): Rotary {
    const square = this.#squares();
    return this.#with(
      this.real.map((a, p) => a / square[p]!),
      this.imaginary.map((b, p) => -b / square[p]!),
      this.rest?.inverse() ?? null,
    );
  }

  inverseTranspose(): Rotary {
    // Transposing conjugates a factor, so the inverse-transpose only divides it by its squared magnitude.
    const square = this.#squares();
    return this.#with(
      this.real.map((a, p) => a / square[p]!),
      this.imaginary.map((b, p) => b / square[p]!),
      this.rest?.inverseTranspose() ?? null,
    );
  }

  compose(next: Element): Element {
    if (
      !(next instanceof Rotary) ||
      next.size !== this.size ||
      next.layout !== this.layout ||
      next.rotaryDimensions !== this.rotaryDimensions
    )
      return Chain.of(this, next);
    const real = this.real.map((a, p) => a * next.real[p]! - this.imaginary[p]! * next.imaginary[p]!);
    const imaginary = this.real.map((a, p) => a * next.imaginary[p]! + this.imaginary[p]! * next.real[p]!);
    const rest = this.rest === null ? next.rest : next.rest === null ? this.rest : this.rest.compose(next.rest);
    return this.#with(real, imaginary, rest);
  }

  #squares(): Float64Array {
    return this.real.map((a, p) => a * a + this.imaginary[p]! ** 2);
  }
}
