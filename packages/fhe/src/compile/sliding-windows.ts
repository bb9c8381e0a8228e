/**
 * Convolutions and pools behind the first layer: rotations bring every position of the kernel to where the result lies.
 * @module
 */
import { writeBias } from "./columns.ts";
import type { Features } from "./features.ts";
import { slidLayout, visitSlots, type Layout } from "./layout.ts";
import { modulo, type ProgramWriter } from "./program-writer.ts";
import { writeRotatedProducts, type BabyStep } from "./rotated-products.ts";
import { columnOf, isInside, rowOf, tapsOf, type Windows } from "./windows.ts";

/**
 * Writes a convolution or a pool: baby steps are the positions in the kernel, giant steps the distances between channels.
 * Its keys are four at most: to the first position, by a column, by a row, by a channel. Weights are zero where the kernel
 * lies outside the picture, so what a rotation brings there from elsewhere does not count.
 */
export function writeWindows(writer: ProgramWriter, windows: Windows, features: Features, gain: number): Features {
  const { layout: from, registers } = features;
  const layout = slidLayout(from, windows.output, windows.strides);
  const { first, count } = channelSteps(windows, from);
  const taps = tapsOf(windows);
  const columns = windows.kernel[1];
  const babies = taps.map(({ row, column }, index): BabyStep => {
    const offset =
      (row * windows.dilations[0] - windows.pads[0]) * from.rowStep + (column * windows.dilations[1] - windows.pads[1]) * from.columnStep;
    const after = column > 0 ? index - 1 : row > 0 ? index - columns : null;
    return { offset: offset + first * from.block, after };
  });
  const sums = writeRotatedProducts(writer, {
    inputs: registers,
    outputs: layout.ciphertexts,
    babies,
    giant: from.block,
    giants: count,
    weights: (output, input, giant, baby) => (put) => {
      const tap = taps[baby] ?? { row: 0, column: 0 };
      const group = Math.floor(input / from.parts) * from.blocks;
      visitSlots(layout, output, (slot, channel, y, x) => {
        const source = group + ((channel + first + giant) % from.blocks);
        const own = source - Math.floor(channel / windows.groupOutputs) * windows.groupInputs;
        if (source >= windows.input.channels || own < 0 || own >= windows.groupInputs || !isInside(windows, y, x, tap)) return false;
        const offset = rowOf(windows, y, tap) * from.rowStep + columnOf(windows, x, tap) * from.columnStep;
        if (Math.floor(offset / from.block) !== input % from.parts) return false;
        return put(slot, windows.weight(channel, own, tap.row, tap.column) * windows.share(y, x) * features.factor * gain);
      });
    },
  });
  return { registers: writeBias(writer, sums, layout, windows.bias, gain), layout, factor: 1 / gain };
}

/**
 * Writes a pool that stays inside the picture: sums along rows, then along columns. It needs no product, because the division
 * is left to what follows; in the gaps between the results it leaves sums of other features.
 */
export function writeSums(writer: ProgramWriter, windows: Windows, features: Features): Features {
  const [rows, columns] = windows.kernel;
  const { rowStep, columnStep } = features.layout;
  const registers = features.registers.map((register) =>
    writeRunningSum(writer, writeRunningSum(writer, register, columnStep, columns), rowStep, rows),
  );
  const layout = slidLayout(features.layout, windows.output, windows.strides);
  return { registers, layout, factor: features.factor / (rows * columns) };
}

/** Sum of `count` registers, each rotated by `step` from the one before. */
export function writeRunningSum(writer: ProgramWriter, register: number, step: number, count: number): number {
  const summands = [register];
  for (let index = 1; index < count; index += 1) summands.push(writer.rotate(summands.at(-1) ?? register, step));
  return writer.add(summands);
}

/** The shortest run of distances (in channels, around the ciphertext) from a result's channel to those that it reads. */
function channelSteps(windows: Windows, { blocks }: Layout): { readonly first: number; readonly count: number } {
  const distances = new Set<number>();
  for (let channel = 0; channel < windows.output.channels; channel += 1) {
    const start = Math.floor(channel / windows.groupOutputs) * windows.groupInputs;
    for (let own = 0; own < windows.groupInputs && distances.size < blocks; own += 1) distances.add(modulo(start + own - channel, blocks));
  }
  const sorted = [...distances].toSorted((left, right) => left - right);
  let [first, count] = [0, blocks];
  for (const [index, distance] of sorted.entries()) {
    const span = modulo((sorted.at(index - 1) ?? 0) - distance, blocks) + 1;
    if (span < count) [first, count] = [distance, span];
  }
  return { first, count };
}
