/**
 * From a picture file to what a model is given.
 * @module
 */
import { decodePicture } from "@unseen/client/pictures/decode.ts";
import { fitPicture } from "@unseen/client/pictures/fit.ts";
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
  return fitPicture(await decodePicture(file), { channels, height, width });
}

/** Pixels from 0 to 1. */
export function pictureValues(bytes: Uint8Array): Float64Array {
  return Float64Array.from(bytes, (byte) => byte / 255);
}
