/**
 * The first convolution: the client sends what each position of the kernel sees, so that no rotation and no rotation key is
 * needed (im2col: Chellapilla et al., 2006; on ciphertext: TenSEAL, arXiv 2104.03152).
 *
 * There is one ciphertext for each input channel and position in the kernel, and in it the picture's value for every output
 * position, repeated for every output channel. One `dot` is the whole layer.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Features } from "./features.ts";
import { compactLayout, indexOf, roomFor, visitSlots, type Fill, type Layout } from "./layout.ts";
import type { ProgramWriter } from "./program-writer.ts";
import type { Layer } from "../layer.ts";
import { columnOf, isInside, rowOf, tapsOf, type Tap, type Windows } from "./windows.ts";

/** Ciphertexts that a client sends for one picture: 128 MiB of the smaller kind (CWE-770). */
export const MAXIMUM_INPUTS = 512;

/** What one input ciphertext holds. */
interface Column {
  /** Output ciphertexts that read it. */
  readonly outputs: readonly number[];
  /** Counted within the group. */
  readonly input: number;
  readonly tap: Tap;
}

/** How a first convolution is packed. */
export interface Columns {
  readonly windows: Windows;
  /** Of the results. */
  readonly layout: Layout;
  /** One for each ciphertext that the client sends. */
  readonly columns: readonly Column[];
}

/**
 * @param after the layers that follow, which the layout must leave room for
 * @throws UnseenError CUT_UNAVAILABLE beyond {@link MAXIMUM_INPUTS}
 */
export function planColumns(windows: Windows, slots: number, after: readonly Layer[] = []): Columns {
  const layout = compactLayout(windows.output, slots, roomFor(windows.output, after));
  const taps = tapsOf(windows);
  // Without groups every output channel reads the same channels, so all ciphertexts of the same positions share their inputs.
  const shared = windows.groupOutputs === windows.output.channels;
  const count = shared ? layout.parts : layout.ciphertexts;
  checkInputs(count * windows.groupInputs * taps.length);
  const sets = Array.from({ length: count }, (_, set) =>
    shared ? Array.from({ length: layout.ciphertexts / layout.parts }, (_, group) => group * layout.parts + set) : [set],
  );
  const all = sets.flatMap((outputs) =>
    Array.from({ length: windows.groupInputs }, (_, input) => taps.map((tap): Column => ({ outputs, input, tap }))).flat(),
  );
  const seen = all.filter(({ outputs, tap }) =>
    outputs.some((output) =>
      // Whatever the weights: whoever packs may not know them.
      some(layout, output, (_channel, y, x) => isInside(windows, y, x, tap)),
    ),
  );
  return { windows, layout, columns: seen.length > 0 ? seen : all.slice(0, 1) };
}

/** @throws UnseenError CUT_UNAVAILABLE beyond {@link MAXIMUM_INPUTS} */
export function checkInputs(inputs: number): void {
  if (inputs > MAXIMUM_INPUTS)
    throw new UnseenError(
      "CUT_UNAVAILABLE",
      `the first layer needs ${inputs} ciphertexts of one picture; the limit is ${MAXIMUM_INPUTS}.`,
      {
        hint: "Use a model with a smaller picture, a smaller first kernel or longer strides.",
      },
    );
}

/** Picture (channels, height, width), after the head's normalisation, as the slots of each input ciphertext. */
export function packColumns({ windows, layout, columns }: Columns, picture: Float64Array): Float64Array[] {
  return columns.map(({ outputs, input, tap }) => {
    const slots = new Float64Array(layout.slots);
    // The ciphertext with the most channels comes first; those that share its inputs have as many or fewer.
    visitSlots(layout, outputs[0] ?? 0, (slot, channel, y, x) => {
      const from = Math.floor(channel / windows.groupOutputs) * windows.groupInputs + input;
      if (isInside(windows, y, x, tap))
        slots[slot] = picture[indexOf(windows.input, from, rowOf(windows, y, tap), columnOf(windows, x, tap))] ?? 0;
      return false;
    });
    return slots;
  });
}

/** The layer's results, not rescaled and without the bias: one register for each ciphertext of the layout. */
export function writeColumnProducts(writer: ProgramWriter, { windows, layout, columns }: Columns, gain: number): number[] {
  return Array.from({ length: layout.ciphertexts }, (_, output) => {
    const terms = columns.flatMap(({ outputs, input, tap }, from) => {
      const fill: Fill = (put) =>
        visitSlots(layout, output, (slot, channel, y, x) =>
          put(slot, windows.weight(channel, input, tap.row, tap.column) * windows.share(y, x) * gain),
        );
      return outputs.includes(output) ? [{ from: () => from, fill }] : [];
    });
    return writer.dot(terms) ?? writer.nothing(0);
  });
}

/** Writes the first layer. */
export function writeColumns(writer: ProgramWriter, columns: Columns, gain: number): Features {
  const sums = writeColumnProducts(writer, columns, gain);
  return { registers: writeBias(writer, sums, columns.layout, columns.windows.bias, gain), layout: columns.layout, factor: 1 / gain };
}

/** Rescales the sums of a layer and adds the bias (out) of each channel. */
export function writeBias(writer: ProgramWriter, sums: readonly number[], layout: Layout, bias: Float64Array, gain: number): number[] {
  return sums.map((sum, ciphertext) =>
    writer.shift(writer.rescale(sum), (put) => visitSlots(layout, ciphertext, (slot, channel) => put(slot, (bias[channel] ?? 0) * gain))),
  );
}

function some(layout: Layout, ciphertext: number, test: (channel: number, y: number, x: number) => boolean): boolean {
  let found = false;
  visitSlots(layout, ciphertext, (_, channel, y, x) => (found = test(channel, y, x)));
  return found;
}
