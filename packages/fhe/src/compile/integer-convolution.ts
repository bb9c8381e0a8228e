/**
 * One convolution in whole numbers (BFV): no rounding error, so the result depends on nothing but picture and weights.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { BfvParameters } from "../parameters.ts";
import { sizeOf, type Convolution, type Head } from "../layer.ts";
import type { IntegerForm, Program } from "../program.ts";
import { packColumns, planColumns, writeColumnProducts } from "./columns.ts";
import { gather, visitSlots } from "./layout.ts";
import { ProgramWriter } from "./program-writer.ts";
import { windowsOf } from "./windows.ts";

/** Pictures have whole numbers of eight bits. */
const PICTURE_RANGE = [0, 255] as const;

/**
 * Writes a head that is one convolution. Weights become whole numbers with a step for each output channel, as fine as the
 * sums allow: their magnitude stays below 2^(plainBits - 2) for every picture.
 *
 * @param pictureStep what one of the picture's 255 steps stands for
 * @throws UnseenError CUT_UNAVAILABLE for any other head
 */
export function compileIntegers(head: Head, parameters: BfvParameters, pictureStep: number): Program {
  const [layer, ...rest] = head.layers;
  if (layer?.kind !== "convolution" || rest.length > 0) throw refuse("whole-number encryption serves one convolution alone");
  const integers = integerForm(head, layer, parameters, pictureStep);
  const windows = windowsOf({ ...layer, weight: integers.weight, bias: integers.bias });
  const columns = planColumns(windows, parameters.degree);
  const { layout } = columns;
  const writer = new ProgramWriter(parameters, columns.columns.length);
  const sums = writeColumnProducts(writer, columns, 1);
  const outputs = sums.map((sum, ciphertext) =>
    writer.shift(sum, (put) => visitSlots(layout, ciphertext, (slot, channel) => put(slot, integers.bias[channel] ?? 0))),
  );
  const plane = head.output.height * head.output.width;
  const [low, high] = integers.pictureRange;
  return {
    parameters,
    slots: writer.slots,
    inputs: writer.inputs,
    ...writer.finish(outputs),
    outputs,
    shape: head.shape,
    output: head.output,
    integers,
    gains: [],
    pack: (picture) => {
      if (picture.length !== sizeOf(head.shape)) throw wrongSize("picture", sizeOf(head.shape), picture.length);
      return packColumns(
        columns,
        picture.map((value) => Math.max(low, Math.min(high, Math.round(value / pictureStep)))),
      );
    },
    unpack: (slots) => gather(layout, slots).map((value, index) => value * (integers.outputSteps[Math.floor(index / plane)] ?? 0)),
  };
}

/** @throws UnseenError REQUEST_INVALID naming what has the wrong size */
export function wrongSize(what: string, expected: number, came: number): UnseenError {
  return new UnseenError("REQUEST_INVALID", `the ${what} must have ${expected} values, not ${came}.`, {
    hint: "Bring the picture to the size that the model takes.",
  });
}

function integerForm(head: Head, layer: Convolution, { plainBits }: BfvParameters, pictureStep: number): IntegerForm {
  const taps = layer.kernel[0] * layer.kernel[1];
  const groupInputs = layer.input.channels / layer.groups;
  const perOutput = groupInputs * taps;
  const factor = new Float64Array(layer.weight.length).fill(1);
  const bias = layer.bias.slice();
  if (head.normalise) {
    const { normalise } = head;
    if (normalise.summand.some((value) => value !== 0) && layer.pads.some((pad) => pad > 0))
      throw refuse("the picture is shifted before a convolution with zeros at the edge, which are then no whole numbers");
    for (const index of factor.keys()) {
      const output = Math.floor(index / perOutput);
      const group = Math.floor(output / (layer.output.channels / layer.groups));
      const channel = group * groupInputs + (Math.floor(index / taps) % groupInputs);
      factor[index] = normalise.factor[channel] ?? 1;
      bias[output] = (bias[output] ?? 0) + (layer.weight[index] ?? 0) * (normalise.summand[channel] ?? 0);
    }
  }
  const real = layer.weight.map((weight, index) => weight * (factor[index] ?? 1));
  // Rounding adds up to half a step for each weight and for the bias.
  const top = 2 ** (plainBits - 2) - 1 - Math.ceil((perOutput * PICTURE_RANGE[1] + 1) / 2);
  if (top < 2 ** 8) throw refuse("the kernel is too large for sums in whole numbers");
  const steps = Float64Array.from({ length: bias.length }, (_, output) => {
    const weights = real.subarray(output * perOutput, (output + 1) * perOutput);
    const largest = weights.reduce((sum, weight) => sum + Math.abs(weight) * PICTURE_RANGE[1], Math.abs(bias[output] ?? 0) / pictureStep);
    return largest > 0 ? largest / top : 1;
  });
  return {
    pictureStep,
    pictureRange: PICTURE_RANGE,
    outputSteps: steps.map((step) => step * pictureStep),
    weight: real.map((weight, index) => Math.round(weight / (steps[Math.floor(index / perOutput)] ?? 1))),
    bias: bias.map((value, output) => Math.round(value / ((steps[output] ?? 1) * pictureStep))),
  };
}

function refuse(problem: string): UnseenError {
  return new UnseenError("CUT_UNAVAILABLE", `the cut has no exact form: ${problem}.`, { hint: "Use the approximate scheme for this cut." });
}
