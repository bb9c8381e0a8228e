import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { solveExponents, solveSigns, type Equation } from "./exponents.ts";

const UNKNOWNS = 6;
const system = fc.array(
  fc.array(fc.record({ unknown: fc.nat(UNKNOWNS - 1), power: fc.constantFrom(-2, -1, -0.5, 0.5, 1, 2, 3) }), {
    minLength: 1,
    maxLength: 4,
  }),
  { maxLength: 6 },
);

/** Rank of a matrix, by elimination with partial pivoting. */
function rank(rows: number[][]): number {
  const left = rows.map((row) => [...row]);
  let found = 0;
  for (let column = 0; column < UNKNOWNS && found < left.length; column++) {
    const best = left.slice(found).reduce((at, row, i) => (Math.abs(row[column]!) > Math.abs(left[at]![column]!) ? i + found : at), found);
    if (Math.abs(left[best]![column]!) < 1e-9) continue;
    [left[found], left[best]] = [left[best]!, left[found]!];
    for (let i = found + 1; i < left.length; i++) {
      const factor = left[i]![column]! / left[found]![column]!;
      left[i] = left[i]!.map((value, j) => value - factor * left[found]![j]!);
    }
    found++;
  }
  return found;
}

function coefficients(equations: readonly Equation[]): number[][] {
  return equations.map((equation) => {
    const row = Array.from({ length: UNKNOWNS }, () => 0);
    for (const { unknown, power } of equation) row[unknown]! += power;
    return row;
  });
}

/** The number of generators that a solution uses. */
function dimension(generators: readonly number[]): number {
  const used = new Set(generators);
  assert.deepEqual(
    [...used].toSorted((a, b) => a - b),
    Array.from({ length: used.size }, (_, i) => i),
  );
  return used.size;
}

test("scales solve every equation and leave as many free as there can be", () => {
  fc.assert(
    fc.property(
      system,
      fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: UNKNOWNS, maxLength: UNKNOWNS }),
      (equations, free) => {
        const solution = solveExponents(UNKNOWNS, equations, Infinity);
        assert.equal(solution.length, UNKNOWNS);
        const values = solution.map((terms) => terms.reduce((sum, { generator, power }) => sum + power * free[generator]!, 0));
        for (const equation of equations) {
          const sum = equation.reduce((total, { unknown, power }) => total + power * values[unknown]!, 0);
          assert.ok(Math.abs(sum) < 1e-6, `the equation gives ${sum}`);
        }
        const generators = solution.flatMap((terms) => terms.map(({ generator }) => generator));
        assert.equal(dimension(generators), UNKNOWNS - rank(coefficients(equations)));
      },
    ),
    { numRuns: 2000 },
  );
});

test("signs solve every equation and leave as many free as there can be", () => {
  fc.assert(
    fc.property(system, (equations) => {
      const solution = solveSigns(UNKNOWNS, equations);
      const count = dimension(solution.flat());
      // Brute force: every choice of signs that satisfies the equations, where a fractional power allows none but +1.
      const isAllowed = (negative: number): boolean =>
        equations.every((equation) =>
          equation.some(({ power }) => !Number.isInteger(power))
            ? equation.every(({ unknown }) => ((negative >> unknown) & 1) === 0)
            : equation.reduce((sum, { unknown, power }) => sum + power * ((negative >> unknown) & 1), 0) % 2 === 0,
        );
      const allowed = new Set(Array.from({ length: 2 ** UNKNOWNS }, (_, i) => i).filter(isAllowed));
      const reached = new Set(
        Array.from({ length: 2 ** count }, (_, chosen) =>
          solution.reduce((bits, generators, unknown) => {
            const negative = generators.filter((generator) => ((chosen >> generator) & 1) === 1).length % 2;
            return bits | (negative << unknown);
          }, 0),
        ),
      );
      assert.deepEqual(
        [...reached].toSorted((a, b) => a - b),
        [...allowed].toSorted((a, b) => a - b),
      );
    }),
    { numRuns: 2000 },
  );
});

test("a long chain of equations is solved in time proportional to its length", () => {
  const length = 20_000;
  const chain = Array.from({ length: length - 1 }, (_, i): Equation => [
    { unknown: i, power: 1 },
    { unknown: i + 1, power: -1 },
  ]);
  for (const equations of [chain, chain.toReversed()]) {
    const started = performance.now();
    assert.ok(solveExponents(length, equations).every((terms) => terms.length === 1 && terms[0]!.power === 1));
    assert.ok(solveSigns(length, equations).every((generators) => generators.length === 1));
    assert.ok(performance.now() - started < 3000, `${performance.now() - started} ms`);
  }
});

test("what would need too many factors is set to 0, in bounded time", () => {
  const length = 20_000;
  // x[i + 1] = 2·x[i]
  const doubled = Array.from({ length: length - 1 }, (_, i): Equation => [
    { unknown: i, power: 2 },
    { unknown: i + 1, power: -1 },
  ]);
  // x[2i + 2] = x[2i] + x[2i + 1]
  const sums = Array.from({ length: length / 2 - 1 }, (_, i): Equation =>
    [0, 1, 2].map((j) => ({ unknown: 2 * i + j, power: j === 2 ? -1 : 1 })),
  );
  for (const equations of [doubled, sums]) {
    const solution = solveExponents(length, equations);
    for (const terms of solution) assert.ok(terms.reduce((sum, { power }) => sum + Math.abs(power), 0) <= 16);
    const values = solution.map((terms) => terms.reduce((sum, { generator, power }) => sum + power * Math.sin(generator + 1), 0));
    for (const equation of equations)
      assert.ok(Math.abs(equation.reduce((sum, { unknown, power }) => sum + power * values[unknown]!, 0)) < 1e-9);
  }
  assert.ok(solveExponents(length, sums).some((terms) => terms.length > 0));
});
