/**
 * Resizes pictures exactly as Pillow does, because that is what image models were trained and measured with: a resizer that is
 * merely as good shifts logits.
 * @see https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c
 * @module
 */

/** Bytes in row-major order, channels last. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly pixels: Uint8Array;
}

export type Resample = "nearest" | "bilinear" | "bicubic" | "lanczos";

interface Filter {
  readonly support: number;
  weight(distance: number): number;
}

const filters: Readonly<Record<Exclude<Resample, "nearest">, Filter>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: bicubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Weights are whole numbers of 2^-22, sums are rounded to bytes after each pass. */
const PRECISION_BITS = 22;

/** For each output coordinate, which inputs it takes and with which weights. */
interface Taps {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** `(output, width)` */
  readonly weights: Int32Array;
  readonly width: number;
}

/** Brings a picture to another size. */
export function resize(picture: Picture, width: number, height: number, resample: Resample): Picture {
  if (resample === "nearest") return resizeNearest(picture, width, height);
  const filter = filters[resample];
  const wide = width === picture.width ? picture : resizeRows(picture, width, taps(picture.width, width, filter));
  return height === picture.height ? wide : resizeColumns(wide, height, taps(picture.height, height, filter));
}

function taps(from: number, to: number, { support, weight }: Filter): Taps {
  const scale = from / to;
  const stretch = Math.max(scale, 1); // shrinking averages over more inputs
  const reach = support * stretch;
  const width = Math.ceil(reach) * 2 + 1;
  const [starts, counts, weights] = [new Int32Array(to), new Int32Array(to), new Int32Array(to * width)];
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const count = Math.min(from, Math.trunc(centre + reach + 0.5)) - start;
    const own = Array.from({ length: count }, (_, k) => weight((k + start - centre + 0.5) * (1 / stretch)));
    const sum = own.reduce((total, value) => total + value, 0);
    starts[i] = start;
    counts[i] = count;
    own.forEach((value, k) => {
      const scaled = (sum === 0 ? value : value / sum) * 2 ** PRECISION_BITS;
      weights[i * width + k] = Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
    });
  }
  return { starts, counts, weights, width };
}

function resizeRows({ width, height, channels, pixels }: Picture, to: number, { starts, counts, weights, width: span }: Taps): Picture {
  const result = new Uint8Array(to * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < to; x++) {
      const [start, count] = [starts[x]!, counts[x]!];
      for (let c = 0; c < channels; c++) {
        let sum = 1 << (PRECISION_BITS - 1);
        for (let k = 0; k < count; k++) sum += pixels[(y * width + start + k) * channels + c]! * weights[x * span + k]!;
        result[(y * to + x) * channels + c] = clip(sum);
      }
    }
  }
  return { width: to, height, channels, pixels: result };
}

function resizeColumns({ width, channels, pixels }: Picture, to: number, { starts, counts, weights, width: span }: Taps): Picture {
  const row = width * channels;
  const result = new Uint8Array(to * row);
  for (let y = 0; y < to; y++) {
    const [start, count] = [starts[y]!, counts[y]!];
    for (let x = 0; x < row; x++) {
      let sum = 1 << (PRECISION_BITS - 1);
      for (let k = 0; k < count; k++) sum += pixels[(start + k) * row + x]! * weights[y * span + k]!;
      result[y * row + x] = clip(sum);
    }
  }
  return { width, height: to, channels, pixels: result };
}

function resizeNearest({ width, height, channels, pixels }: Picture, toWidth: number, toHeight: number): Picture {
  const [columns, rows] = [nearest(width, toWidth), nearest(height, toHeight)];
  const result = new Uint8Array(toWidth * toHeight * channels);
  for (let y = 0; y < toHeight; y++) {
    for (let x = 0; x < toWidth; x++) {
      const from = (rows[y]! * width + columns[x]!) * channels;
      for (let c = 0; c < channels; c++) result[(y * toWidth + x) * channels + c] = pixels[from + c]!;
    }
  }
  return { width: toWidth, height: toHeight, channels, pixels: result };
}

/** The input coordinate of each output coordinate; Pillow adds the step up, and its rounding decides ties. */
function nearest(from: number, to: number): Int32Array {
  const step = from / to;
  let at = step * 0.5;
  return Int32Array.from({ length: to }, () => {
    const coordinate = Math.min(from - 1, Math.trunc(at));
    at += step;
    return coordinate;
  });
}

function clip(sum: number): number {
  return Math.min(255, Math.max(0, sum >> PRECISION_BITS));
}

/** Keys' cubic with a = -0.5. */
function bicubic(signed: number): number {
  const x = Math.abs(signed);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}
