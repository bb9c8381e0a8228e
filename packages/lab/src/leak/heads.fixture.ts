/**
 * Small heads for tests.
 * @module
 */
import type { Convolution, Head, Layer, Shape } from "@unseen/fhe/layer.ts";
import { seeded } from "../seed.ts";

/** A head of given layers. */
export function headOf(layers: readonly Layer[], normalise: Head["normalise"] = null): Head {
  const [first, last] = [layers[0] as Layer, layers.at(-1) as Layer];
  return { input: "image", shape: first.input, normalise, layers, value: "features", output: last.output };
}

/** Copies its input: a convolution of one by one. */
export function identityHead(side: number): Head {
  const shape: Shape = { channels: 1, height: side, width: side };
  return headOf([
    convolution({ input: shape, out: 1, kernel: 1, stride: 1, pad: 0, weight: Float64Array.of(1), bias: Float64Array.of(0) }),
  ]);
}

interface Settings {
  readonly input: Shape;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
  readonly dilation?: number;
  readonly groups?: number;
  readonly weight?: Float64Array;
  readonly bias?: Float64Array;
}

/** A convolution, with random weights where none are given. */
export function convolution({ input, out, kernel, stride, pad, dilation = 1, groups = 1, weight, bias }: Settings): Convolution {
  const side = (size: number): number => Math.floor((size + 2 * pad - (kernel - 1) * dilation - 1) / stride) + 1;
  return {
    kind: "convolution",
    value: "convolved",
    title: "Conv",
    input,
    output: { channels: out, height: side(input.height), width: side(input.width) },
    weight: weight ?? randomNumbers(((out * input.channels) / groups) * kernel * kernel, "weight"),
    bias: bias ?? randomNumbers(out, "bias"),
    kernel: [kernel, kernel],
    strides: [stride, stride],
    dilations: [dilation, dilation],
    pads: [pad, pad, pad, pad],
    groups,
  };
}

/** Gaussian numbers that a purpose decides. */
export function randomNumbers(count: number, purpose: string): Float64Array {
  const random = seeded(1, purpose);
  return Float64Array.from({ length: count }, () => random.gaussian());
}
