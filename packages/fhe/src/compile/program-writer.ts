/**
 * Writes the operations of a program: numbers registers, leaves out constants of zeros, counts levels, frees registers.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { slotsOf, type Parameters } from "../parameters.ts";
import type { Constant, Operation } from "../program.ts";
import type { Fill } from "./layout.ts";

/** More products with constants than a minute is enough for, on any parameters (CWE-770). */
const MAXIMUM_PRODUCTS = 2 ** 16;

/** A product with a constant that is not made yet. */
export interface Term {
  /** The register; asked for only if the constant is not zero, so that no rotation is done in vain. */
  readonly from: () => number;
  readonly fill: Fill;
}

/** Takes operations one after the other; each answers with the register of its result. */
export class ProgramWriter {
  readonly parameters: Parameters;
  readonly inputs: number;
  readonly slots: number;
  readonly #operations: Operation[] = [];
  /** Rescalings behind each register. */
  readonly #depths: number[];
  readonly #rotations = new Set<number>();
  #constants = 0;

  /** @param inputs ciphertexts that the client sends; they are registers 0, 1, ... */
  constructor(parameters: Parameters, inputs: number) {
    this.parameters = parameters;
    this.inputs = inputs;
    this.slots = slotsOf(parameters);
    this.#depths = Array.from({ length: inputs }, () => 0);
  }

  /** Register whose slot i is slot i + `by` of `from`. */
  rotate(from: number, by: number): number {
    // Between -slots/2 and slots/2, so that equal rotations have one key.
    const half = this.slots / 2;
    const step = modulo(by + half, this.slots) - half;
    if (step === 0) return from;
    this.#rotations.add(step);
    return this.#write(this.#depth(from), (to) => ({ operation: "rotate", to, from, by: step }));
  }

  /**
   * Sum of products with constants; null where all of them are zero, because SEAL refuses a product with zeros.
   *
   * @throws UnseenError CUT_UNAVAILABLE beyond the number of products that is ever affordable
   */
  dot(terms: readonly Term[]): number | null {
    const kept = terms.flatMap(({ from, fill }) => (this.#isZero(fill) ? [] : [{ from: from(), constant: this.#constant(fill) }]));
    if (this.#constants > MAXIMUM_PRODUCTS)
      throw new UnseenError("CUT_UNAVAILABLE", `the layers need more than ${MAXIMUM_PRODUCTS} products with weights.`, {
        hint: "Choose an earlier cut, or a model with a smaller picture or fewer channels.",
      });
    if (kept.length === 0) return null;
    return this.#write(this.#depth(...kept.map(({ from }) => from)), (to) => ({ operation: "dot", to, terms: kept }));
  }

  /** A product of almost nothing, for results that do not depend on the picture: 2^-36 is no zero to SEAL, and below the noise. */
  nothing(from: number): number {
    if (this.parameters.scheme === "bfv")
      throw new UnseenError("CUT_UNAVAILABLE", "a ciphertext of the result does not depend on the picture.", {
        hint: "Use the approximate scheme for this cut, or remove the channels whose weights are all zero.",
      });
    const tiny = 2 ** (4 - this.parameters.scaleBits);
    const constant: Constant = { id: this.#constants++, values: () => new Float64Array(this.slots).fill(tiny) };
    return this.#write(this.#depth(from), (to) => ({ operation: "dot", to, terms: [{ from, constant }] }));
  }

  /** Sum of registers of one level and scale. */
  add(from: readonly number[]): number {
    const [first] = from;
    if (from.length === 1 && first !== undefined) return first;
    return this.#write(this.#depth(...from), (to) => ({ operation: "add", to, from }));
  }

  /** `from` plus a constant; `from` itself where the constant is zero. */
  shift(from: number, fill: Fill): number {
    if (this.#isZero(fill)) return from;
    const constant = this.#constant(fill);
    return this.#write(this.#depth(from), (to) => ({ operation: "shift", to, from, constant }));
  }

  /** Product of two registers, rescaled. */
  multiply(left: number, right: number): number {
    return this.rescale(this.#write(this.#depth(left, right), (to) => ({ operation: "multiply", to, left, right })));
  }

  /** Uses up a level. */
  rescale(from: number): number {
    return this.#write(this.#depth(from) + 1, (to) => ({ operation: "rescale", to, from }));
  }

  /** The operations, each register freed after its last use, and what they need. */
  finish(outputs: readonly number[]): {
    readonly operations: readonly Operation[];
    readonly rotations: readonly number[];
    readonly relinearises: boolean;
    readonly depth: number;
  } {
    const kept = new Set(outputs);
    const seen = new Set<number>();
    const backwards = this.#operations.toReversed().flatMap((operation): Operation[] => {
      const used = new Set(readsOf(operation));
      const last = [...used].filter((from) => !seen.has(from) && !kept.has(from));
      for (const from of used) seen.add(from);
      return [...last.map((from): Operation => ({ operation: "free", from })), operation];
    });
    return {
      operations: backwards.toReversed(),
      rotations: [...this.#rotations].toSorted((left, right) => left - right),
      relinearises: this.#operations.some(({ operation }) => operation === "multiply"),
      depth: this.parameters.scheme === "bfv" ? 1 : this.#depth(...outputs),
    };
  }

  #write(depth: number, make: (to: number) => Operation): number {
    const to = this.#depths.length;
    this.#depths.push(depth);
    this.#operations.push(make(to));
    return to;
  }

  #depth(...registers: number[]): number {
    return Math.max(0, ...registers.map((register) => this.#depths[register] ?? 0));
  }

  #constant(fill: Fill): Constant {
    const { slots } = this;
    return {
      id: this.#constants++,
      values: () => {
        const values = new Float64Array(slots);
        fill((slot, value) => {
          values[slot] = value;
          return false;
        });
        return values;
      },
    };
  }

  /**
   * Whether a constant could become a plaintext of zeros. CKKS: the coefficients of numbers v have a mean square of
   * 2 |v|^2 / N^2 times the scale's, so from the norm N / scale on one of them is not rounded to zero.
   */
  #isZero(fill: Fill): boolean {
    const { parameters } = this;
    const enough = parameters.scheme === "bfv" ? 1 : (parameters.degree / 2 ** parameters.scaleBits) ** 2;
    let square = 0;
    fill((_, value) => {
      square += value * value;
      return square >= enough;
    });
    return square < enough;
  }
}

/** The remainder that is never negative. */
export function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

/** Registers that an operation reads. */
export function readsOf(operation: Operation): readonly number[] {
  switch (operation.operation) {
    case "dot":
      return operation.terms.map(({ from }) => from);
    case "add":
      return operation.from;
    case "multiply":
      return [operation.left, operation.right];
    default:
      return [operation.from];
  }
}
