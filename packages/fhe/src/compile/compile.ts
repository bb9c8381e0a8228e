/**
 * From layers to a program on ciphertext.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { sizeOf, type Head, type Layer } from "../layer.ts";
import { levelsOf, slotsOf, type CkksParameters, type Parameters } from "../parameters.ts";
import type { Program } from "../program.ts";
import { checkInputs, packColumns, planColumns, writeColumns } from "./columns.ts";
import { writeDense } from "./dense.ts";
import { writePolynomial, writeScale } from "./elementwise.ts";
import type { Features } from "./features.ts";
import { gainsForPolynomials, gainsForRange, isSum } from "./gains.ts";
import { compileIntegers, wrongSize } from "./integer-convolution.ts";
import { compactLayout, gather, roomFor, scatter } from "./layout.ts";
import { ProgramWriter } from "./program-writer.ts";
import { writeSums, writeWindows } from "./sliding-windows.ts";
import { windowsOf } from "./windows.ts";

/** What a compilation can be told. */
export interface CompileOptions {
  /** Whole-number programs, the same for client and evaluator: what one of the picture's 255 steps stands for; 1/255 (default) for pictures from 0 to 1, 1 for 0 to 255. */
  readonly pictureStep?: number;
  /** What another compilation of the same layers came to (`Program.gains`): for whoever has the layers without their weights. */
  readonly gains?: readonly number[];
}

/**
 * Compiles the first layers of a model. `pack` takes the picture as the model takes it and normalises it itself.
 *
 * Slots hold magnitudes up to 2^8 where the last level is used, and far larger ones before it. Layers are scaled for pictures
 * from 0 to 1 (after the head's normalisation, of whatever it makes of them); a picture that makes features more than
 * sixteen times as large as noise does comes back as noise, which `simulate` reports.
 *
 * @throws UnseenError CUT_UNAVAILABLE for more products in a row, or more ciphertexts, than the parameters allow
 */
export function compile(head: Head, parameters: Parameters, options: CompileOptions = {}): Program {
  const program = compileDeep(head, parameters, options);
  const levels = parameters.scheme === "ckks" ? levelsOf(parameters) : 1;
  if (program.depth > levels)
    throw new UnseenError("CUT_UNAVAILABLE", `the cut needs ${program.depth} products in a row; the parameters allow ${levels}.`, {
      hint: "Choose an earlier cut, or larger parameters.",
    });
  return program;
}

/**
 * The same, however many products in a row it takes: what a planner looks at.
 *
 * @throws UnseenError CUT_UNAVAILABLE for more ciphertexts or products than are ever affordable
 */
export function compileDeep(head: Head, parameters: Parameters, { pictureStep = 1 / 255, gains }: CompileOptions = {}): Program {
  if (head.layers.length === 0)
    throw new UnseenError("CUT_UNAVAILABLE", "the cut lies before the first layer.", { hint: "Choose cut 1 or a later one." });
  return parameters.scheme === "bfv" ? compileIntegers(head, parameters, pictureStep) : compileNumbers(head, parameters, gains);
}

function compileNumbers(head: Head, parameters: CkksParameters, gains?: readonly number[]): Program {
  if (gains) return writeNumbers(head, parameters, gains);
  // Once without trying pictures: what is not affordable on ciphertext may be large in clear, too.
  writeNumbers(head, parameters, gainsForPolynomials(head));
  return writeNumbers(head, parameters, gainsForRange(head));
}

function writeNumbers(head: Head, parameters: CkksParameters, gains: readonly number[]): Program {
  const start = startOf(head, parameters, gains[0] ?? 1);
  const { writer } = start;
  let { features } = start;
  for (let index = start.done; index < head.layers.length; index += 1)
    features = writeLayer(writer, head.layers, index, features, gains[index] ?? 1);
  const { layout, registers: outputs, factor } = features;
  return {
    parameters,
    slots: writer.slots,
    inputs: writer.inputs,
    ...writer.finish(outputs),
    outputs,
    shape: head.shape,
    output: head.output,
    integers: null,
    gains,
    pack: (picture) => {
      if (picture.length !== sizeOf(head.shape)) throw wrongSize("picture", sizeOf(head.shape), picture.length);
      return start.pack(normalised(head, picture));
    },
    unpack: (slots) => gather(layout, slots).map((value) => value * factor),
  };
}

interface Start {
  readonly writer: ProgramWriter;
  readonly features: Features;
  /** Layers that are written already. */
  readonly done: number;
  pack(picture: Float64Array): Float64Array[];
}

/** A convolution or pool that comes first is packed for by the client; before any other layer the picture goes as it is. */
function startOf(head: Head, parameters: CkksParameters, gain: number): Start {
  const [first] = head.layers;
  if (first?.kind === "convolution" || first?.kind === "average-pool") {
    const columns = planColumns(windowsOf(first), slotsOf(parameters), head.layers.slice(1));
    const writer = new ProgramWriter(parameters, columns.columns.length);
    return { writer, features: writeColumns(writer, columns, gain), done: 1, pack: (picture) => packColumns(columns, picture) };
  }
  const layout = compactLayout(head.shape, slotsOf(parameters), roomFor(head.shape, head.layers));
  checkInputs(layout.ciphertexts);
  const writer = new ProgramWriter(parameters, layout.ciphertexts);
  const registers = Array.from({ length: layout.ciphertexts }, (_, register) => register);
  return { writer, features: { registers, layout, factor: 1 }, done: 0, pack: (picture) => scatter(layout, picture) };
}

function writeLayer(writer: ProgramWriter, layers: readonly Layer[], index: number, features: Features, gain: number): Features {
  const layer = layers[index];
  switch (layer?.kind) {
    case "convolution":
      return writeWindows(writer, windowsOf(layer), features, gain);
    case "average-pool":
      // A channel in several ciphertexts would need sums across them.
      return isSum(layers, index) && features.layout.parts === 1
        ? writeSums(writer, windowsOf(layer), features)
        : writeWindows(writer, windowsOf(layer), features, gain);
    case "dense":
      return writeDense(writer, layer, features, gain);
    case "polynomial":
      return writePolynomial(writer, layer.coefficients, features);
    case "scale":
      return writeScale(writer, layer, features, gain);
    case undefined:
      return features;
  }
}

function normalised({ normalise, shape }: Head, picture: Float64Array): Float64Array {
  if (!normalise) return picture;
  const plane = shape.height * shape.width;
  return picture.map((value, index) => {
    const channel = Math.floor(index / plane);
    return value * (normalise.factor[channel] ?? 1) + (normalise.summand[channel] ?? 0);
  });
}
