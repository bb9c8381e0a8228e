/**
 * Homogeneous linear equations between the scales of one space: over the rationals for their logarithms, over GF(2) for signs.
 * @module
 */

/** Σ power·x[unknown] = 0. */
export type Equation = readonly { readonly unknown: number; readonly power: number }[];

/** One unknown as a combination of free generators; empty = always 0. */
export type Combination = readonly { readonly generator: number; readonly power: number }[];

/** Powers below this are rounding: all true ones are small dyadic fractions. */
const TINY = 1e-9;

/** The general solution of a homogeneous system, by sparse Gauss-Jordan elimination. */
export function solveExponents(unknowns: number, equations: readonly Equation[]): Combination[] {
  /** Pivot -> its row without the pivot: x[pivot] = Σ power·x[other]. */
  const rows = new Map<number, Map<number, number>>();
  /** Other -> pivots whose rows mention it. */
  const mentions = new Map<number, Set<number>>();
  const put = (row: Map<number, number>, pivot: number | null, unknown: number, power: number): void => {
    const total = (row.get(unknown) ?? 0) + power;
    if (Math.abs(total) < TINY) {
      row.delete(unknown);
      if (pivot !== null) mentions.get(unknown)?.delete(pivot);
      return;
    }
    row.set(unknown, total);
    if (pivot === null) return;
    const set = mentions.get(unknown) ?? new Set();
    set.add(pivot);
    mentions.set(unknown, set);
  };
  for (const equation of equations) {
    const row = new Map<number, number>();
    for (const { unknown, power } of equation) {
      const known = rows.get(unknown);
      if (known) for (const [other, factor] of known) put(row, null, other, power * factor);
      else put(row, null, unknown, power);
    }
    // The latest unknown becomes the dependent one: what a graph computes follows from what came before.
    const pivot = Math.max(...row.keys());
    if (row.size === 0) continue;
    const divisor = row.get(pivot)!;
    row.delete(pivot);
    const solved = new Map<number, number>();
    for (const [other, power] of row) put(solved, pivot, other, -power / divisor);
    for (const earlier of mentions.get(pivot) ?? []) {
      const dependent = rows.get(earlier)!;
      const factor = dependent.get(pivot)!;
      dependent.delete(pivot);
      for (const [other, power] of solved) put(dependent, earlier, other, factor * power);
    }
    mentions.delete(pivot);
    rows.set(pivot, solved);
  }
  const free = Array.from({ length: unknowns }, (_, i) => i).filter((i) => !rows.has(i));
  const generators = new Map(free.map((unknown, generator) => [unknown, generator]));
  return Array.from({ length: unknowns }, (_, unknown): Combination => {
    const row = rows.get(unknown) ?? new Map([[unknown, 1]]);
    return [...row].map(([other, power]) => ({ generator: generators.get(other)!, power }));
  });
}

/** The same over GF(2): which sign generators each unknown multiplies. Fractional powers force their unknowns to +1. */
export function solveSigns(unknowns: number, equations: readonly Equation[]): (readonly number[])[] {
  const rows = new Map<number, Set<number>>();
  const flip = (set: Set<number>, unknown: number): void => {
    if (!set.delete(unknown)) set.add(unknown);
  };
  const add = (unknownsOfRow: readonly number[]): void => {
    const row = new Set<number>();
    for (const unknown of unknownsOfRow) {
      const known = rows.get(unknown);
      if (known) for (const other of known) flip(row, other);
      else flip(row, unknown);
    }
    if (row.size === 0) return;
    const pivot = Math.max(...row);
    row.delete(pivot);
    for (const dependent of rows.values()) {
      if (!dependent.delete(pivot)) continue;
      for (const other of row) flip(dependent, other);
    }
    rows.set(pivot, row);
  };
  for (const equation of equations) {
    if (equation.some(({ power }) => !Number.isInteger(power))) for (const { unknown } of equation) add([unknown]);
    else add(equation.filter(({ power }) => Math.abs(power) % 2 === 1).map(({ unknown }) => unknown));
  }
  const free = Array.from({ length: unknowns }, (_, i) => i).filter((i) => !rows.has(i));
  const generators = new Map(free.map((unknown, generator) => [unknown, generator]));
  return Array.from({ length: unknowns }, (_, unknown) => [...(rows.get(unknown) ?? [unknown])].map((other) => generators.get(other)!));
}
