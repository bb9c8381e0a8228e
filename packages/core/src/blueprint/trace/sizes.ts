/**
 * Sizes for the dimensions that a graph leaves open. The tracer works on concrete shapes; it does so twice with
 * unlike sizes, and what it finds must not depend on them.
 * @module
 */
import type { OnnxValueInfo } from "../../checkpoint/onnx.ts";

/** Chooses a size for a dimension: by name, or by place where it has none. */
export type Sizes = (info: OnnxValueInfo, axis: number) => number;

/** Unlike primes, so that a reshape has one reading only; small, so that position tables are long enough. */
const PROBES = [
  { batch: 3, other: [7, 5, 11, 13] },
  { batch: 2, other: [11, 13, 7, 5] },
] as const;
/** Pictures of open size: divisible by what networks divide by. */
const PICTURE = [64, 96] as const;

/** The size choices of one of the two runs; `fixed` overrides by name. */
export function probeSizes(run: 0 | 1, fixed: ReadonlyMap<string, number> = new Map()): Sizes {
  const named = new Map<string, number>();
  const probe = PROBES[run];
  return (info, axis) => {
    const given = info.shape?.[axis];
    if (typeof given === "number") return given;
    const name = given ?? `${info.name}.${axis}`;
    const known = fixed.get(name) ?? named.get(name);
    if (known !== undefined) return known;
    const isPicture = info.type?.startsWith("float") === true && info.shape?.length === 4 && axis >= 1;
    // An exporter that names nothing means the batch by the first axis.
    const isBatch = axis === 0 && (given === null || given === undefined || /batch|^n$/i.test(name));
    const size = isBatch ? probe.batch : isPicture ? PICTURE[run] : (probe.other[(named.size % probe.other.length) as 0] as number);
    if (!isBatch || given) named.set(name, size);
    return size;
  };
}
