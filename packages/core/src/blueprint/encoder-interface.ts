/**
 * The ends of an encoder that was encrypted by its family's table, as its owner's bundle keeps them.
 * @module
 */
import type { Head } from "./encoder.ts";
import type { EncoderBlueprint } from "./family.ts";
import type { ClientInput, ClientInterface, ImagePreprocessing, Pooling } from "./interface.ts";
import type { ModelOutput } from "./output.ts";
import type { Recipe } from "./recipe.ts";
import type { Strength } from "./spaces.ts";

/** What lies beside the weights and says how the model is used. */
export interface EncoderUsage {
  readonly labels: readonly string[] | null;
  readonly pooling: Pooling | null;
  /** Made for vectors that are compared, whatever its head. */
  readonly embeds: boolean;
  readonly normalise: boolean;
  /** Tokens, where it is less than the model has positions. */
  readonly maximumLength: number | null;
  readonly image: ImagePreprocessing | null;
}

/** A bundle's interface, with inputs and outputs named as `transformers` names them. */
export function encoderInterface(
  { architecture, vocabulary }: EncoderBlueprint,
  outputs: readonly ModelOutput[],
  strength: Strength,
  usage: EncoderUsage,
): ClientInterface {
  const { towers, head, maximumPositions } = architecture;
  const text = towers.find(({ input }) => input.kind === "tokens")?.input;
  const inputs: ClientInput[] = [];
  if (vocabulary) {
    inputs.push({ name: "input_ids", kind: "ids", label: vocabulary.id, size: vocabulary.size }, { name: "attention_mask", kind: "mask" });
    if (text?.kind === "tokens" && text.types > 0) inputs.push({ name: "token_type_ids", kind: "segments" });
  }
  // (batch, channels, height, width)
  if (towers.some(({ input }) => input.kind === "patches"))
    inputs.push({ name: "pixel_values", kind: "tensor", axes: [null, null, null, null] });
  return {
    inputs,
    outputs: divideOutputs(outputs, head, strength).recipes,
    stem: null,
    task: usage.embeds || head === "none" || head === "projection" ? "embedding" : head === "masked" ? "other" : "classification",
    pooling: usage.pooling,
    fixedLength: null,
    normalise: usage.normalise,
    maximumLength: text ? Math.min(maximumPositions, usage.maximumLength ?? maximumPositions) : null,
    labels: usage.labels,
    image: usage.image,
  };
}

/** A model's outputs: those that a recipe per axis undoes, and those that take more, such as the gain of a folded norm. Each is in one of the two. */
export function divideOutputs(
  outputs: readonly ModelOutput[],
  head: Head,
  strength: Strength,
): { readonly recipes: ClientInterface["outputs"]; readonly others: readonly ModelOutput[] } {
  const divided = outputs.map((output) => ({ output, recipe: recipeOf(output, strength) }));
  return {
    recipes: divided.flatMap(({ output: { name }, recipe }) =>
      recipe ? [{ name, axes: [...Array<null>(outputRank(name, head) - 1).fill(null), recipe] }] : [],
    ),
    others: divided.flatMap(({ output, recipe }) => (recipe ? [] : [output])),
  };
}

/** The recipe whose element is that of the output's space; null where there is none, or where it does not tell all. */
function recipeOf({ space, norm }: ModelOutput, strength: Strength): Recipe | null {
  const { id, size, group } = space;
  if (norm) return null;
  if (group.kind === "recipe") return group[strength];
  if (group.kind !== "permutation" || (group.fixed ?? []).length > 0) return null;
  return { kind: "leaf", id, size, map: "permutation", dual: false, scales: [], signs: [], within: [] };
}

/** Axes of an output: one vector for each input, or for each of its positions. */
function outputRank(name: string, head: Head): 2 | 3 {
  const perPosition = name === "last_hidden_state" || (name === "logits" && (head === "token-classes" || head === "masked"));
  return perPosition ? 3 : 2;
}
