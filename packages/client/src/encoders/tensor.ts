/**
 * Tensors between client and host, and what a key does to them: one element along each axis.
 * @module
 */
import { elementOf, recipeSize, type Recipe } from "@unseen/core/blueprint/recipe.ts";
import type { Element } from "@unseen/core/algebra/element.ts";
import { UnseenError } from "@unseen/core/errors.ts";

/** Numbers in row-major order. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

/** Coordinates of one axis (CWE-789): a bundle may not make its reader derive gigabytes. */
const MAXIMUM_AXIS = 1 << 24;

/** The number of values that a shape holds. */
export function volume(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The elements of one key along the axes of one end of a model; derived when first needed. */
export class AxisElements {
  readonly #name: string;
  readonly #recipes: readonly (Recipe | null)[];
  readonly #secret: Uint8Array;
  readonly #elements = new Map<number, { readonly forward: Element | null; readonly inverse: Element | null }>();

  /**
   * @param name - Of the input or output, for messages.
   * @param recipes - One per axis, the batch first; null = as it is.
   */
  constructor(name: string, recipes: readonly (Recipe | null)[], secret: Uint8Array) {
    this.#name = name;
    this.#recipes = recipes;
    this.#secret = secret;
    if (recipes[0]) throw invalid(name, "no recipe along the batch", "one");
  }

  /** Number of axes. */
  get rank(): number {
    return this.#recipes.length;
  }

  /** Coordinates of an axis, where its recipe says so. */
  size(axis: number): number | null {
    const recipe = this.#recipes[axis];
    return recipe ? recipeSize(recipe) : null;
  }

  /** Whether a tensor has this end's axes. */
  fits(shape: readonly number[]): boolean {
    return shape.length === this.rank && shape.every((size, axis) => (this.size(axis) ?? size) === size);
  }

  /** Plain to encrypted, in place. @throws UnseenError BUNDLE_INVALID where the recipes do not fit the shape. */
  encipher(tensor: Tensor): void {
    this.#apply(tensor, "forward");
  }

  /** Encrypted to plain, in place. @throws UnseenError BUNDLE_INVALID where the recipes do not fit the shape. */
  decipher(tensor: Tensor): void {
    this.#apply(tensor, "inverse");
  }

  /** What happens along one axis; null for the identity. @throws UnseenError BUNDLE_INVALID */
  inverse(axis: number): Element | null {
    return this.#elementsOf(axis).inverse;
  }

  /** Vectors along one axis, deciphered; all of one length. @throws UnseenError BUNDLE_INVALID */
  decipherRows(rows: readonly Float64Array[], axis: number): Float64Array[] {
    const element = this.inverse(axis);
    const width = rows[0]?.length ?? 0;
    if (!element || rows.length === 0) return [...rows];
    if (element.size !== width) throw invalid(this.#name, `${width} coordinates along axis ${axis}`, "another number");
    const values = new Float64Array(rows.length * width);
    rows.forEach((row, place) => values.set(row, place * width));
    applyAlong(element, values, width, 1);
    return rows.map((_, place) => values.subarray(place * width, (place + 1) * width));
  }

  #apply({ shape, values }: Tensor, direction: "forward" | "inverse"): void {
    if (shape.length !== this.rank) throw invalid(this.#name, `${shape.length} axes`, `${this.rank}`);
    for (const [axis, size] of shape.entries()) {
      if (!this.#recipes[axis]) continue;
      if (this.size(axis) !== size) throw invalid(this.#name, `${size} coordinates along axis ${axis}`, "another number");
      const element = this.#elementsOf(axis)[direction];
      if (element) applyAlong(element, values, size, volume(shape.slice(axis + 1)));
    }
  }

  #elementsOf(axis: number): { readonly forward: Element | null; readonly inverse: Element | null } {
    let pair = this.#elements.get(axis);
    if (!pair) {
      const recipe = this.#recipes[axis] ?? null;
      if (recipe && recipeSize(recipe) > MAXIMUM_AXIS) throw invalid(this.#name, `at most ${MAXIMUM_AXIS} coordinates`, "more");
      pair = this.#derive(recipe);
      this.#elements.set(axis, pair);
    }
    return pair;
  }

  #derive(recipe: Recipe | null): { readonly forward: Element | null; readonly inverse: Element | null } {
    try {
      const forward = recipe && elementOf(recipe, this.#secret);
      return { forward, inverse: forward?.inverse() ?? null };
    } catch (cause) {
      throw invalid(this.#name, "a recipe that makes sense", "another", cause);
    }
  }
}

/** Applies an element to every vector of `size` numbers that lie `inner` apart. In place. */
export function applyAlong(element: Element, values: Float64Array, size: number, inner: number): void {
  const outer = values.length / (size * inner);
  if (inner > 1) {
    // (size, inner) is a panel as it lies.
    for (let block = 0; block < outer; block++) element.apply(values.subarray(block * size * inner, (block + 1) * size * inner), inner);
    return;
  }
  // The vectors are rows: one transposed panel (size, outer) instead of `outer` thin ones.
  const panel = new Float64Array(values.length);
  for (let row = 0; row < outer; row++) for (let i = 0; i < size; i++) panel[i * outer + row] = values[row * size + i]!;
  element.apply(panel, outer);
  for (let row = 0; row < outer; row++) for (let i = 0; i < size; i++) values[row * size + i] = panel[i * outer + row]!;
}

function invalid(name: string, expected: string, got: string, cause?: unknown): UnseenError {
  return new UnseenError("BUNDLE_INVALID", `interface.json: ${JSON.stringify(name)}: expected ${expected}, got ${got}.`, {
    hint: "Encrypt the model again, or restore the bundle from a backup.",
    cause,
  });
}
