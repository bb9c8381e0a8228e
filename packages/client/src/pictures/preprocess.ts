/**
 * What an image model's first layer gets: size, crop, greys or colours, scale, order.
 * @module
 */
import type { ImagePreprocessing } from "@unseen/core/blueprint/interface.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Tensor } from "../encoders/tensor.ts";
import { decodePicture, MAXIMUM_PIXELS } from "./decode.ts";
import { resize, type Picture } from "./resample.ts";

/**
 * A picture's file as the model's input, a batch of one.
 *
 * @throws UnseenError REQUEST_INVALID, REQUEST_TOO_LARGE for the file; BUNDLE_INVALID for settings that contradict each other.
 */
export async function readPicture(bytes: Uint8Array, settings: ImagePreprocessing): Promise<Tensor> {
  checkSettings(settings);
  return preprocess(await decodePicture(bytes), settings);
}

/** The model's input from RGB pixels: resize, centre crop, greys, (value·rescale - mean) / deviation, as Hugging Face's processors do. */
export function preprocess(picture: Picture, settings: ImagePreprocessing): Tensor {
  const sized = fit(settings.channels === 1 ? toGrey(picture) : picture, settings);
  return normalise(cropCentre(sized, settings.width, settings.height), settings);
}

/** ITU-R 601 luma in Pillow's whole-number form; grey pictures pass unchanged. */
function toGrey({ width, height, pixels }: Picture): Picture {
  const greys = new Uint8Array(width * height);
  for (let i = 0; i < greys.length; i++) {
    greys[i] = (pixels[3 * i]! * 19595 + pixels[3 * i + 1]! * 38470 + pixels[3 * i + 2]! * 7471 + 0x8000) >>> 16;
  }
  return { width, height, channels: 1, pixels: greys };
}

function fit(picture: Picture, { width, height, shortestEdge, resample }: ImagePreprocessing): Picture {
  const [toWidth, toHeight] = shortestEdge === null ? [width, height] : scaleTo(picture, shortestEdge);
  // A picture one pixel high would otherwise become millions wide (CWE-789).
  if (Math.max(toWidth, picture.width) * Math.max(toHeight, picture.height) > MAXIMUM_PIXELS) {
    throw new UnseenError("REQUEST_INVALID", "image: expected sides that are nearer to each other in length.", {
      hint: "Cut the picture to what matters.",
    });
  }
  return resize(picture, toWidth, toHeight, resample);
}

function scaleTo({ width, height }: Picture, shortest: number): readonly [width: number, height: number] {
  if (width <= height) return [shortest, Math.trunc((shortest * height) / width)];
  return [Math.trunc((shortest * width) / height), shortest];
}

/** Cuts out the centre; what lies outside the picture is black. */
function cropCentre(picture: Picture, width: number, height: number): Picture {
  if (picture.width === width && picture.height === height) return picture;
  const { channels, pixels } = picture;
  const result = new Uint8Array(width * height * channels);
  const [left, top] = [Math.trunc((picture.width - width) / 2), Math.trunc((picture.height - height) / 2)];
  const [from, to] = [Math.max(0, left), Math.min(picture.width, left + width)];
  for (let y = 0; y < height; y++) {
    const row = y + top;
    if (row < 0 || row >= picture.height) continue;
    const start = row * picture.width;
    result.set(pixels.subarray((start + from) * channels, (start + to) * channels), (y * width + from - left) * channels);
  }
  return { width, height, channels, pixels: result };
}

function normalise({ width, height, channels, pixels }: Picture, settings: ImagePreprocessing): Tensor {
  const { rescale, mean, deviation, layout } = settings;
  const area = width * height;
  const values = new Float64Array(area * channels);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < channels; c++) {
      const value = (pixels[i * channels + c]! * rescale - mean[c]!) / deviation[c]!;
      values[layout === "NHWC" ? i * channels + c : c * area + i] = value;
    }
  }
  const shapes = { NCHW: [1, channels, height, width], NHWC: [1, height, width, channels], NHW: [1, height, width] };
  return { shape: shapes[layout], values };
}

function checkSettings({ channels, mean, deviation, layout }: ImagePreprocessing): void {
  const fits = mean.length === channels && deviation.length === channels && deviation.every((value) => value !== 0);
  if (fits && (layout !== "NHW" || channels === 1)) return;
  throw new UnseenError(
    "BUNDLE_INVALID",
    `interface.json: image: expected a mean and a deviation other than 0 for each of ${channels} channels.`,
    {
      hint: "Encrypt the model again, or restore the bundle from a backup.",
    },
  );
}
