/**
 * Axes: where a value lies, and at which values there are ticks.
 * @module
 */

export interface Scale {
  /** 0..1, from the beginning of the axis to its end. */
  place(value: number): number;
  readonly ticks: readonly number[];
}

/** Evenly spaced ticks at 1, 2 or 5 times a power of ten; `most` is about how many. */
export function linearScale(minimum: number, maximum: number, most = 5): Scale {
  const span = maximum - minimum || Math.abs(maximum) || 1;
  const raw = span / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw * 0.999)!;
  const ticks: number[] = [];
  for (let index = Math.ceil(minimum / step - 1e-9); index * step <= maximum + step * 1e-9; index += 1)
    ticks.push(Number((index * step).toPrecision(12)));
  return { place: (value) => (value - minimum) / span, ticks };
}

/** Ticks at powers of ten. Values must be above 0. */
export function logarithmicScale(minimum: number, maximum: number): Scale {
  const [low, high] = [
    Math.floor(Math.log10(minimum) + 1e-9),
    Math.max(Math.ceil(Math.log10(maximum) - 1e-9), Math.floor(Math.log10(minimum) + 1e-9) + 1),
  ];
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  return { place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low), ticks };
}
