/**
 * The first layers of a model as arithmetic that can be done on ciphertext: products with stored weights and polynomials.
 * @module
 */

/** Size of a picture or of its features: (channels, height, width); a vector is (n, 1, 1). */
export interface Shape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Number of values. */
export function sizeOf({ channels, height, width }: Shape): number {
  return channels * height * width;
}

interface Step {
  /** Name of the ONNX value that leaves the layer: a model can be cut there. */
  readonly value: string;
  /** What messages and tables call the layer, such as "Conv 3x3 1->16". */
  readonly title: string;
  readonly input: Shape;
  readonly output: Shape;
}

/** `Conv`, with a following batch normalisation or bias folded in. */
export interface Convolution extends Step {
  readonly kind: "convolution";
  /** (out, in / groups, kernel height, kernel width) */
  readonly weight: Float64Array;
  /** (out) */
  readonly bias: Float64Array;
  /** (height, width) */
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** top, left, bottom, right; filled with zeros */
  readonly pads: readonly [number, number, number, number];
  readonly groups: number;
}

/** `Gemm` or `MatMul` on the flattened features. */
export interface Dense extends Step {
  readonly kind: "dense";
  /** (out, in); inputs in the order channel, row, column */
  readonly weight: Float64Array;
  /** (out) */
  readonly bias: Float64Array;
}

/** `AveragePool`, `GlobalAveragePool`. */
export interface AveragePool extends Step {
  readonly kind: "average-pool";
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  /** Whether zeros at the edge count in the mean. */
  readonly countIncludePad: boolean;
}

/** A polynomial of each value: c0 + c1 x + c2 x^2 + ..., of degree 2 or more. The square is (0, 0, 1). */
export interface Polynomial extends Step {
  readonly kind: "polynomial";
  readonly coefficients: readonly number[];
}

/** A batch normalisation that no product before it can take in: a factor and a summand per channel. */
export interface Scale extends Step {
  readonly kind: "scale";
  /** (channels) */
  readonly factor: Float64Array;
  /** (channels) */
  readonly summand: Float64Array;
}

export type Layer = Convolution | Dense | AveragePool | Polynomial | Scale;

/** The first layers of a model up to a cut. Plain data: it can be sent to a worker. */
export interface Head {
  /** Name of the model's input. */
  readonly input: string;
  readonly shape: Shape;
  /** What the model does to each picture before the first layer; the client does it before encryption: x * factor + summand, per channel. */
  readonly normalise: { readonly factor: Float64Array; readonly summand: Float64Array } | null;
  readonly layers: readonly Layer[];
  /** Name of the value at the cut. */
  readonly value: string;
  readonly output: Shape;
}

/** The same layers for pictures of values from 0 to 1 where the model takes 0 to `scale`: the client multiplies. */
export function withPictureScale(head: Head, scale: number): Head {
  if (scale === 1) return head;
  const { channels } = head.shape;
  const { factor, summand } = head.normalise ?? { factor: new Float64Array(channels).fill(1), summand: new Float64Array(channels) };
  return { ...head, normalise: { factor: factor.map((value) => value * scale), summand } };
}
