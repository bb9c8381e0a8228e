import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Element } from "../algebra/element.ts";
import { Monomial } from "../algebra/monomial.ts";
import {
  elementOf,
  isIdentityRecipe,
  recipeLeaves,
  recipeSize,
  type Around,
  type LeafMap,
  type LeafRecipe,
  type Recipe,
} from "./recipe.ts";

const SECRET = new Uint8Array(32).map((_, i) => i * 5 + 1);

/** T of v -> v·T, row-major: row i is the image of unit vector i. */
type Matrix = number[][];

function identity(size: number): Matrix {
  return Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => Number(i === j)));
}

function matrixOf(element: Element | null, size: number): Matrix {
  if (element === null) return identity(size);
  assert.equal(element.size, size);
  return identity(size).map((row) => {
    const vector = Float64Array.from(row);
    element.apply(vector, 1);
    return [...vector];
  });
}

function multiply(a: Matrix, b: Matrix): Matrix {
  return a.map((row) => b[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));
}

function transpose(a: Matrix): Matrix {
  return a[0]!.map((_, j) => a.map((row) => row[j]!));
}

function near(a: Matrix, b: Matrix): void {
  a.forEach((row, i) => row.forEach((value, j) => assert.ok(Math.abs(value - b[i]![j]!) < 1e-9, `(${i}, ${j}): ${value} and ${b[i]![j]}`)));
}

/**
 * The same from the definition: a product's matrix at ((a, b), (c, d)) is outer(a, c)·inner of a(b, d), where the plain outer index a
 * selects the inner map; a sum's is block-diagonal.
 */
function expected(recipe: Recipe, around: Around = new Map()): Matrix {
  if (recipe.kind === "leaf") return matrixOf(elementOf(recipe, SECRET, around), recipe.size);
  if (recipe.kind === "sum") {
    const size = recipeSize(recipe);
    const result = identity(size).map((row) => row.map(() => 0));
    let start = 0;
    for (const part of recipe.parts) {
      expected(part, around).forEach((row, i) => row.forEach((value, j) => (result[start + i]![start + j] = value)));
      start += recipeSize(part);
    }
    return result;
  }
  const [first, ...rest] = recipe.parts as [Recipe, ...Recipe[]];
  if (rest.length === 0) return expected(first, around);
  const inner = { kind: "product", parts: rest } as const;
  const width = recipeSize(inner);
  const outer = expected(first, around);
  return outer.flatMap((row, a) => {
    const own = expected(inner, new Map([...around, ...placesIn(first, a)]));
    return own.map((ownRow) => row.flatMap((value) => ownRow.slice(0, width).map((each) => value * each)));
  });
}

/** The plain index of each leaf at one coordinate of an axis. */
function placesIn(recipe: Recipe, index: number): (readonly [string, number])[] {
  if (recipe.kind === "leaf") return [[recipe.id, index]];
  if (recipe.kind === "sum") {
    let start = 0;
    for (const part of recipe.parts) {
      if (index < start + recipeSize(part)) return placesIn(part, index - start);
      start += recipeSize(part);
    }
    return [];
  }
  const [first, ...rest] = recipe.parts as [Recipe, ...Recipe[]];
  const width = rest.reduce((product, part) => product * recipeSize(part), 1);
  return [
    ...placesIn(first, Math.floor(index / width)),
    ...(rest.length > 0 ? placesIn({ kind: "product", parts: rest }, index % width) : []),
  ];
}

let count = 0;
function leaf(map: LeafMap, size: number, extra: Partial<LeafRecipe> = {}): LeafRecipe {
  return { kind: "leaf", id: `leaf.${count++}`, size, map, dual: false, scales: [], signs: [], within: [], ...extra };
}

const isMonomial = ({ map }: LeafRecipe): boolean => map === "none" || map === "permutation";

const leafRecipe = fc
  .record({
    map: fc.constantFrom("none" as const, "permutation" as const, "orthogonal" as const, "ones" as const, "general" as const),
    size: fc.integer({ min: 1, max: 4 }),
    dual: fc.boolean(),
    power: fc.constantFrom(0, 1, -1, 2, 0.5),
    sign: fc.boolean(),
  })
  .map(({ map, size, dual, power, sign }) => {
    const own = leaf(map, map === "ones" ? size + 1 : size);
    if (!isMonomial(own)) return { ...own, dual: dual && map === "general" };
    return { ...own, scales: power === 0 ? [] : [{ id: `${own.id}.scale`, power }], signs: sign ? [`${own.id}.sign`] : [] };
  });

/** Products and sums, whose inner leaves may depend on outer ones that stay whole. */
const tree = fc.letrec<{ recipe: Recipe }>((tie) => ({
  recipe: fc.oneof(
    { maxDepth: 2 },
    leafRecipe,
    fc.array(tie("recipe"), { minLength: 1, maxLength: 3 }).map((parts) => ({ kind: "product" as const, parts })),
    fc.array(tie("recipe"), { minLength: 1, maxLength: 3 }).map((parts) => ({ kind: "sum" as const, parts })),
  ),
})).recipe;

/** Lets leaves depend on monomial leaves that stand before them in a product. */
function withDependence(recipe: Recipe, before: readonly LeafRecipe[], choose: (count: number) => number): Recipe {
  if (recipe.kind === "leaf") {
    const outer = before.filter((each) => isMonomial(each) && each.size > 1);
    const picked = choose(outer.length + 1);
    return picked === 0 ? recipe : { ...recipe, within: [outer[picked - 1]!.id] };
  }
  if (recipe.kind === "sum") return { ...recipe, parts: recipe.parts.map((part) => withDependence(part, before, choose)) };
  let seen = before;
  return {
    ...recipe,
    parts: recipe.parts.map((part) => {
      const own = withDependence(part, seen, choose);
      seen = [...seen, ...recipeLeaves(own)];
      return own;
    }),
  };
}

const recipe = fc
  .record({ tree, choices: fc.array(fc.nat(), { minLength: 40, maxLength: 40 }) })
  .map(({ tree: plain, choices }) => {
    let next = 0;
    return withDependence(plain, [], (options) => choices[next++ % choices.length]! % options);
  })
  .filter((each) => recipeSize(each) <= 48);

test("elements are what products, sums and dependent maps mean", () => {
  fc.assert(
    fc.property(recipe, (each) => near(matrixOf(elementOf(each, SECRET), recipeSize(each)), expected(each))),
    { numRuns: 400 },
  );
});

test("elements are invertible, and what is read undoes what is written", () => {
  fc.assert(
    fc.property(recipe, (each) => {
      const size = recipeSize(each);
      const element = elementOf(each, SECRET);
      if (!element) return;
      const matrix = matrixOf(element, size);
      near(multiply(matrix, matrixOf(element.inverse(), size)), identity(size));
      // (x·T)·(T^-T)^T = x
      near(multiply(matrix, transpose(matrixOf(element.inverseTranspose(), size))), identity(size));
    }),
    { numRuns: 200 },
  );
});

test("only what says so is the identity", () => {
  fc.assert(
    fc.property(recipe, (each) => {
      assert.equal(elementOf(each, SECRET) === null, isIdentityRecipe(each));
      if (isIdentityRecipe(each)) assert.ok(recipeLeaves(each).every(({ map, size }) => map === "none" || size === 1));
    }),
  );
});

test("a dual leaf is the inverse transpose of its partner; powers and signs multiply", () => {
  const general = leaf("general", 6);
  near(
    multiply(matrixOf(elementOf(general, SECRET), 6), transpose(matrixOf(elementOf({ ...general, dual: true }, SECRET), 6))),
    identity(6),
  );
  const scaled = leaf("permutation", 6, { scales: [{ id: "s", power: 2 }], signs: ["a", "b"] });
  const inverse = { ...scaled, scales: [{ id: "s", power: -2 }], signs: ["b", "a"] };
  const product = multiply(matrixOf(elementOf(scaled, SECRET), 6), transpose(matrixOf(elementOf(inverse, SECRET), 6)));
  near(product, identity(6));
  const twice = leaf("none", 3, { signs: ["a", "a"] });
  near(matrixOf(elementOf(twice, SECRET), 3), identity(3));
});

test("each kind of map keeps what it must", () => {
  for (const size of [2, 3, 6, 12, 130]) {
    const orthogonal = matrixOf(elementOf(leaf("orthogonal", size), SECRET), size);
    near(multiply(orthogonal, transpose(orthogonal)), identity(size));
    const ones = matrixOf(elementOf(leaf("ones", size), SECRET), size);
    near(multiply(ones, transpose(ones)), identity(size));
    near(multiply([Array.from({ length: size }, () => 1)], ones), [Array.from({ length: size }, () => 1)]);
    const general = elementOf(leaf("general", size), SECRET)!;
    near(multiply(matrixOf(general, size), matrixOf(general.inverse(), size)), identity(size));
  }
});

test("a product of permutations is one permutation, so that bits can be copied", () => {
  const heads = leaf("permutation", 3);
  const inside = leaf("permutation", 4, { within: [heads.id] });
  const element = elementOf(
    { kind: "sum", parts: [{ kind: "product", parts: [heads, inside, leaf("none", 2)] }, leaf("permutation", 5)] },
    SECRET,
  );
  assert.ok(element instanceof Monomial);
  assert.equal(element.scale, null);
});

test("a rotation of the outer index is spread over the inner one", () => {
  const spread = { kind: "product", parts: [leaf("orthogonal", 6), leaf("none", 4)] } as const;
  near(matrixOf(elementOf(spread, SECRET), 24), expected(spread));
  const both = { kind: "product", parts: [leaf("orthogonal", 6), leaf("general", 4)] } as const;
  near(matrixOf(elementOf(both, SECRET), 24), expected(both));
});

test("maps that differ from block to block need blocks that stay whole", () => {
  const outer = leaf("orthogonal", 3);
  const mixed = { kind: "product", parts: [outer, leaf("general", 2, { within: [outer.id] })] } as const;
  assert.throws(() => elementOf(mixed, SECRET), TypeError);
});

test("other keys and other labels give other elements, the same ones the same", () => {
  const one = leaf("permutation", 20);
  const order = (each: Recipe, secret = SECRET): string => (elementOf(each, secret) as Monomial).order.join();
  assert.equal(order(one), order({ ...one }));
  assert.notEqual(order(one), order({ ...one, id: "another" }));
  assert.notEqual(order(one), order(one, new Uint8Array(32).fill(9)));
  const inside: Recipe = { ...one, within: ["head"] };
  const at = (place: number): string => (elementOf(inside, SECRET, new Map([["head", place]])) as Monomial).order.join();
  assert.notEqual(at(0), at(1));
});
