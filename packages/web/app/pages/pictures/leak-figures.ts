/**
 * What the creator was measured to read behind a cut. No figure is made up between two measured ones.
 * @module
 */
import file from "../../../../unseen/models/xray-cnn/leak.json" with { type: "json" };
import type { RunSettings } from "./settings.ts";

/** One thing that can be told of a picture. Shares 0..1; the baseline is what guessing gets. */
export interface Attribute {
  readonly name: string;
  readonly recovered: number;
  readonly baseline: number;
}

export interface Measurement extends RunSettings {
  /** dB; means over the tested pictures. */
  readonly psnr: number;
  readonly ssim: number;
  readonly attributes: readonly Attribute[];
  /** Share of decisions that the obfuscation left as they were; null where it was not measured. */
  readonly decisionsKept: number | null;
  /** Base64 of a PNG: pictures above, what was rebuilt of them below. */
  readonly pictures: string;
}

/** How the figures came about. */
export interface LeakFile {
  readonly command: string;
  readonly data: string;
  readonly attribution: string;
  readonly trained: number;
  readonly tested: number;
  /** Of the mean picture, which needs no features. */
  readonly psnrBaseline: number;
  readonly ssimBaseline: number;
  readonly measurements: readonly Measurement[];
}

/** Of the network that comes along. */
export const bundledLeak: LeakFile = file;

/** The measured setting of the same cut that comes nearest; null where the cut was not measured. */
export function nearestMeasured(
  wanted: RunSettings,
  measurements: readonly Measurement[],
): { measurement: Measurement; exact: boolean } | null {
  const [nearest] = measurements
    .filter(({ cut }) => cut === wanted.cut)
    .toSorted((one, other) => distance(one, wanted) - distance(other, wanted));
  return nearest ? { measurement: nearest, exact: distance(nearest, wanted) === 0 } : null;
}

/** Doublings of the noise, and bits. */
function distance(one: RunSettings, other: RunSettings): number {
  return Math.abs(Math.log2(one.noise / other.noise)) + Math.abs(one.bits - other.bits);
}

/** Honest words for how much comes back. */
export function leakInWords({ psnr, ssim }: Pick<Measurement, "psnr" | "ssim">, { psnrBaseline }: Pick<LeakFile, "psnrBaseline">): string {
  if (ssim >= 0.98) return "Pictures come back almost as they were.";
  if (ssim >= 0.8) return "Pictures come back blurred, and still recognisable.";
  return psnr > psnrBaseline + 1 ? "Parts of pictures come back." : "Little more comes back than without the features.";
}
