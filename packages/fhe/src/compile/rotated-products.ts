/**
 * A linear layer as products of rotated ciphertexts with constants: baby steps before the products, giant steps after them.
 *
 * The sum over giant steps is Horner's: `sum = rotate(sum, giant) + products`, so that one key serves all of them; and baby
 * steps are rotated one from the other, for the same reason. Diagonals: Halevi and Shoup, CRYPTO 2014.
 * @module
 */
import type { Fill } from "./layout.ts";
import { modulo, type ProgramWriter } from "./program-writer.ts";

/** A rotation of the inputs. */
export interface BabyStep {
  /** Slots that the inputs are rotated by. */
  readonly offset: number;
  /** The baby step that this one is rotated from; null = the input. */
  readonly after: number | null;
}

/** A linear layer, told by its rotations and weights. */
export interface RotatedProducts {
  /** Registers of the layer's inputs. */
  readonly inputs: readonly number[];
  /** Number of ciphertexts that result. */
  readonly outputs: number;
  readonly babies: readonly BabyStep[];
  /** Slots of a giant step, and their number. */
  readonly giant: number;
  readonly giants: number;
  /** By which weights slot `s` of an output takes in slot `s + giant * giants + offset` of an input; null = none. */
  weights(output: number, input: number, giant: number, baby: number): Fill | null;
}

/** Registers of the results, not yet rescaled. */
export function writeRotatedProducts(writer: ProgramWriter, products: RotatedProducts): number[] {
  const { inputs, outputs, babies, giant, giants, weights } = products;
  const rotated = inputs.map(() => new Map<number, number>());
  const rotate = (input: number, baby: number): number => {
    const known = rotated[input]?.get(baby);
    if (known !== undefined) return known;
    const { offset, after } = babies[baby] ?? { offset: 0, after: null };
    const made =
      after === null
        ? writer.rotate(inputs[input] ?? 0, offset)
        : writer.rotate(rotate(input, after), offset - (babies[after]?.offset ?? 0));
    rotated[input]?.set(baby, made);
    return made;
  };
  return Array.from({ length: outputs }, (_, output) => {
    let sum: number | null = null;
    for (let step = giants - 1; step >= 0; step -= 1) {
      if (sum !== null) sum = writer.rotate(sum, giant);
      const terms = inputs.flatMap((_, input) =>
        babies.flatMap((_, baby) => {
          const fill = weights(output, input, step, baby);
          // A sum that is rotated by `step` giants afterwards must lie that many slots further before.
          return fill ? [{ from: () => rotate(input, baby), fill: rotatedFill(fill, step * giant, writer.slots) }] : [];
        }),
      );
      const part = writer.dot(terms);
      if (part !== null) sum = sum === null ? part : writer.add([sum, part]);
    }
    return sum ?? writer.nothing(inputs[0] ?? 0);
  });
}

function rotatedFill(fill: Fill, by: number, slots: number): Fill {
  return by === 0 ? fill : (put) => fill((slot, value) => put(modulo(slot + by, slots), value));
}
