/**
 * Kernel, strides, padding and dilation of `Conv` and `AveragePool` (https://onnx.ai/onnx/operators/onnx__Conv.html).
 * @module
 */
import type { Case } from "@unseen/core/blueprint/trace/known-case.ts";
import type { Shape } from "../layer.ts";
import { Beyond } from "./beyond.ts";

/** Rows or columns of a kernel, a stride, a dilation or a border (CWE-770). */
const MAXIMUM_EXTENT = 4096;

/** How windows lie on a picture. */
export interface Windows {
  /** (height, width), as all pairs */
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** top, left, bottom, right */
  readonly pads: readonly [number, number, number, number];
  /** Windows along height and width. */
  readonly count: readonly [number, number];
}

type Pair = readonly [number, number];

/**
 * Reads the attributes of a windowed operator.
 *
 * @param kernel (height, width) of the weights; null = the attribute says
 * @throws UnseenError `CHECKPOINT_MALFORMED` for contradictions; {@link Beyond} at the limits, and for windows that reach beyond the
 *   border (`ceil_mode`)
 */
export function readWindows(the: Case, { height, width }: Shape, kernel: Pair | null): Windows {
  const size = pair(the, "kernel_shape", 1) ?? kernel;
  if (size === null) throw the.malformed("expected the attribute kernel_shape.");
  if (kernel !== null && (size[0] !== kernel[0] || size[1] !== kernel[1]))
    throw the.malformed(`expected a kernel_shape of ${kernel.join("x")} as the weights have, got ${size.join("x")}.`);
  const strides = pair(the, "strides", 1) ?? [1, 1];
  const dilations = pair(the, "dilations", 1) ?? [1, 1];
  const reach: Pair = [dilations[0] * (size[0] - 1) + 1, dilations[1] * (size[1] - 1) + 1];
  const pads = readPads(the, [height, width], strides, reach);
  const rooms: Pair = [height + pads[0] + pads[2] - reach[0], width + pads[1] + pads[3] - reach[1]];
  if (rooms.some((room) => room < 0))
    throw the.malformed(`a window of ${reach.join("x")} does not fit into ${height}x${width} with borders ${pads.join()}.`);
  if (the.integer("ceil_mode", 0) !== 0 && rooms.some((room, axis) => room % strides[axis]! !== 0))
    throw new Beyond(`${the.operator} with windows that reach beyond the border (ceil_mode) is not done on ciphertext`);
  return {
    kernel: size,
    strides,
    dilations,
    pads,
    count: [Math.floor(rooms[0] / strides[0]) + 1, Math.floor(rooms[1] / strides[1]) + 1],
  };
}

function readPads(the: Case, sizes: Pair, strides: Pair, reach: Pair): Windows["pads"] {
  const mode = the.text("auto_pad", "NOTSET");
  if (mode === "VALID") return [0, 0, 0, 0];
  if (mode === "SAME_UPPER" || mode === "SAME_LOWER") {
    const [[top, bottom], [left, right]] = ([0, 1] as const).map((axis): Pair => {
      const total = Math.max((Math.ceil(sizes[axis] / strides[axis]) - 1) * strides[axis] + reach[axis] - sizes[axis], 0);
      const [less, more] = [Math.floor(total / 2), Math.ceil(total / 2)];
      return mode === "SAME_UPPER" ? [less, more] : [more, less];
    }) as [Pair, Pair];
    return [top, left, bottom, right];
  }
  if (mode !== "NOTSET" && mode !== "") throw the.malformed("expected an auto_pad of NOTSET, VALID, SAME_UPPER or SAME_LOWER.");
  return (list(the, "pads", 4, 0) as unknown as Windows["pads"] | null) ?? [0, 0, 0, 0];
}

function pair(the: Case, name: string, least: number): Pair | null {
  return list(the, name, 2, least) as Pair | null;
}

function list(the: Case, name: string, length: number, least: number): readonly number[] | null {
  const values = the.integers(name);
  if (values === null) return null;
  if (values.length !== length) throw new Beyond(`${the.operator} over other than two axes is not done on ciphertext`);
  if (values.some((each) => each < least)) throw the.malformed(`${name}: expected numbers from ${least} on, got ${values.join()}.`);
  if (values.some((each) => each > MAXIMUM_EXTENT)) throw new Beyond(`${the.operator}: ${name} exceeds the limit of ${MAXIMUM_EXTENT}`);
  return values;
}
