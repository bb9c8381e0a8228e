/**
 * Recipes: how to derive the element of one axis from a key, as plain JSON. A recipe holds no secret; a host that reads
 * one learns which groups were used, which the public program tells it anyway.
 * @module
 */
import { Blocks } from "../algebra/blocks.ts";
import { wellConditioned } from "../algebra/dense.ts";
import { DirectSum } from "../algebra/direct-sum.ts";
import type { Element } from "../algebra/element.ts";
import { Monomial } from "../algebra/monomial.ts";
import { fixingOnes, structuredOrthogonal } from "../algebra/orthogonal.ts";
import { deriveRandom, permutation, type RandomStream } from "../algebra/random.ts";
import { Spread } from "../algebra/spread.ts";

/**
 * The linear part of a leaf: `none` moves nothing, `permutation` moves coordinates, `orthogonal` and `ones` (orthogonal, and fixing
 * the all-ones vector) rotate, `general` is any well-conditioned invertible map.
 */
export type LeafMap = "none" | "permutation" | "orthogonal" | "ones" | "general";

/** One leaf of a space: coordinates that no operation of the graph takes apart. */
export interface LeafRecipe {
  readonly kind: "leaf";
  /** Label of the key derivation. */
  readonly id: string;
  readonly size: number;
  readonly map: LeafMap;
  /** Apply the inverse transpose of the map; scales are given as they apply. */
  readonly dual: boolean;
  /** Factors of each coordinate, by its plain index: the product of generator^power, each log-uniform in [1/2, 2]. */
  readonly scales: readonly { readonly id: string; readonly power: number }[];
  /** Sign generators, multiplied. */
  readonly signs: readonly string[];
  /** Leaves whose plain index selects which map is taken: the maps inside one head differ from head to head. */
  readonly within: readonly string[];
}

/** How to derive the element of one axis from a key. */
export type Recipe =
  | LeafRecipe
  /** Row-major indices, outermost first. */
  | { readonly kind: "product"; readonly parts: readonly Recipe[] }
  /** Laid one behind the other. */
  | { readonly kind: "sum"; readonly parts: readonly Recipe[] };

/** Maps above this size are not stored as a matrix. */
const DENSE_SIZE = 128;

/** Plain indices of the leaves around. */
export type Around = ReadonlyMap<string, number>;

/** Number of coordinates of a recipe's axis. */
export function recipeSize(recipe: Recipe): number {
  if (recipe.kind === "leaf") return recipe.size;
  const sizes = recipe.parts.map(recipeSize);
  return recipe.kind === "sum" ? sizes.reduce((sum, size) => sum + size, 0) : sizes.reduce((product, size) => product * size, 1);
}

/** The leaves of a recipe, in order. */
export function recipeLeaves(recipe: Recipe): readonly LeafRecipe[] {
  return recipe.kind === "leaf" ? [recipe] : recipe.parts.flatMap(recipeLeaves);
}

/** Whether a leaf's element is the identity under every key. */
export function isIdentityLeaf(leaf: LeafRecipe): boolean {
  return (
    (leaf.map === "none" && leaf.scales.length === 0 && leaf.signs.length === 0) ||
    (leaf.size === 1 && leaf.scales.length + leaf.signs.length === 0 && leaf.map !== "general")
  );
}

/** Whether a recipe is the identity under every key. */
export function isIdentityRecipe(recipe: Recipe): boolean {
  return recipeLeaves(recipe).every(isIdentityLeaf);
}

/**
 * The element T of an axis, v -> v·T; null for the identity.
 *
 * @param around the plain indices of leaves on other axes that the recipe depends on
 */
export function elementOf(recipe: Recipe, secret: Uint8Array, around: Around = new Map()): Element | null {
  if (isIdentityRecipe(recipe)) return null;
  switch (recipe.kind) {
    case "leaf":
      return leafElement(recipe, secret, around);
    case "sum": {
      const parts = recipe.parts.map((part) => ({ size: recipeSize(part), element: elementOf(part, secret, around) }));
      return flatSum(parts) ?? new DirectSum(parts);
    }
    case "product":
      return productElement(recipe.parts, secret, around);
  }
}

function leafElement(leaf: LeafRecipe, secret: Uint8Array, around: Around): Element {
  const { size, map } = leaf;
  // The place inside each outer leaf is part of the label, so that every head has its own map.
  const place = leaf.within.map((id) => around.get(id) ?? 0).join(".");
  const label = (id: string): string => (place === "" ? id : `${id}[${place}]`);
  const random = deriveRandom(secret, label(leaf.id));
  if (map === "orthogonal") return structuredOrthogonal(random, size);
  if (map === "ones") return fixingOnes(random, size);
  if (map === "general") {
    if (size <= DENSE_SIZE) return denseElement(random, `${label(leaf.id)} ${size} ${leaf.dual}`, leaf, secret);
    const general = structuredOrthogonal(random, size)
      .compose(Monomial.scaled(random, size, { signs: true }))
      .compose(structuredOrthogonal(random, size));
    return leaf.dual ? general.inverseTranspose() : general;
  }
  const order = map === "permutation" ? permutation(random, size) : Monomial.identity(size).order;
  if (leaf.scales.length === 0 && leaf.signs.length === 0) return new Monomial(order);
  const factor = new Float64Array(size).fill(1);
  for (const { id, power } of leaf.scales) {
    const stream = deriveRandom(secret, label(id));
    for (let i = 0; i < size; i++) factor[i] = factor[i]! * 2 ** (power * (2 * stream.uniform() - 1));
  }
  for (const id of leaf.signs) {
    const stream = deriveRandom(secret, label(id));
    for (let i = 0; i < size; i++) factor[i] = factor[i]! * stream.sign();
  }
  return new Monomial(
    order,
    Float64Array.from(order, (i) => factor[i]!),
  );
}

/** Dense matrices that are kept: those of a few layers' heads, at 128 KiB each at most. */
const KEPT_MATRICES = 256;
/** By secret, then by label; the oldest first. Queries, keys, values, their biases and what reads them share matrices, which are dear. */
const matrices = new WeakMap<Uint8Array, Map<string, Element>>();

function denseElement(random: RandomStream, name: string, { size, dual }: LeafRecipe, secret: Uint8Array): Element {
  const kept = matrices.get(secret) ?? new Map<string, Element>();
  matrices.set(secret, kept);
  const known = kept.get(name);
  if (known) return known;
  const general = wellConditioned(random, size);
  const element = dual ? general.inverseTranspose() : general;
  if (kept.size >= KEPT_MATRICES) kept.delete(kept.keys().next().value as string);
  kept.set(name, element);
  return element;
}

/** Products in products are one product: an index of any of them may select a map inside. */
function factorsOf(recipe: Recipe): readonly Recipe[] {
  return recipe.kind === "product" ? recipe.parts.flatMap(factorsOf) : [recipe];
}

function productElement(parts: readonly Recipe[], secret: Uint8Array, around: Around): Element | null {
  const [first, ...rest] = parts.flatMap(factorsOf) as [Recipe, ...Recipe[]];
  if (rest.length === 0) return elementOf(first, secret, around);
  const innerSize = rest.reduce((product, part) => product * recipeSize(part), 1);
  const outer = elementOf(first, secret, around);
  const size = recipeSize(first);
  const identifiers = recipeLeaves(first).map(({ id }) => id);
  const dependent = rest.flatMap(recipeLeaves).some((leaf) => !isIdentityLeaf(leaf) && leaf.within.some((id) => identifiers.includes(id)));
  if (dependent && first.kind === "sum") {
    // [a | b] × c, row-major, is [a × c | b × c]: each place of c then lies in one leaf.
    const each = first.parts.map((part): Recipe => ({ kind: "product", parts: [part, ...rest] }));
    return elementOf({ kind: "sum", parts: each }, secret, around);
  }
  const inner = (index: number): Element | null =>
    productElement(rest, secret, dependent && first.kind === "leaf" ? new Map([...around, [first.id, index]]) : around);
  if (!dependent) {
    const same = inner(0);
    const spread = outer && new Spread(outer, innerSize);
    if (same === null) return spread && flatSpread(spread);
    if (outer === null || outer instanceof Monomial) return blocks(outer, size, innerSize, () => same);
    const each = new Blocks(
      Monomial.identity(size).order,
      Array.from({ length: size }, () => same),
    );
    return (spread as Spread).compose(each);
  }
  if (outer !== null && !(outer instanceof Monomial))
    throw new TypeError("recipe: maps that differ from block to block need blocks that stay whole.");
  return blocks(outer, size, innerSize, inner);
}

/** Result block j = scale[j] · (argument block order[j]) · inner(order[j]). */
function blocks(outer: Monomial | null, size: number, innerSize: number, inner: (index: number) => Element | null): Element {
  const order = outer?.order ?? Monomial.identity(size).order;
  const elements = Array.from(order, (index) => inner(index));
  const scaled = elements.map((element, j): Element => {
    const own = element ?? Monomial.identity(innerSize);
    const scale = outer?.scale?.[j] ?? 1;
    if (scale === 1) return own;
    return own.compose(new Monomial(Monomial.identity(innerSize).order, new Float64Array(innerSize).fill(scale)));
  });
  if (!scaled.every((element) => element instanceof Monomial)) return new Blocks(order, scaled);
  // Permutations of permutations are one permutation: bits can then be copied instead of computed.
  const flat = new Uint32Array(size * innerSize);
  const factor = new Float64Array(size * innerSize).fill(1);
  scaled.forEach((element, j) => {
    for (let i = 0; i < innerSize; i++) {
      flat[j * innerSize + i] = order[j]! * innerSize + element.order[i]!;
      factor[j * innerSize + i] = element.scale?.[i] ?? 1;
    }
  });
  return new Monomial(flat, factor.every((value) => value === 1) ? null : factor);
}

function flatSpread(spread: Spread): Element {
  if (!(spread.outer instanceof Monomial)) return spread;
  return blocks(spread.outer, spread.outer.size, spread.inner, () => null);
}

function flatSum(parts: readonly { size: number; element: Element | null }[]): Monomial | null {
  if (!parts.every(({ element }) => element === null || element instanceof Monomial)) return null;
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  const order = new Uint32Array(size);
  const factor = new Float64Array(size).fill(1);
  let start = 0;
  for (const part of parts) {
    const element = part.element as Monomial | null;
    for (let i = 0; i < part.size; i++) {
      order[start + i] = start + (element?.order[i] ?? i);
      factor[start + i] = element?.scale?.[i] ?? 1;
    }
    start += part.size;
  }
  return new Monomial(order, factor.every((value) => value === 1) ? null : factor);
}
