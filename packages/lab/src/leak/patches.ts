/**
 * Which features lie above which pixels: what a local inverter looks at, and what it draws.
 * @module
 */
import { sizeOf, type Head, type Layer, type Shape } from "@unseen/fhe/layer.ts";

/** Features in sight of one block of pixels at most; more only slow an inverter down. */
const MOST_INPUTS = 1024;
const WIDEST = 5;

/** One axis: blocks of `stride` pixels, block b at `origin` + b * `stride`, around feature b. */
interface Axis {
  readonly pixels: number;
  readonly features: number;
  readonly stride: number;
  readonly origin: number;
  /** Number of the first block, which may lie outside the features, and how many cover the picture. */
  readonly first: number;
  readonly blocks: number;
}

/** Cuts pictures into blocks, and finds the features around each. */
export class Patches {
  readonly picture: Shape;
  readonly features: Shape;
  /** Blocks of a picture. */
  readonly blocks: number;
  /** Numbers in sight of a block: (channels, window, window). */
  readonly inputs: number;
  /** Numbers of a block: (channels, stride, stride). */
  readonly outputs: number;
  readonly #rows: Axis;
  readonly #columns: Axis;
  readonly #reach: number;

  constructor({ shape, output, layers }: Head) {
    this.picture = shape;
    this.features = output;
    const local = layers.every(({ kind }) => kind !== "dense") && output.height * output.width > 1;
    this.#rows = local ? axis(layers, 0, shape.height, output.height) : whole(shape.height);
    this.#columns = local ? axis(layers, 1, shape.width, output.width) : whole(shape.width);
    let window = local ? WIDEST : 1;
    while (window > 1 && output.channels * window * window > MOST_INPUTS) window -= 2;
    this.#reach = (window - 1) / 2;
    this.blocks = this.#rows.blocks * this.#columns.blocks;
    // A vector has no neighbourhood: all of it is in sight.
    this.inputs = local ? output.channels * window * window : sizeOf(output);
    this.outputs = shape.channels * this.#rows.stride * this.#columns.stride;
  }

  /** Copies the features (channels, height, width) in sight of a block; zeros beyond the edge. */
  gather(features: Float32Array, block: number, into: Float64Array, at: number): void {
    const { channels, height, width } = this.features;
    if (this.blocks === 1) {
      into.set(features, at);
      return;
    }
    const [row, column] = this.#position(block);
    for (let channel = 0; channel < channels; channel += 1)
      for (let y = row - this.#reach; y <= row + this.#reach; y += 1)
        for (let x = column - this.#reach; x <= column + this.#reach; x += 1) {
          const inside = y >= 0 && y < height && x >= 0 && x < width;
          into[at] = inside ? (features[(channel * height + y) * width + x] as number) : 0;
          at += 1;
        }
  }

  /** Where the numbers of a block lie in the picture (channels, height, width); -1 = beyond its edge. */
  pixels(block: number): Int32Array {
    const [row, column] = this.#position(block);
    const [rows, columns] = [this.#rows, this.#columns];
    const places = new Int32Array(this.outputs).fill(-1);
    for (let at = 0; at < this.outputs; at += 1) {
      const channel = Math.floor(at / (rows.stride * columns.stride));
      const y = rows.origin + row * rows.stride + (Math.floor(at / columns.stride) % rows.stride);
      const x = columns.origin + column * columns.stride + (at % columns.stride);
      if (y >= 0 && y < rows.pixels && x >= 0 && x < columns.pixels) places[at] = (channel * rows.pixels + y) * columns.pixels + x;
    }
    return places;
  }

  get guessInputs(): number {
    return this.picture.channels * (this.#rows.stride + 2 * this.margin) * (this.#columns.stride + 2 * this.margin);
  }
  readonly margin = 2;
  place(block: number): [number, number] {
    const [row, column] = [Math.floor(block / this.#columns.blocks), block % this.#columns.blocks];
    return [row / this.#rows.blocks, column / this.#columns.blocks];
  }
  gatherGuess(guess: Float32Array, _mean: Float64Array, block: number, into: Float64Array, at: number): void {
    const [row, column] = this.#position(block);
    const [rows, columns] = [this.#rows, this.#columns];
    const m = this.margin;
    for (let c = 0; c < this.picture.channels; c += 1)
      for (let dy = -m; dy < rows.stride + m; dy += 1)
        for (let dx = -m; dx < columns.stride + m; dx += 1) {
          const y = rows.origin + row * rows.stride + dy;
          const x = columns.origin + column * columns.stride + dx;
          const inside = y >= 0 && y < rows.pixels && x >= 0 && x < columns.pixels;
          const p = (c * rows.pixels + y) * columns.pixels + x;
          into[at] = inside ? guess[p]! : 0.5;
          at += 1;
        }
  }

  #position(block: number): [number, number] {
    return [this.#rows.first + Math.floor(block / this.#columns.blocks), this.#columns.first + (block % this.#columns.blocks)];
  }
}

function whole(pixels: number): Axis {
  return { pixels, features: 1, stride: pixels, origin: 0, first: 0, blocks: 1 };
}

/** Distance of neighbouring features in pixels, and the centre of the first (Araujo et al., "Computing receptive fields", Distill 2019). */
function axis(layers: readonly Layer[], dimension: 0 | 1, pixels: number, features: number): Axis {
  let [stride, centre] = [1, 0];
  for (const layer of layers) {
    if (layer.kind !== "convolution" && layer.kind !== "average-pool") continue;
    const dilation = layer.kind === "convolution" ? layer.dilations[dimension] : 1;
    centre += (((layer.kernel[dimension] - 1) * dilation) / 2 - layer.pads[dimension]) * stride;
    stride *= layer.strides[dimension];
  }
  const origin = Math.round(centre - (stride - 1) / 2);
  const first = Math.floor(-origin / stride);
  return { pixels, features, stride, origin, first, blocks: Math.floor((pixels - 1 - origin) / stride) - first + 1 };
}
