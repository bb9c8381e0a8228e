/**
 * A decoded picture as a model's input: its size and its number of channels.
 * @module
 */
import { resize, type Picture } from "./resample.ts";

/** A picture (height, width, channels) as bytes (channels, height, width) of another size. Stretched, not cropped; grey is repeated, colour becomes its luma (ITU-R BT.601, as Pillow's "L"). */
export function fitPicture(
  picture: Picture,
  { channels, height, width }: { readonly channels: number; readonly height: number; readonly width: number },
): Uint8Array {
  const sized = picture.width === width && picture.height === height ? picture : resize(picture, width, height, "bilinear");
  const plane = height * width;
  const out = new Uint8Array(channels * plane);
  for (let at = 0; at < plane; at += 1) {
    const from = at * sized.channels;
    const value = (channel: number): number => sized.pixels[from + channel] as number;
    for (let channel = 0; channel < channels; channel += 1)
      out[channel * plane + at] =
        channels === 1 && sized.channels === 3
          ? Math.round(0.299 * value(0) + 0.587 * value(1) + 0.114 * value(2))
          : value(Math.min(channel, sized.channels - 1));
  }
  return out;
}
