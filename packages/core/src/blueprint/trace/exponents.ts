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

/**
 * Σ |power| of one combination. A scale is a product of that many factors in [1/2, 2], and more would cost precision. What needs
 * more is set to 0, which bounds time and memory too (CWE-770): such graphs multiply one value again and again.
 */
const LIMIT = 16;

/** The general solution of a homogeneous system, but for what would pass the limit. */
export function solveExponents(unknowns: number, equations: readonly Equation[], limit = LIMIT): Combination[] {
  return solve(unknowns, equations, limit, (power) => (Math.abs(power) < TINY ? 0 : power));
}

/** The same over GF(2): which sign generators each unknown multiplies. Fractional powers force their unknowns to +1. */
export function solveSigns(unknowns: number, equations: readonly Equation[]): (readonly number[])[] {
  const whole = equations.flatMap((equation): readonly Equation[] =>
    equation.every(({ power }) => Number.isInteger(power)) ? [equation] : equation.map(({ unknown }) => [{ unknown, power: 1 }]),
  );
  return solve(unknowns, whole, LIMIT, (power) => Math.abs(power % 2)).map((terms) => terms.map(({ generator }) => generator));
}

type Row = Map<number, number>;

/**
 * Sparse elimination. Every row states its greatest unknown, the pivot, by lesser ones: what a graph computes follows from what came
 * before. Rows are brought to free unknowns only when they are used, and stay so, as in a union-find; so a chain of equations as
 * long as a graph costs no more than its length.
 *
 * @param settle the field's normal form of a number
 */
function solve(unknowns: number, equations: readonly Equation[], limit: number, settle: (power: number) => number): Combination[] {
  /** Pivot -> its row: x[pivot] = Σ power·x[other], all others less than the pivot. */
  const rows = new Map<number, Row>();
  const put = (row: Row, unknown: number, power: number): void => {
    const total = settle((row.get(unknown) ?? 0) + power);
    if (total === 0) row.delete(unknown);
    else row.set(unknown, total);
  };
  const pivotsIn = (row: Row): number[] => [...row.keys()].filter((unknown) => rows.has(unknown));
  const substitute = (row: Row, pivot: number): void => {
    const factor = row.get(pivot) ?? 0;
    row.delete(pivot);
    for (const [other, power] of rows.get(pivot)!) put(row, other, settle(factor * power));
  };
  /** Brings a row to free unknowns. A stack of its own: rows may lean on each other as deep as the graph is long (CWE-674). */
  const reduce = (row: Row): void => {
    const open = [row];
    while (open.length > 0) {
      const top = open.at(-1)!;
      const pivots = pivotsIn(top);
      const deeper = pivots.map((pivot) => rows.get(pivot)!).filter((each) => pivotsIn(each).length > 0);
      if (deeper.length > 0) {
        open.push(...deeper);
        continue;
      }
      for (const pivot of pivots) substitute(top, pivot);
      if ([...top.values()].reduce((sum, power) => sum + Math.abs(power), 0) > limit) {
        for (const unknown of top.keys()) rows.set(unknown, new Map());
        top.clear();
      }
      open.pop();
    }
  };
  for (const equation of equations) {
    const row: Row = new Map();
    for (const { unknown, power } of equation) put(row, unknown, power);
    reduce(row);
    if (row.size === 0) continue;
    const pivot = [...row.keys()].reduce((greatest, unknown) => Math.max(greatest, unknown));
    const divisor = row.get(pivot)!;
    row.delete(pivot);
    rows.set(pivot, new Map([...row].map(([other, power]) => [other, settle(-power / divisor)])));
  }
  const free = Array.from({ length: unknowns }, (_, i) => i).filter((i) => !rows.has(i));
  const generators = new Map(free.map((unknown, generator) => [unknown, generator]));
  return Array.from({ length: unknowns }, (_, unknown): Combination => {
    const row: Row = rows.get(unknown) ?? new Map([[unknown, 1]]);
    reduce(row);
    return [...row].map(([other, power]) => ({ generator: generators.get(other)!, power }));
  });
}
