/**
 * The scale of an axis: where a value stands on it, and its ticks.
 * @module
 */
import { grouped } from "./numbers.ts";

/** Values further from zero are not drawn, nearer ones are zero: no axis is readable that far, and no arithmetic overflows before. */
const LARGEST = 1e15;
const SMALLEST = 1e-15;
/** Values that span more than this factor stand on a logarithmic scale. */
const WIDE = 20;
/** Share of a logarithmic axis that keeps zero apart. */
const ZERO_SLOT = 0.12;
/** Ticks that an axis has room for. */
const MOST_TICKS = 6;

/** A tick. */
export interface Tick {
  /** 0 at the beginning of the axis, 1 at its end. */
  readonly at: number;
  readonly label: string;
}

/** An axis. */
export interface Scale {
  /** By rising place. */
  readonly ticks: readonly Tick[];
  /** Where the axis is broken between zero and the least logarithm; null where it is not. */
  readonly gap: number | null;
  /** Place of a value of those that the scale was made for, 0..1. */
  place(value: number): number;
}

/** Whether a value can be drawn. */
export function isDrawable(value: number): boolean {
  return Math.abs(value) <= LARGEST;
}

/** Where a scale of shares may end, and the step of its ticks. */
const SHARE_ENDS: readonly (readonly [number, number])[] = [[0.1, 0.025], [0.25, 0.05], [0.5, 0.1], [1, 0.25]]; // prettier-ignore

/** The scale of shares in per cent, from zero to 10, 25, 50 or 100 so that `greatest` has room. */
export function shareScale(greatest = 1): Scale {
  const [end, step] = SHARE_ENDS.find(([limit]) => limit >= greatest) ?? [1, 0.25];
  const count = Math.round(end / step);
  return {
    ticks: Array.from({ length: count + 1 }, (_, index) => ({ at: index / count, label: label(index * step * 100) })),
    gap: null,
    place: (share) => Math.max(0, Math.min(1, share / end)),
  };
}

/**
 * The scale that fits drawable values, at least one: linear, or logarithmic for positive ones of several magnitudes, and then with a place
 * for zero.
 */
export function scaleFor(values: readonly number[]): Scale {
  const positive = values.filter((value) => value > SMALLEST);
  const [least, greatest] = [Math.min(...positive), Math.max(...positive)];
  const nonNegative = values.every((value) => value > -SMALLEST);
  return nonNegative && positive.length > 0 && greatest / least > WIDE
    ? logarithmic(least, greatest, positive.length < values.length)
    : linear(Math.min(...values), Math.max(...values));
}

/** Source of the steps 1, 2, 5: Heckbert, "Nice numbers for graph labels", Graphics Gems, 1990. */
function linear(least: number, greatest: number): Scale {
  const size = Math.max(Math.abs(least), Math.abs(greatest));
  // As good as one value: the axis gets room around it.
  const room = size < SMALLEST ? 0.5 : greatest - least < size * 1e-6 ? size / 2 : 0;
  const from = least >= 0 ? Math.max(0, least - room) : least - room;
  const step = niceStep((greatest + room - from) / (MOST_TICKS - 1));
  const first = Math.floor(from / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil((greatest + room) / step - 1e-9));
  const count = last - first;
  return {
    ticks: Array.from({ length: count + 1 }, (_, index) => ({ at: index / count, label: label((first + index) * step) })),
    gap: null,
    place: (value) => Math.max(0, Math.min(1, (value / step - first) / count)),
  };
}

function niceStep(least: number): number {
  const magnitude = 10 ** Math.floor(Math.log10(least));
  return magnitude * ([1, 2, 5].find((each) => each * magnitude >= least * (1 - 1e-9)) ?? 10);
}

function logarithmic(least: number, greatest: number, zero: boolean): Scale {
  const [from, to] = [Math.log10(least), Math.log10(greatest)];
  const start = zero ? ZERO_SLOT : 0;
  const at = (value: number): number => start + (1 - start) * Math.max(0, Math.min(1, (Math.log10(value) - from) / (to - from)));
  const decades = Array.from({ length: Math.floor(to + 1e-9) - Math.ceil(from - 1e-9) + 1 }, (_, index) => Math.ceil(from - 1e-9) + index);
  const every = Math.ceil(decades.length / MOST_TICKS);
  const multiples = decades.length < 3 ? [1, 2, 5] : [1];
  const marks = [Math.floor(from), ...decades]
    .filter((decade, index, all) => all.indexOf(decade) === index && decade % every === 0)
    .flatMap((decade) => multiples.map((multiple) => multiple * 10 ** decade))
    .filter((mark) => mark >= least * (1 - 1e-9) && mark <= greatest * (1 + 1e-9));
  const ticks = marks.map((mark) => ({ at: at(mark), label: label(mark) }));
  return {
    ticks: zero ? [{ at: 0, label: "0" }, ...ticks] : ticks,
    gap: zero ? ZERO_SLOT / 2 : null,
    place: (value) => (value > SMALLEST ? at(value) : 0),
  };
}

const POWERS: readonly (readonly [number, string])[] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]; // prettier-ignore

/** A tick's value: `0.25`, `2,000`, `50k`, `1M`. */
function label(value: number): string {
  const size = Math.abs(value);
  for (const [power, letter] of POWERS) {
    const unit = letter === "k" ? 1000 : power;
    if (size >= power * (1 - 1e-9)) return `${Number((value / unit).toPrecision(12))}${letter}`;
  }
  return size >= 1000 ? grouped(value) : String(Number(value.toPrecision(12)));
}
