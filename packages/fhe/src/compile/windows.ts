/**
 * Convolutions and average pools as the same thing: windows that slide over the picture.
 * @module
 */
import type { AveragePool, Convolution, Shape } from "../layer.ts";

/** What a convolution or an average pool does at each output position. */
export interface Windows {
  readonly input: Shape;
  readonly output: Shape;
  /** (height, width) */
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** top, left, bottom, right */
  readonly pads: readonly [number, number, number, number];
  /** Channels that one output channel reads. */
  readonly groupInputs: number;
  /** Output channels that read the same channels. */
  readonly groupOutputs: number;
  /** (out) */
  readonly bias: Float64Array;
  /** @param input counted within the group */
  weight(output: number, input: number, row: number, column: number): number;
  /** Factor of the result at an output position; 1 but for pools that leave the edge out of the mean. */
  share(y: number, x: number): number;
}

/** One position in the kernel. */
export interface Tap {
  readonly row: number;
  readonly column: number;
}

/** The windows of a layer. */
export function windowsOf(layer: Convolution | AveragePool): Windows {
  return layer.kind === "convolution" ? convolutionWindows(layer) : poolWindows(layer);
}

/** Row by row. */
export function tapsOf({ kernel: [rows, columns] }: Windows): Tap[] {
  return Array.from({ length: rows * columns }, (_, index) => ({ row: Math.floor(index / columns), column: index % columns }));
}

/** Row of the picture that a tap reads for an output row; outside the picture it reads zero. */
export function rowOf({ strides, dilations, pads }: Windows, y: number, { row }: Tap): number {
  return y * strides[0] + row * dilations[0] - pads[0];
}

/** Column of the picture that a tap reads for an output column. */
export function columnOf({ strides, dilations, pads }: Windows, x: number, { column }: Tap): number {
  return x * strides[1] + column * dilations[1] - pads[1];
}

/** Whether a tap lies in the picture for an output position. */
export function isInside(windows: Windows, y: number, x: number, tap: Tap): boolean {
  const [row, column] = [rowOf(windows, y, tap), columnOf(windows, x, tap)];
  return row >= 0 && row < windows.input.height && column >= 0 && column < windows.input.width;
}

/** Whether no window reaches over the edge. */
export function staysInside(windows: Windows): boolean {
  const { kernel, output } = windows;
  const last = { row: kernel[0] - 1, column: kernel[1] - 1 };
  return isInside(windows, 0, 0, { row: 0, column: 0 }) && isInside(windows, output.height - 1, output.width - 1, last);
}

function convolutionWindows(layer: Convolution): Windows {
  const { input, output, kernel, groups, weight } = layer;
  const groupInputs = input.channels / groups;
  const at = (out: number, channel: number, row: number, column: number): number =>
    weight[((out * groupInputs + channel) * kernel[0] + row) * kernel[1] + column] ?? 0;
  return { ...layer, groupInputs, groupOutputs: output.channels / groups, weight: at, share: () => 1 };
}

function poolWindows(layer: AveragePool): Windows {
  const [rows, columns] = layer.kernel;
  const area = rows * columns;
  const windows: Windows = {
    ...layer,
    dilations: [1, 1],
    groupInputs: 1,
    groupOutputs: 1,
    bias: new Float64Array(layer.output.channels),
    weight: () => 1 / area,
    share: () => 1,
  };
  if (layer.countIncludePad) return windows;
  const taps = tapsOf(windows);
  return { ...windows, share: (y, x) => area / Math.max(1, taps.filter((tap) => isInside(windows, y, x, tap)).length) };
}
