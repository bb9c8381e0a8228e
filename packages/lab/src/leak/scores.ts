/**
 * How alike two pictures are: PSNR and SSIM, of values 0..1.
 * @module
 */
import { sizeOf, type Shape } from "@unseen/fhe/layer.ts";

/** What equal pictures get, since reports hold numbers alone; bytes rounded at random are at 59 dB. */
const MOST_DECIBELS = 100;
/** Wang et al. 2004: the window, and what keeps quotients finite. */
const WINDOW = 11;
const SIGMA = 1.5;
const C1 = 0.01 ** 2;
const C2 = 0.03 ** 2;

/** Peak signal-to-noise ratio in dB, at most 100. */
export function psnr(truth: Float32Array, guess: Float32Array): number {
  let square = 0;
  for (let i = 0; i < truth.length; i += 1) square += ((truth[i] as number) - (guess[i] as number)) ** 2;
  return Math.min(MOST_DECIBELS, -10 * Math.log10(square / truth.length));
}

/**
 * Mean structural similarity over all windows and channels, (channels, height, width) each; the window shrinks to what fits.
 * Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE Transactions on Image Processing 13 (2004).
 */
export function ssim(truth: Float32Array, guess: Float32Array, shape: Shape): number {
  const plane = shape.height * shape.width;
  let sum = 0;
  for (let at = 0; at < truth.length; at += plane) {
    const [x, y] = [truth.subarray(at, at + plane), guess.subarray(at, at + plane)];
    const mean = (of: (i: number) => number): Float64Array =>
      blur(
        Float64Array.from({ length: plane }, (_, i) => of(i)),
        shape,
      );
    const value = (of: Float32Array, i: number): number => of[i] as number;
    const [mx, my] = [mean((i) => value(x, i)), mean((i) => value(y, i))];
    const [xx, yy, xy] = [mean((i) => value(x, i) ** 2), mean((i) => value(y, i) ** 2), mean((i) => value(x, i) * value(y, i))];
    let windows = 0;
    for (let i = 0; i < mx.length; i += 1) {
      const [a, b] = [mx[i] as number, my[i] as number];
      const covariance = (xy[i] as number) - a * b;
      const variances = (xx[i] as number) - a * a + (yy[i] as number) - b * b;
      windows += ((2 * a * b + C1) * (2 * covariance + C2)) / ((a * a + b * b + C1) * (variances + C2));
    }
    sum += windows / mx.length;
  }
  return sum / shape.channels;
}

/** Gaussian means of every whole window. */
function blur(plane: Float64Array, { height, width }: Shape): Float64Array {
  const [down, across] = [gaussianWindow(height), gaussianWindow(width)];
  const columns = width - across.length + 1;
  const rows = height - down.length + 1;
  const wide = new Float64Array(height * columns);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < columns; x += 1)
      wide[y * columns + x] = across.reduce((sum, weight, k) => sum + weight * (plane[y * width + x + k] as number), 0);
  return Float64Array.from({ length: rows * columns }, (_, at) =>
    down.reduce((sum, weight, k) => sum + weight * (wide[at + k * columns] as number), 0),
  );
}

function gaussianWindow(length: number): Float64Array {
  const size = Math.min(WINDOW, length - ((length + 1) % 2));
  const weights = Float64Array.from({ length: size }, (_, k) => Math.exp(-((k - (size - 1) / 2) ** 2) / (2 * SIGMA ** 2)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Means of both scores over pictures (count, channels, height, width). */
export function meanScores(truth: Float32Array, guess: Float32Array, shape: Shape): { readonly psnr: number; readonly ssim: number } {
  const size = sizeOf(shape);
  const count = truth.length / size;
  let [decibels, similarity] = [0, 0];
  for (let at = 0; at < truth.length; at += size) {
    const [x, y] = [truth.subarray(at, at + size), guess.subarray(at, at + size)];
    decibels += psnr(x, y) / count;
    similarity += ssim(x, y, shape) / count;
  }
  return { psnr: decibels, ssim: similarity };
}
