/**
 * Drawings that look a little like chest X-rays, for measuring and showing where there are no real ones. They are nobody's.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { sizeOf, type Shape } from "@unseen/fhe/layer.ts";
import { seeded } from "../seed.ts";
import { fitPicture } from "@unseen/client/pictures/fit.ts";
import type { LabelledPictures, PictureCounts, PictureSet } from "./pictures.ts";

/** Pixels of a drawing, before it is brought to a model's size. */
const SIDE = 28;
const RIBS = 6;

interface Ellipse {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * One drawing, grey, (side, side) bytes: body, lungs, heart, spine, ribs.
 *
 * @param shadow whether one lung has bright patches in it
 */
export function drawChest(random: RandomStream, shadow: boolean, side: number = SIDE): Uint8Array {
  const about = (middle: number, spread: number): number => middle + spread * (2 * random.uniform() - 1);
  const [shiftX, shiftY, size] = [about(0, 0.05), about(0, 0.05), about(1, 0.1)];
  const place = (x: number, y: number, width: number, height: number): Ellipse => ({
    x: 0.5 + shiftX + size * (x - 0.5),
    y: 0.5 + shiftY + size * (y - 0.5),
    width: size * width,
    height: size * height,
  });
  const body = place(0.5, about(0.58, 0.02), about(0.46, 0.04), about(0.62, 0.04));
  const lungs = [-1, 1].map((way) => place(0.5 + way * about(0.19, 0.015), about(0.47, 0.03), about(0.13, 0.02), about(0.29, 0.04)));
  const heart = place(about(0.55, 0.02), about(0.64, 0.03), about(0.13, 0.025), about(0.14, 0.025));
  const lung = lungs[random.below(2)] as Ellipse;
  const patches = Array.from({ length: 2 + random.below(3) }, () => ({
    x: lung.x + lung.width * about(0, 0.6),
    y: lung.y + lung.height * about(0.2, 0.6),
    width: about(0.08, 0.03),
    height: about(0.08, 0.03),
  }));
  const [light, contrast, phase, grain] = [about(0.62, 0.08), about(0.42, 0.08), random.uniform(), about(0.015, 0.005)];
  const picture = new Uint8Array(side * side);
  for (let at = 0; at < picture.length; at += 1) {
    const [x, y] = [((at % side) + 0.5) / side, (Math.floor(at / side) + 0.5) / side];
    const air =
      Math.min(
        1,
        lungs.reduce((sum, each) => sum + inside(x, y, each, 0.12), 0),
      ) *
      (1 - 0.9 * inside(x, y, heart, 0.2));
    const bow = y + 0.25 * Math.abs(x - body.x);
    const ribs = Math.max(0, Math.cos(2 * Math.PI * (RIBS * bow + phase))) * 0.14;
    const spine = 0.12 * Math.exp(-(((x - body.x) / 0.045) ** 2));
    const white = shadow
      ? Math.min(
          0.75,
          patches.reduce((sum, each) => sum + 0.6 * bump(x, y, each), 0),
        )
      : 0;
    const tissue = light + spine - contrast * air * (1 - white) + ribs * air;
    const value = 0.06 + inside(x, y, body, 0.08) * (tissue - 0.06) + random.gaussian() * grain;
    picture[at] = Math.round(255 * Math.max(0, Math.min(1, value)));
  }
  return picture;
}

/** 1 within an ellipse, 0 outside, with an edge as soft as `softness` of its size. */
function inside(x: number, y: number, { x: cx, y: cy, width, height }: Ellipse, softness: number): number {
  const distance = Math.hypot((x - cx) / width, (y - cy) / height);
  return 1 / (1 + Math.exp((4 * (distance - 1)) / softness));
}

function bump(x: number, y: number, { x: cx, y: cy, width, height }: Ellipse): number {
  return Math.exp(-(((x - cx) / width) ** 2) - ((y - cy) / height) ** 2);
}

/** Drawings at a model's size; half of them, at random, with a shadow on a lung, which is their label. */
export function drawPictures(shape: Shape, { train, test, seed }: PictureCounts): LabelledPictures {
  return {
    data: "drawn chests",
    shape,
    train: drawSet(shape, train, seeded(seed, "leak/drawn training pictures")),
    test: drawSet(shape, test, seeded(seed, "leak/drawn test pictures")),
  };
}

function drawSet(shape: Shape, count: number, random: RandomStream): PictureSet {
  const bytes = new Uint8Array(count * sizeOf(shape));
  const values = new Int32Array(count);
  const side = Math.max(shape.height, shape.width);
  for (let index = 0; index < count; index += 1) {
    values[index] = random.below(2);
    const pixels = drawChest(random, values[index] === 1, side);
    bytes.set(fitPicture({ width: side, height: side, channels: 1, pixels }, shape), index * sizeOf(shape));
  }
  return { count, bytes, labels: [{ name: "shadow on a lung", values }] };
}
