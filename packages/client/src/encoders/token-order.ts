/**
 * The secret order in which the tokens of every sequence are sent: one permutation under the key, which the model's table of
 * positions undoes. Attention itself does not care where a token stands (arXiv 2304.07735).
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { ClientInterface } from "@unseen/core/blueprint/interface.ts";
import { elementOf, recipeSize, type Recipe } from "@unseen/core/blueprint/recipe.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { volume, type Tensor } from "./tensor.ts";

/** Tokens of one sequence (CWE-789): a bundle may not make its reader send gigabytes. */
const MAXIMUM_LENGTH = 1 << 20;

/** What is sent of one sequence. */
export interface OrderedSequence {
  readonly ids: readonly number[];
  /** 1 where a token of the text stands, 0 where the sequence was filled up. */
  readonly mask: readonly number[];
  readonly segments: readonly number[] | null;
}

/** Fills sequences up to a fixed length and puts them into the order of one key. */
export class TokenOrder {
  /** Tokens of every sequence. */
  readonly length: number;
  readonly #recipe: Recipe;
  /** Which plain place each place of the sent sequence shows. */
  readonly #places: Uint32Array;

  private constructor(recipe: Recipe, places: Uint32Array) {
    this.length = places.length;
    this.#recipe = recipe;
    this.#places = places;
  }

  /**
   * The order that a model asks for; null where tokens are sent as they stand.
   * @throws UnseenError BUNDLE_INVALID where the interface is at odds with itself, or would send another thing than tokens in order.
   */
  static of({ inputs, outputs, fixedLength, pooling }: ClientInterface, secret: Uint8Array): TokenOrder | null {
    const perToken = inputs.filter((input) => input.kind !== "tensor" && input.kind !== "peaks");
    const recipes = perToken.map(({ order }) => order);
    const [recipe] = recipes;
    if (fixedLength === null) {
      if (recipes.some((each) => each !== undefined)) throw invalid("fixedLength", "a number beside a secret order", "none");
      return null;
    }
    if (fixedLength > MAXIMUM_LENGTH) throw invalid("fixedLength", `at most ${MAXIMUM_LENGTH} tokens`, "more");
    if (perToken.length !== inputs.length || outputs.length === 0) throw invalid("fixedLength", "a model of tokens alone", "another");
    if (!inputs.some(({ kind }) => kind === "mask")) throw invalid("inputs", "a mask, which filled-up texts need", "none");
    // One order for all, or the mask would hide other tokens than those that fill up.
    if (!recipe || !recipes.every((each) => isDeepStrictEqual(each, recipe)))
      throw invalid("inputs", "the same secret order in all of them", "several");
    if (recipeSize(recipe) !== fixedLength) throw invalid("inputs", `an order of ${fixedLength} tokens`, "another length");
    const places = placesOf(recipe, fixedLength, secret);
    if (pooling === "cls" && places[0] !== 0) throw invalid("inputs", "an order that keeps the first token", "another");
    return new TokenOrder(recipe, places);
  }

  /** @param padding - The plain or cipher id to fill up with: the mask hides it. */
  send(
    { ids, segments }: { readonly ids: readonly number[]; readonly segments: readonly number[] | null },
    padding: number,
  ): OrderedSequence {
    const arrange = (values: readonly number[], fill: number): number[] => Array.from(this.#places, (place) => values[place] ?? fill);
    return {
      ids: arrange(ids, padding),
      mask: Array.from(this.#places, (place) => Number(place < ids.length)),
      segments: segments && arrange(segments, 0),
    };
  }

  /** Whether an axis counts tokens. */
  runsAlong(recipe: Recipe | null): boolean {
    return recipe !== null && isDeepStrictEqual(recipe, this.#recipe);
  }
}

/** The first `length` entries along the given axes. */
export function cutAlong({ shape, values }: Tensor, axes: readonly number[], length: number): Tensor {
  return axes.reduce(
    (tensor, axis) => {
      const size = tensor.shape[axis] as number;
      if (size <= length) return tensor;
      const inner = volume(tensor.shape.slice(axis + 1));
      const outer = tensor.values.length / (size * inner);
      const kept = new Float64Array(outer * length * inner);
      for (let i = 0; i < outer; i++) kept.set(tensor.values.subarray(i * size * inner, (i * size + length) * inner), i * length * inner);
      return { shape: tensor.shape.with(axis, length), values: kept };
    },
    { shape, values } as Tensor,
  );
}

/** The element as a list of places. Anything but a permutation would make other ids of ids, without a word. */
function placesOf(recipe: Recipe, length: number, secret: Uint8Array): Uint32Array {
  const panel = Float64Array.from({ length }, (_, place) => place);
  try {
    elementOf(recipe, secret)?.apply(panel, 1);
  } catch (cause) {
    throw invalid("inputs", "an order that makes sense", "another", cause);
  }
  const isPermutation = panel.every((place) => Number.isInteger(place) && place >= 0 && place < length) && new Set(panel).size === length;
  if (!isPermutation) throw invalid("inputs", "an order that only moves tokens", "another");
  return Uint32Array.from(panel);
}

function invalid(field: string, expected: string, got: string, cause?: unknown): UnseenError {
  return new UnseenError("BUNDLE_INVALID", `interface.json: ${field}: expected ${expected}, got ${got}.`, {
    hint: "Encrypt the model again, or restore the bundle from a backup.",
    cause,
  });
}
