/**
 * What the client does to decrypted features before it hands them to the model's creator: clip, noise, round, drop channels.
 *
 * Noise and rounding are also what keeps CKKS's own error, which depends on the secret key, from leaving the client
 * (Li and Micciancio, EUROCRYPT 2021). None of this makes the features unreadable: `unseen leak` measures how much can be read.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Shape } from "./layer.ts";

export interface Obfuscation {
  /** Magnitude that larger values are cut to; null = the next power of two above the picture's own largest. */
  readonly clip: number | null;
  /** Standard deviation of Gaussian noise, as a share of the range. */
  readonly noise: number;
  /** Bits per value that is sent, 2 to 16. */
  readonly bits: number;
  /** Share of the channels that is sent, chosen anew for each picture; the others are zero. */
  readonly channels: number;
}

/** Noise of 2^-11 of the range in 12 bits: thousands of times the error of CKKS. It protects the key, and hardly hides the picture (`npm run prove -- xray/leak`). */
export const defaultObfuscation: Obfuscation = { clip: null, noise: 2 ** -11, bits: 12, channels: 1 };

/** Features as they are sent: `values[i] * step` stands for feature i. */
export interface ObfuscatedFeatures {
  readonly step: number;
  /** (channels, height, width) */
  readonly values: Int16Array;
}

/** A source of uniform numbers in [0, 1). */
export type Uniform = () => number;

/** @throws UnseenError USAGE naming the knob that is out of its range */
export function checkObfuscation({ clip, noise, bits, channels }: Obfuscation): void {
  const refuse = (what: string, expected: string): UnseenError =>
    new UnseenError("USAGE", `${what} must be ${expected}.`, { hint: "Leave it out for the default." });
  if (clip !== null && !(clip > 0 && Number.isFinite(clip))) throw refuse("the clip", "a positive number");
  if (!(noise >= 2 ** -14 && noise <= 10))
    throw refuse("the noise", "between 2^-14 and 10 of the range, so that it hides the error of the encryption");
  if (!(Number.isInteger(bits) && bits >= 2 && bits <= 16)) throw refuse("the bits", "a whole number from 2 to 16");
  if (!(channels > 0 && channels <= 1)) throw refuse("the share of channels", "above 0 and at most 1");
}

/**
 * Clips, adds noise, drops channels and rounds features (channels, height, width).
 *
 * @param uniform a source that only the client knows: its values must not be predictable
 * @throws UnseenError USAGE for knobs out of range, EVALUATION_FAILED for features that are not finite
 */
export function obfuscate(features: Float64Array, shape: Shape, settings: Obfuscation, uniform: Uniform): ObfuscatedFeatures {
  checkObfuscation(settings);
  let largest = 0;
  for (const value of features) {
    if (!Number.isFinite(value))
      throw new UnseenError("EVALUATION_FAILED", "the decrypted features are not finite numbers.", {
        hint: "Run the job again; if it happens again, the model does not fit its encryption parameters.",
      });
    largest = Math.max(largest, Math.abs(value));
  }
  const range = settings.clip ?? 2 ** Math.ceil(Math.log2(largest || 1));
  const top = 2 ** (settings.bits - 1) - 1;
  const step = range / top;
  const plane = shape.height * shape.width;
  const kept = chooseChannels(shape.channels, settings.channels, uniform);
  const values = Int16Array.from(features, (value, index) => {
    if (!kept[Math.floor(index / plane)]) return 0;
    const noisy = Math.max(-range, Math.min(range, value)) + gaussian(uniform) * settings.noise * range;
    return Math.max(-top, Math.min(top, Math.round(noisy / step)));
  });
  return { step, values };
}

/** The features that the creator's runtime puts into the tail. */
export function restore({ step, values }: ObfuscatedFeatures): Float32Array {
  return Float32Array.from(values, (value) => value * step);
}

function chooseChannels(count: number, share: number, uniform: Uniform): boolean[] {
  const keep = Math.max(1, Math.round(count * share));
  const order = Array.from({ length: count }, (_, index) => ({ index, rank: share === 1 ? index : uniform() }));
  const chosen = new Set(
    order
      .toSorted((left, right) => left.rank - right.rank)
      .slice(0, keep)
      .map(({ index }) => index),
  );
  return Array.from({ length: count }, (_, index) => chosen.has(index));
}

/** A number of the standard normal law (Box and Muller, 1958). */
export function gaussian(uniform: Uniform): number {
  return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
