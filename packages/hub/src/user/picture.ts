/**
 * From a picture file to what a model is given.
 * @module
 */
import { decodePicture } from "@unseen/client/pictures/decode.ts";
import { resize } from "@unseen/client/pictures/resample.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { ModelManifest } from "../protocol.ts";

/**
 * Bytes (channels, height, width) of a picture file in a model's size: grey for one channel, red, green, blue for three; stretched, not cropped.
 * @throws UnseenError REQUEST_INVALID, REQUEST_TOO_LARGE for a file that is no picture, CUT_UNAVAILABLE for a model of other channels
 */
export async function readPictureFile(file: Uint8Array, [channels, height, width]: ModelManifest["picture"]["shape"]): Promise<Uint8Array> {
  if (channels !== 1 && channels !== 3)
    throw new UnseenError("CUT_UNAVAILABLE", `the model takes ${channels} channels, and a picture has 1 or 3.`, {
      hint: "Use a model for grey or colour pictures.",
    });
  const { pixels } = resize(await decodePicture(file), width, height, "bilinear");
  const plane = width * height;
  const bytes = new Uint8Array(channels * plane);
  for (let pixel = 0; pixel < plane; pixel++) {
    const [red, green, blue] = [pixels[pixel * 3]!, pixels[pixel * 3 + 1]!, pixels[pixel * 3 + 2]!];
    // Rec. 601 luma, as Pillow's "L": grey stays as it is.
    if (channels === 1) bytes[pixel] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    else [bytes[pixel], bytes[plane + pixel], bytes[2 * plane + pixel]] = [red, green, blue];
  }
  return bytes;
}

/** Pixels from 0 to 1. */
export function pictureValues(bytes: Uint8Array): Float64Array {
  return Float64Array.from(bytes, (byte) => byte / 255);
}
