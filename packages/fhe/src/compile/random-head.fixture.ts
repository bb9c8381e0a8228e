/**
 * Random first layers for tests: every kind of layer, odd sizes, strides, pads, groups and dilations.
 * @module
 */
import type { AveragePool, Convolution, Dense, Head, Layer, Polynomial, Scale, Shape } from "../layer.ts";
import { sizeOf } from "../layer.ts";

/** Draws for one test, the same on every machine (mulberry32). */
export class Draws {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  readonly uniform = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  /** A whole number from `low` to `high`. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1));
  }

  one<T>(...choices: readonly T[]): T {
    return choices[this.whole(0, choices.length - 1)] as T;
  }

  /** Numbers from -size to size. */
  numbers(count: number, size: number): Float64Array {
    return Float64Array.from({ length: count }, () => (this.uniform() * 2 - 1) * size);
  }
}

/** A picture with values from 0 to 1. */
export function randomPicture(draws: Draws, shape: Shape): Float64Array {
  return Float64Array.from({ length: sizeOf(shape) }, () => draws.whole(0, 255) / 255);
}

/** A head of these layers. */
export function headOf(shape: Shape, layers: readonly Layer[], normalise: Head["normalise"] = null): Head {
  const output = layers.at(-1)?.output ?? shape;
  return { input: "picture", shape, normalise, layers, value: "features", output };
}

/** A head of up to `count` random layers that fits three products in a row, or five. */
export function randomHead(draws: Draws, shape: Shape, count: number): Head {
  const layers: Layer[] = [];
  let at = shape;
  for (let index = 0; index < count; index += 1) {
    const layer = randomLayer(draws, at);
    layers.push(layer);
    at = layer.output;
  }
  const { channels } = shape;
  return headOf(shape, layers, draws.one(null, { factor: draws.numbers(channels, 1), summand: draws.numbers(channels, 1) }));
}

/** Any layer that fits the shape. */
export function randomLayer(draws: Draws, input: Shape): Layer {
  const flat = input.height * input.width === 1;
  const kinds = flat
    ? (["dense", "polynomial", "scale"] as const)
    : (["convolution", "convolution", "average-pool", "dense", "polynomial", "scale"] as const);
  switch (draws.one<Layer["kind"]>(...kinds)) {
    case "convolution":
      return randomConvolution(draws, input);
    case "average-pool":
      return randomPool(draws, input);
    case "dense":
      return dense(draws, input, draws.whole(1, 40));
    case "polynomial":
      return polynomial(
        input,
        draws.one([0, 0, 1], [0, 0, -0.5], [0.25, 0.5, 0.125], [0.1, 1, 0, 0.3], [0.2, -0.4, 0.3, 0, 0.5], [1, 1, 1e-9], [0, 0, 0, 0, 2]),
      );
    case "scale":
      return scale(draws, input);
  }
}

/** Up to 7 channels, kernels up to 3, and everything that ONNX allows around them. */
export function randomConvolution(draws: Draws, input: Shape): Convolution {
  const groups = input.channels % 2 === 0 ? draws.one(1, 2, input.channels) : draws.one(1, input.channels);
  const kernel = [draws.whole(1, Math.min(3, input.height)), draws.whole(1, Math.min(3, input.width))] as const;
  const dilations = [draws.one(1, 1, 2), draws.one(1, 1, 2)] as const;
  const pads = [draws.whole(0, 2), draws.whole(0, 2), draws.whole(0, 2), draws.whole(0, 2)] as const;
  return convolution(draws, input, groups * draws.whole(1, Math.ceil(7 / groups)), {
    kernel,
    groups,
    dilations,
    pads,
    strides: [draws.whole(1, 2), draws.whole(1, 2)],
  });
}

type Geometry = Partial<Pick<Convolution, "kernel" | "strides" | "dilations" | "pads" | "groups">>;

/** A convolution with random weights, a tenth of them zero. */
export function convolution(draws: Draws, input: Shape, channels: number, geometry: Geometry): Convolution {
  const { kernel = [3, 3], strides = [1, 1], dilations = [1, 1], groups = 1 } = geometry;
  const span = [(kernel[0] - 1) * dilations[0] + 1, (kernel[1] - 1) * dilations[1] + 1] as const;
  const [top = 0, left = 0, bottom = 0, right = 0] = geometry.pads ?? [];
  // Dilated kernels may be larger than the picture: then more zeros at its end.
  const pads = [top, left, Math.max(bottom, span[0] - input.height - top), Math.max(right, span[1] - input.width - left)] as const;
  const size = (channels * input.channels * kernel[0] * kernel[1]) / groups;
  const reach = Math.sqrt(groups / (input.channels * kernel[0] * kernel[1]));
  return {
    kind: "convolution",
    value: "convolved",
    title: "Conv",
    input,
    output: {
      channels,
      height: slides(input.height, span[0], strides[0], pads[0] + pads[2]),
      width: slides(input.width, span[1], strides[1], pads[1] + pads[3]),
    },
    weight: draws.numbers(size, reach).map((weight) => (draws.uniform() < 0.1 ? 0 : weight)),
    bias: draws.numbers(channels, 0.5),
    kernel,
    strides,
    dilations,
    pads,
    groups,
  };
}

/** A pool of up to 3 x 3, or of the whole picture. */
export function randomPool(draws: Draws, input: Shape): AveragePool {
  const whole = draws.uniform() < 0.3;
  const kernel = whole
    ? ([input.height, input.width] as const)
    : ([draws.whole(1, Math.min(3, input.height)), draws.whole(1, Math.min(3, input.width))] as const);
  const pads = whole
    ? ([0, 0, 0, 0] as const)
    : ([draws.whole(0, kernel[0] - 1), draws.whole(0, kernel[1] - 1), 0, draws.whole(0, kernel[1] - 1)] as const);
  return averagePool(input, kernel, [draws.whole(1, 2), draws.whole(1, 2)], pads, draws.one(true, false));
}

/** A pool with the output size that the operator gives. */
export function averagePool(
  input: Shape,
  kernel: AveragePool["kernel"],
  strides: AveragePool["strides"],
  pads: AveragePool["pads"],
  countIncludePad = true,
): AveragePool {
  const height = slides(input.height, kernel[0], strides[0], pads[0] + pads[2]);
  const width = slides(input.width, kernel[1], strides[1], pads[1] + pads[3]);
  return {
    kind: "average-pool",
    value: "pooled",
    title: "AveragePool",
    input,
    output: { channels: input.channels, height, width },
    kernel,
    strides,
    pads,
    countIncludePad,
  };
}

/** A dense layer with random weights. */
export function dense(draws: Draws, input: Shape, outputs: number): Dense {
  const inputs = sizeOf(input);
  return {
    kind: "dense",
    value: "mixed",
    title: "Gemm",
    input: { channels: inputs, height: 1, width: 1 },
    output: { channels: outputs, height: 1, width: 1 },
    weight: draws.numbers(outputs * inputs, 1 / Math.sqrt(inputs)),
    bias: draws.numbers(outputs, 0.5),
  };
}

/** A polynomial of each value. */
export function polynomial(input: Shape, coefficients: readonly number[]): Polynomial {
  return { kind: "polynomial", value: "curved", title: "Polynomial", input, output: input, coefficients };
}

/** A random factor and summand for each channel. */
export function scale(draws: Draws, input: Shape): Scale {
  return {
    kind: "scale",
    value: "scaled",
    title: "BatchNormalization",
    input,
    output: input,
    factor: draws.numbers(input.channels, 1),
    summand: draws.numbers(input.channels, 0.5),
  };
}

function slides(size: number, window: number, stride: number, pads: number): number {
  return Math.floor((size + pads - window) / stride) + 1;
}
