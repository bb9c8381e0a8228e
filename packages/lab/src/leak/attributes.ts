/**
 * What can be told about a picture from its features without drawing it: its labels, how bright it is, which one it is.
 * @module
 */
import { sizeOf, type Shape } from "@unseen/fhe/layer.ts";
import { matrix } from "../numeric/matrix.ts";
import { LinearReader, type Components } from "./inverters/components.ts";
import type { Labels } from "./pictures.ts";

/** One attribute, as a report has it: shares of the test pictures. */
export interface Recovered {
  readonly name: string;
  readonly recovered: number;
  /** What guessing the commonest value gets. */
  readonly baseline: number;
}

/** Strength of the ridge; the noise in the features does most of that. */
const LAMBDA = 1e-2;

/** The classes 0..n-1 of many pictures from their features, by a linear classifier that learnt from others. */
export function readClasses(components: Components, known: Int32Array, features: Float32Array, count: number): Int32Array {
  const classes = [...new Set(known)].toSorted((left, right) => left - right);
  const targets = matrix(known.length, classes.length);
  const shares = classes.map((value) => known.filter((each) => each === value).length / known.length);
  known.forEach((value, row) => {
    classes.forEach((each, k) => (targets.values[row * classes.length + k] = Number(each === value) - (shares[k] as number)));
  });
  const { values } = new LinearReader(components, targets, LAMBDA).read(features, count);
  return Int32Array.from({ length: count }, (_, row) => {
    let best = 0;
    const at = (k: number): number => (values[row * classes.length + k] as number) + (shares[k] as number);
    for (let k = 1; k < classes.length; k += 1) if (at(k) > at(best)) best = k;
    return classes[best] as number;
  });
}

/** Things that every picture has, as yes or no; where the line lies, the pictures that an attacker has decide. */
export function pictureAttributes(
  shape: Shape,
  known: Float32Array,
): readonly { readonly name: string; readonly of: (pictures: Float32Array) => Int32Array }[] {
  const measures: readonly [string, (picture: Float32Array) => number][] = [
    ["brighter than the median", mean],
    ["more contrast than the median", deviation],
    ["left side brighter, more than the median", (picture) => half(picture, shape, "left") - half(picture, shape, "right")],
    ["upper half brighter, more than the median", (picture) => half(picture, shape, "top") - half(picture, shape, "bottom")],
  ];
  return measures.map(([name, measure]) => {
    const each = (pictures: Float32Array): Float64Array =>
      Float64Array.from({ length: pictures.length / sizeOf(shape) }, (_, i) =>
        measure(pictures.subarray(i * sizeOf(shape), (i + 1) * sizeOf(shape))),
      );
    const sorted = each(known).toSorted();
    const median = sorted[Math.floor(sorted.length / 2)] as number;
    return { name, of: (pictures) => Int32Array.from(each(pictures), (value) => Number(value > median)) };
  });
}

/** The share of equal entries, and the share of the commonest true one. */
export function scoreAttribute(name: string, truth: Labels["values"], guess: Labels["values"]): Recovered {
  const counts = new Map<number, number>();
  truth.forEach((value) => counts.set(value, (counts.get(value) ?? 0) + 1));
  return { name, recovered: share(truth, guess), baseline: Math.max(...counts.values()) / truth.length };
}

/** The share of entries of `guess` that are right. */
export function share(truth: ArrayLike<number>, guess: ArrayLike<number>): number {
  let right = 0;
  for (let at = 0; at < truth.length; at += 1) right += Number(truth[at] === guess[at]);
  return right / truth.length;
}

/** For each drawn picture, which of the true ones is nearest to it. */
export function identify(truth: Float32Array, drawn: Float32Array, shape: Shape): Int32Array {
  const size = sizeOf(shape);
  const count = truth.length / size;
  return Int32Array.from({ length: count }, (_, row) => {
    let [best, least] = [0, Infinity];
    for (let each = 0; each < count; each += 1) {
      let square = 0;
      for (let k = 0; k < size; k += 1) square += ((truth[each * size + k] as number) - (drawn[row * size + k] as number)) ** 2;
      if (square < least) [best, least] = [each, square];
    }
    return best;
  });
}

function mean(picture: Float32Array): number {
  return picture.reduce((sum, value) => sum + value, 0) / picture.length;
}

function deviation(picture: Float32Array): number {
  const middle = mean(picture);
  return Math.sqrt(picture.reduce((sum, value) => sum + (value - middle) ** 2, 0) / picture.length);
}

function half(picture: Float32Array, { height, width }: Shape, side: "left" | "right" | "top" | "bottom"): number {
  let sum = 0;
  picture.forEach((value, at) => {
    const [left, top] = [at % width < width / 2, Math.floor(at / width) % height < height / 2];
    if ((side === "left" && left) || (side === "right" && !left) || (side === "top" && top) || (side === "bottom" && !top)) sum += value;
  });
  return sum;
}
