/**
 * What one chooses for a picture: where the model is cut, and what is done to the features before the creator gets them.
 * @module
 */

export interface RunSettings {
  /** 1 = after the first layer. */
  readonly cut: number;
  /** Standard deviation, as a share of the features' range. */
  readonly noise: number;
  /** Of each value that is sent. */
  readonly bits: number;
}

/** What `unseen private-run` takes by itself. */
export const DEFAULT_NOISE = 2 ** -11;
export const DEFAULT_BITS = 12;

/** Stops of the slider: the least that hides the error of the encryption, up to noise as large as the range. */
export const NOISES: readonly number[] = [
  2 ** -14,
  2 ** -13,
  2 ** -12,
  DEFAULT_NOISE,
  0.001,
  0.002,
  0.005,
  0.01,
  0.02,
  0.05,
  0.1,
  0.2,
  0.4,
  0.8,
  1,
];

/** 0.2 -> "0.2 of the range". */
export function noiseInWords(noise: number): string {
  const amount = noise < 0.001 ? noise.toFixed(5) : String(noise);
  return `${amount} of the range${noise === DEFAULT_NOISE ? ", the default" : ""}`;
}

/** The settings of a run, from its command line, which a page that was loaded again still has. */
export function settingsOfCommand(command: string): RunSettings {
  const value = (name: string, otherwise: number): number => Number(new RegExp(`--${name} ([\\d.e-]+)`).exec(command)?.[1] ?? otherwise);
  return { cut: value("cut", 1), noise: value("noise", DEFAULT_NOISE), bits: value("bits", DEFAULT_BITS) };
}
