/**
 * A matrix times the features: extended diagonals, then a sum over what is left (GAZELLE, Juvekar et al., USENIX Security
 * 2018, "hybrid"; diagonals: Halevi and Shoup, CRYPTO 2014).
 * @module
 */
import { sizeOf, type Dense } from "../layer.ts";
import type { Features } from "./features.ts";
import { compactLayout, indexOf, powerOfTwoFrom, visitSlots, type Layout } from "./layout.ts";
import { writeBias } from "./columns.ts";
import { modulo, type ProgramWriter } from "./program-writer.ts";
import { writeRotatedProducts } from "./rotated-products.ts";
import { writeRunningSum } from "./sliding-windows.ts";

/** Fewer diagonals than this are no gain: each halving saves products of a millisecond and costs a key of a mebibyte. */
const FEWEST_DIAGONALS = 16;
/** Summands of a step of the final sum: sums of four need half the keys of sums of two, for half as many rotations more. */
const SUM_OF = 4;

/** Writes a dense layer. Slot s of the result holds value s mod `diagonals`, so the values repeat behind the last. */
export function writeDense(writer: ProgramWriter, dense: Dense, features: Features, gain: number): Features {
  const { slots } = writer;
  const outputs = dense.bias.length;
  const inputs = sizeOf(dense.input);
  const layout = compactLayout({ channels: outputs, height: 1, width: 1 }, slots);
  const diagonals = Math.min(slots, Math.max(FEWEST_DIAGONALS, powerOfTwoFrom(outputs)));
  const babies = babySteps(diagonals, features.registers.length, layout.ciphertexts);
  const owners = features.registers.map((_, ciphertext) => ownersOf(features.layout, ciphertext));
  const sums = writeRotatedProducts(writer, {
    inputs: features.registers,
    outputs: layout.ciphertexts,
    babies: Array.from({ length: babies }, (_, offset) => ({ offset, after: offset === 0 ? null : offset - 1 })),
    giant: babies,
    giants: diagonals / babies,
    weights: (output, input, giant, baby) => (put) => {
      const owner = owners[input] ?? new Int32Array(0);
      for (let slot = 0; slot < slots; slot += 1) {
        const row = output * slots + (slot % diagonals);
        const column = owner[modulo(slot + giant * babies + baby, slots)] ?? -1;
        if (row < outputs && column >= 0 && put(slot, (dense.weight[row * inputs + column] ?? 0) * features.factor * gain)) return;
      }
    },
  });
  const whole = sums.map((sum) => {
    let total = sum;
    for (let step = diagonals; step < slots;) {
      const summands = Math.min(SUM_OF, slots / step);
      total = writeRunningSum(writer, total, step, summands);
      step *= summands;
    }
    return total;
  });
  return { registers: writeBias(writer, whole, layout, dense.bias, gain), layout, factor: 1 / gain };
}

/** Number of baby steps, a power of two, that needs the fewest rotations. */
function babySteps(diagonals: number, inputs: number, outputs: number): number {
  let best = 1;
  const rotations = (babies: number): number => inputs * (babies - 1) + outputs * (diagonals / babies - 1);
  for (let babies = 2; babies <= diagonals; babies *= 2) if (rotations(babies) < rotations(best)) best = babies;
  return best;
}

/** Index of the feature in each slot; -1 in gaps. */
function ownersOf(layout: Layout, ciphertext: number): Int32Array {
  const owners = new Int32Array(layout.slots).fill(-1);
  visitSlots(layout, ciphertext, (slot, channel, y, x) => {
    owners[slot] = indexOf(layout.shape, channel, y, x);
    return false;
  });
  return owners;
}
