/**
 * The inverter that knows the first layers' weights: it changes another inverter's guess until the layers make the observed features
 * of it, by Gauss and Newton with conjugate gradients, and leaves the guess where the features say little.
 *
 * Source: Mahendran and Vedaldi, "Understanding deep image representations by inverting them", CVPR 2015; for Gauss-Newton with
 * conjugate gradients, Nocedal and Wright, "Numerical optimization", chapter 10.
 * @module
 */
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import { sizeOf, type Head } from "@unseen/fhe/layer.ts";
import { linearise } from "../adjoint.ts";
import { toUnit, type Inverter } from "./inverter.ts";

/** Linearisations, and conjugate gradients in each. */
const ROUNDS = 4;
const GRADIENTS = 20;
/** Step of the difference quotient, in pixel values; the layers are polynomials of low degree, so it is all but exact. */
const STEP = 1e-4;

/** What an inverter by descent knows besides the layers. */
export interface Trust {
  /** Mean square of what the obfuscation changed in a feature. */
  readonly noise: number;
  /** Mean square of what the guess has wrong in a pixel. */
  readonly guess: number;
  /** What a pixel of 1 is to the model. */
  readonly scale: number;
}

/** Improves on a guess. Features of 0 throughout a channel are taken as left out. */
export function descentInverter(head: Head, guesser: Inverter, trust: Trust): Inverter {
  const [size, width] = [sizeOf(head.shape), sizeOf(head.output)];
  return {
    name: `${guesser.name} and descent`,
    invert: (features, count) => {
      const guesses = guesser.invert(features, count);
      const out = new Float32Array(guesses.length);
      for (let index = 0; index < count; index += 1) {
        const guess = Float64Array.from(guesses.subarray(index * size, (index + 1) * size));
        const observed = Float64Array.from(features.subarray(index * width, (index + 1) * width));
        out.set(descend(head, guess, observed, trust), index * size);
      }
      return out;
    },
  };
}

/** Products of numbers that one picture takes, about. */
export function productsOfDescent({ layers }: Head): number {
  let products = 0;
  for (const layer of layers)
    if (layer.kind === "dense") products += layer.weight.length;
    else if (layer.kind === "convolution") products += (layer.weight.length * sizeOf(layer.output)) / layer.output.channels;
    else products += sizeOf(layer.input);
  return products * 2 * ROUNDS * (GRADIENTS + 1);
}

/** Minimises |f(x) - observed|^2 of what was sent / noise + |x - guess|^2 / trust of the guess. */
function descend(head: Head, guess: Float64Array, observed: Float64Array, trust: Trust): Float64Array {
  const sent = channelsSent(head, observed);
  const run = (x: Float64Array): Float64Array => runClear(head, x.map((value) => value * trust.scale)); // prettier-ignore
  const ratio = trust.noise / trust.guess;
  let x = guess;
  for (let round = 0; round < ROUNDS; round += 1) {
    const here = linearise(head, x.map((value) => value * trust.scale)); // prettier-ignore
    const back = (vector: Float64Array): Float64Array => here.pullBack(vector).map((slope) => slope * trust.scale);
    const normal = (direction: Float64Array): Float64Array => {
      const length = Math.sqrt(dot(direction, direction)) || 1;
      const step = STEP / length;
      const moved = run(x.map((value, at) => value + step * (direction[at] as number)));
      const image = moved.map((value, at) => ((value - (here.features[at] as number)) / step) * (sent[at] as number));
      return back(image).map((value, at) => value + ratio * (direction[at] as number));
    };
    const pull = back(here.features.map((value, at) => ((observed[at] as number) - value) * (sent[at] as number)));
    const start = x;
    const change = conjugateGradients(
      normal,
      pull.map((value, at) => value + ratio * ((guess[at] as number) - (start[at] as number))),
    );
    x = x.map((value, at) => toUnit(value + (change[at] as number)));
  }
  return x;
}

/** 1 for features that were sent, 0 for those of channels that were left out. */
function channelsSent({ output }: Head, observed: Float64Array): Uint8Array {
  const plane = output.height * output.width;
  const sent = new Uint8Array(observed.length);
  for (let at = 0; at < observed.length; at += plane)
    if (plane === 1 || observed.subarray(at, at + plane).some((value) => value !== 0)) sent.fill(1, at, at + plane);
  return sent;
}

/** An approximate solution of a symmetric positive system (Hestenes and Stiefel 1952). */
function conjugateGradients(apply: (vector: Float64Array) => Float64Array, right: Float64Array): Float64Array {
  const solution = new Float64Array(right.length);
  const residual = right.slice();
  let direction = right.slice();
  let square = dot(residual, residual);
  for (let step = 0; step < GRADIENTS && square > 0; step += 1) {
    const image = apply(direction);
    const size = square / dot(direction, image);
    if (!Number.isFinite(size)) break;
    for (let at = 0; at < solution.length; at += 1) {
      solution[at]! += size * (direction[at] as number);
      residual[at]! -= size * (image[at] as number);
    }
    const next = dot(residual, residual);
    direction = residual.map((value, at) => value + (next / square) * (direction[at] as number));
    square = next;
  }
  return solution;
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < left.length; at += 1) sum += (left[at] as number) * (right[at] as number);
  return sum;
}

/** Mean square of the difference of two arrays. */
export function meanSquare(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < left.length; at += 1) sum += ((left[at] as number) - (right[at] as number)) ** 2;
  return sum / left.length;
}
