/**
 * Whether distances survive an element.
 * @module
 */
import type { Element } from "@unseen/core/algebra/element.ts";
import { RandomStream } from "@unseen/core/algebra/random.ts";

const PROBES = 8;
const TOLERANCE = 1e-9;

/**
 * Whether an element keeps the length of vectors, and with it every angle. Tried on random vectors: a map that keeps the length of
 * several of them and not of all exists, but has measure zero.
 */
export function isIsometric(element: Element | null): boolean {
  if (!element) return true;
  const { size } = element;
  const random = new RandomStream(new Uint8Array(32));
  const panel = Float64Array.from({ length: size * PROBES }, () => random.gaussian());
  const before = lengths(panel, size);
  element.apply(panel, PROBES);
  const after = lengths(panel, size);
  return before.every((length, probe) => Math.abs(after[probe]! / length - 1) < TOLERANCE);
}

/** The length of each of the panel's vectors. */
function lengths(panel: Float64Array, size: number): number[] {
  return Array.from({ length: PROBES }, (_, probe) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += panel[i * PROBES + probe]! ** 2;
    return Math.sqrt(sum);
  });
}
