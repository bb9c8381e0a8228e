/**
 * What each party saw of one picture, as pictures.
 * @module
 */
import { join } from "node:path";
import { ensureDirectory, writeFileAtomically } from "@unseen/client/atomic-file.ts";
import { sizeOf, type Shape } from "@unseen/fhe/layer.ts";
import { restore, type ObfuscatedFeatures } from "@unseen/fhe/obfuscation.ts";
import sharp from "sharp";

/** Pixels per row of bytes that are shown as greys. */
const BYTES_WIDTH = 512;
/** Bytes that are shown; the rest looks the same. */
const MAXIMUM_BYTES = BYTES_WIDTH * 512;
/** Smallest side of an enlarged picture. */
const SIDE = 336;

/** What is drawn. */
export interface Views {
  /** The user's: bytes (channels, height, width). */
  readonly user: { readonly bytes: Uint8Array; readonly shape: Shape };
  /** The hub's: sealed bytes. */
  readonly hub: Uint8Array;
  /** The enclave's: a ciphertext. */
  readonly enclave: Uint8Array;
  /** The creator's. */
  readonly creator: { readonly features: ObfuscatedFeatures; readonly shape: Shape };
}

/** Writes user.png, hub.png, enclave.png and creator.png into a directory; their paths. Throws `DISK_FULL`, `PERMISSION_DENIED`. */
export async function saveViews(directory: string, { user, hub, enclave, creator }: Views): Promise<string[]> {
  await ensureDirectory(directory);
  const pictures = {
    user: await drawPicture(user.bytes, user.shape),
    hub: await drawBytes(hub),
    enclave: await drawBytes(enclave),
    creator: await drawFeatures(creator.features, creator.shape),
  };
  const paths: string[] = [];
  for (const [name, png] of Object.entries(pictures)) {
    const path = join(directory, `${name}.png`);
    await writeFileAtomically(path, png);
    paths.push(path);
  }
  return paths;
}

/** A picture (channels, height, width) of 1 or 3 channels, enlarged without smoothing. */
export async function drawPicture(bytes: Uint8Array, { channels, height, width }: Shape): Promise<Uint8Array> {
  const plane = height * width;
  const pixels = Uint8Array.from({ length: bytes.length }, (_, index) => bytes[(index % channels) * plane + Math.floor(index / channels)]!);
  return enlarge(pixels, width, height, channels as 1 | 3);
}

/** Bytes as greys, row by row. */
export async function drawBytes(bytes: Uint8Array): Promise<Uint8Array> {
  const shown = bytes.subarray(0, MAXIMUM_BYTES);
  const height = Math.max(1, Math.ceil(shown.length / BYTES_WIDTH));
  const pixels = new Uint8Array(BYTES_WIDTH * height);
  pixels.set(shown);
  return enlarge(pixels, BYTES_WIDTH, height, 1);
}

/** Channels side by side, each from its smallest to its largest value. */
export async function drawFeatures(features: ObfuscatedFeatures, shape: Shape): Promise<Uint8Array> {
  const { channels, height, width } = shape;
  const values = restore(features);
  const columns = Math.ceil(Math.sqrt(channels));
  const rows = Math.ceil(channels / columns);
  const [cellWidth, cellHeight] = [width + 1, height + 1]; // one dark line between
  const pixels = new Uint8Array(columns * cellWidth * rows * cellHeight);
  for (let channel = 0; channel < channels; channel++) {
    const plane = values.subarray(channel * height * width, (channel + 1) * height * width);
    const low = plane.reduce((least, value) => Math.min(least, value), Infinity);
    const span = plane.reduce((most, value) => Math.max(most, value), -Infinity) - low || 1;
    const left = (channel % columns) * cellWidth;
    const top = Math.floor(channel / columns) * cellHeight;
    plane.forEach((value, index) => {
      const position = (top + Math.floor(index / width)) * columns * cellWidth + left + (index % width);
      pixels[position] = Math.round(((value - low) / span) * 255);
    });
  }
  if (sizeOf(shape) !== values.length) throw new RangeError("features of another shape");
  return enlarge(pixels, columns * cellWidth, rows * cellHeight, 1);
}

async function enlarge(pixels: Uint8Array, width: number, height: number, channels: 1 | 3): Promise<Uint8Array> {
  const factor = Math.max(1, Math.round(SIDE / Math.min(width, height)));
  const png = await sharp(pixels, { raw: { width, height, channels } })
    .resize(width * factor, height * factor, { kernel: "nearest" })
    .png()
    .toBuffer();
  return new Uint8Array(png);
}
