/**
 * Which features lie above which pixels: what a local inverter looks at, and what it draws.
 * @module
 */
import type { Head, Layer, Shape } from "@unseen/fhe/layer.ts";

/** Features in sight of one block of pixels at most; more only slow an inverter down. */
const MOST_INPUTS = 1024;
/** Features around the middle one, in each direction. */
const FARTHEST = 1;
/** Pixels of an earlier guess around a block. */
const MARGIN = 2;

/** One axis: block b begins at pixel `origin` + b * `stride` and lies under feature b. */
interface Axis {
  readonly stride: number;
  readonly origin: number;
  /** Number of the first block, which may lie beyond the features. */
  readonly first: number;
  readonly blocks: number;
}

/** Cuts pictures into blocks, and finds the features around each. */
export class Patches {
  /** Blocks of a picture. */
  readonly blocks: number;
  /** Numbers in sight of a block: features around it, its place, a guess of it and of the pixels around it; of a vector, its features alone. */
  readonly inputs: number;
  /** Numbers of a block: (channels, rows, columns). */
  readonly outputs: number;
  readonly #picture: Shape;
  readonly #features: Shape;
  readonly #rows: Axis;
  readonly #columns: Axis;
  readonly #reach: number;
  readonly #local: boolean;

  constructor({ shape, output, layers }: Head) {
    this.#picture = shape;
    this.#features = output;
    // A vector has no place: all of it is in sight of one block, the picture.
    const local = output.height * output.width > 1;
    this.#rows = local ? axisOf(layers, 0, shape.height) : wholeAxis(shape.height);
    this.#columns = local ? axisOf(layers, 1, shape.width) : wholeAxis(shape.width);
    let reach = local ? FARTHEST : 0;
    while (reach > 0 && output.channels * (2 * reach + 1) ** 2 > MOST_INPUTS) reach -= 1;
    this.#reach = reach;
    this.blocks = this.#rows.blocks * this.#columns.blocks;
    this.#local = local;
    const guess = shape.channels * (this.#rows.stride + 2 * MARGIN) * (this.#columns.stride + 2 * MARGIN);
    this.inputs = output.channels * (2 * reach + 1) ** 2 + (local ? 2 + guess : 0);
    this.outputs = shape.channels * this.#rows.stride * this.#columns.stride;
  }

  /** Writes what is in sight of a block, given all features and a guess of the whole picture, (channels, height, width) each. */
  look(features: Float32Array, guess: Float32Array, block: number, into: Float64Array, at: number): void {
    const [row, column] = this.#position(block);
    const [top, left] = this.#corner(block);
    const [high, wide] = [this.#rows.stride + 2 * MARGIN, this.#columns.stride + 2 * MARGIN];
    const side = 2 * this.#reach + 1;
    let next = copyWindow(features, this.#features, row - this.#reach, column - this.#reach, side, side, into, at);
    if (!this.#local) return;
    into[next++] = row / this.#rows.blocks;
    into[next++] = column / this.#columns.blocks;
    copyWindow(guess, this.#picture, top - MARGIN, left - MARGIN, high, wide, into, next);
  }

  /** Where the numbers of a block lie in the picture (channels, height, width); -1 = beyond its edge. */
  pixels(block: number): Int32Array {
    const { channels, height, width } = this.#picture;
    const [top, left] = this.#corner(block);
    const places: number[] = [];
    for (let channel = 0; channel < channels; channel += 1)
      for (let y = top; y < top + this.#rows.stride; y += 1)
        for (let x = left; x < left + this.#columns.stride; x += 1) {
          const inside = y >= 0 && y < height && x >= 0 && x < width;
          places.push(inside ? (channel * height + y) * width + x : -1);
        }
    return Int32Array.from(places);
  }

  #position(block: number): [number, number] {
    return [this.#rows.first + Math.floor(block / this.#columns.blocks), this.#columns.first + (block % this.#columns.blocks)];
  }

  #corner(block: number): [number, number] {
    const [row, column] = this.#position(block);
    return [this.#rows.origin + row * this.#rows.stride, this.#columns.origin + column * this.#columns.stride];
  }
}

/** Copies a window of every channel, zeros beyond the edge; returns where it ended. */
function copyWindow(
  from: Float32Array,
  { channels, height, width }: Shape,
  top: number,
  left: number,
  high: number,
  wide: number,
  into: Float64Array,
  at: number,
): number {
  for (let channel = 0; channel < channels; channel += 1)
    for (let y = top; y < top + high; y += 1)
      for (let x = left; x < left + wide; x += 1) {
        const inside = y >= 0 && y < height && x >= 0 && x < width;
        into[at++] = inside ? (from[(channel * height + y) * width + x] as number) : 0;
      }
  return at;
}

function wholeAxis(pixels: number): Axis {
  return { stride: pixels, origin: 0, first: 0, blocks: 1 };
}

/** Distance of neighbouring features in pixels, and the centre of the first (Araujo, Norris, Sim, "Computing receptive fields of convolutional neural networks", Distill 2019). */
function axisOf(layers: readonly Layer[], dimension: 0 | 1, pixels: number): Axis {
  let [stride, centre] = [1, 0];
  for (const layer of layers) {
    if (layer.kind !== "convolution" && layer.kind !== "average-pool") continue;
    const dilation = layer.kind === "convolution" ? layer.dilations[dimension] : 1;
    centre += (((layer.kernel[dimension] - 1) * dilation) / 2 - layer.pads[dimension]) * stride;
    stride *= layer.strides[dimension];
  }
  const origin = Math.round(centre - (stride - 1) / 2);
  const first = Math.floor(-origin / stride);
  return { stride, origin, first, blocks: Math.floor((pixels - 1 - origin) / stride) - first + 1 };
}
