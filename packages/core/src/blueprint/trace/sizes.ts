/**
 * Sizes for the dimensions that a graph leaves open. The tracer works on concrete shapes; it does so twice with
 * unlike sizes (and once more with large ones, where the graph takes them), and what it finds must not depend on them.
 * @module
 */
import type { OnnxValueInfo } from "../../checkpoint/onnx.ts";

/** Chooses a size for a dimension: by name, or by place where it has none. */
export type Sizes = (info: OnnxValueInfo, axis: number) => number;

/**
 * Unlike primes, so that a reshape has one reading only; small, so that position tables are long enough. The last sizes are large,
 * for what small ones do not show: a table of which one row stands for many tokens.
 */
const PROBES: readonly Probe[] = [
  { batch: 3, other: [7, 5, 11, 13] },
  { batch: 2, other: [11, 13, 7, 5] },
  { batch: 5, other: [67, 61, 73, 71] },
];

interface Probe {
  readonly batch: number;
  readonly other: readonly number[];
}

/**
 * Other ways to choose, for graphs that do not take these: one size for each place, because exporters give the same dimension another
 * name in every input; and sizes that sounds and windows of attention ask for.
 */
const FAMILIES: readonly { readonly byPlace: boolean; readonly probes: readonly Probe[] }[] = [
  { byPlace: false, probes: PROBES },
  { byPlace: true, probes: PROBES },
  ...[
    [64, 96, 160],
    [512, 1024, 1536],
    [16384, 24576, 40960],
  ].map((sizes) => ({
    byPlace: true,
    probes: PROBES.map(({ batch }, run) => ({ batch, other: [sizes[run] as number] })),
  })),
];
/** How many ways there are to choose sizes. */
export const SIZE_FAMILIES = FAMILIES.length;
/** Pictures of open size: divisible by what networks divide by. */
const PICTURE = [64, 96, 160] as const;

/** The size choices of one of the runs; `fixed` overrides by name; `family`: in which of the ways to choose. */
export function probeSizes(run: 0 | 1 | 2, fixed: ReadonlyMap<string, number> = new Map(), family = 0): Sizes {
  const named = new Map<string, number>();
  const { byPlace, probes } = FAMILIES[family]!;
  const probe = probes[run]!;
  return (info, axis) => {
    const given = info.shape?.[axis];
    if (typeof given === "number") return given;
    const name = given ?? `${info.name}.${axis}`;
    const known = fixed.get(name) ?? named.get(name);
    if (known !== undefined) return known;
    const isPicture = info.type?.startsWith("float") === true && info.shape?.length === 4 && axis >= 1;
    // An exporter that names nothing means the batch by the first axis.
    const isBatch = axis === 0 && (byPlace || given === null || given === undefined || /batch|^n$/i.test(name));
    const place = byPlace ? axis - 1 : named.size;
    const size = isBatch ? probe.batch : isPicture ? PICTURE[run] : (probe.other[place % probe.other.length] as number);
    if (!isBatch || given) named.set(name, size);
    return size;
  };
}
