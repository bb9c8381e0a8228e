/**
 * What the tracer found in a model, for people: spaces, groups, what is protected, what is not, and why.
 * @module
 */
import type { OnnxModel } from "../../checkpoint/onnx.ts";
import { clearTexts, type ClearTexts } from "./clear-texts.ts";
import { isIdentityLeaf, isIdentityRecipe, recipeLeaves, type LeafRecipe, type Recipe } from "../recipe.ts";
import type { ClientInput, Task } from "../interface.ts";
import { interfacesOf } from "./ends.ts";
import { traceModel, type OnnxOptions } from "./trace-model.ts";
import type { TraceNote } from "./trace.ts";

/** A space and the group that a key draws from. */
export interface SpaceReport {
  readonly id: string;
  readonly size: number;
  readonly group: string;
  /** The map differs with the index of these spaces. */
  readonly within: readonly string[];
  /** Stored tensors that have an axis in it. */
  readonly tensors: number;
}

/** A stored tensor. */
export interface TensorReport {
  readonly name: string;
  readonly shape: readonly number[];
  /** Per axis: the spaces that it is made of, or why it is fixed. */
  readonly axes: readonly ({ readonly spaces: readonly string[] } | { readonly fixed: string })[];
  readonly isProtected: boolean;
}

/** What the tracer found. */
export interface Inspection {
  readonly parameters: number;
  /** Share of the parameters that a key acts on, 0..1. */
  readonly protectedShare: number;
  readonly task: Task;
  readonly spaces: readonly SpaceReport[];
  readonly tensors: readonly TensorReport[];
  /** How each input and output crosses the boundary: the groups that act on it, or `clear`. */
  readonly inputs: readonly { readonly name: string; readonly protection: string }[];
  readonly outputs: readonly { readonly name: string; readonly protection: string }[];
  /** Share of inputs and outputs with content that are protected; masks, positions and token types have none. */
  readonly boundary: { readonly inputs: boolean; readonly outputs: boolean };
  /** Operators that could not be followed. */
  readonly notes: readonly TraceNote[];
  /** Operators whose texts stay in clear. */
  readonly texts: readonly ClearTexts[];
}

/** Traces a model and describes the outcome. Throws what tracing throws. */
export function inspectOnnx(model: OnnxModel, options: OnnxOptions = {}, permuteOnly = false): Inspection {
  const traced = traceModel(model, options, permuteOnly);
  const { trace, plan } = traced;
  const spaces = new Map<string, { leaf: LeafRecipe; groups: Set<string>; tensors: Set<string> }>();
  const tensors = plan.tensors.map(({ name, tensor, axes, isProtected, folds }): TensorReport => {
    const value = trace.values.get(name);
    for (const leaf of axes.flatMap(recipeLeaves)) {
      if (isIdentityLeaf(leaf)) continue;
      const known = spaces.get(leaf.id) ?? { leaf, groups: new Set(), tensors: new Set() };
      known.groups.add(groupName(leaf));
      known.tensors.add(name);
      spaces.set(leaf.id, known);
    }
    return {
      name,
      shape: tensor.shape,
      axes: axes.map((recipe, axis) => {
        const acting = recipeLeaves(recipe).filter((leaf) => !isIdentityLeaf(leaf));
        if (acting.length > 0) return { spaces: [...new Set(acting.map(({ id }) => id))] };
        if (folds.some(({ kind }) => kind === "ones")) return { fixed: "folded into the matrices behind it" };
        if (tensor.shape[axis] === 1) return { fixed: "a single coordinate" };
        return { fixed: value?.axes?.[axis]?.frozen ?? "an operator takes each of these coordinates by its place" };
      }),
      isProtected,
    };
  });
  const { publicInterface, clientInterface } = interfacesOf(traced, options);
  const count = (list: readonly { tensor: { shape: readonly number[] } }[]): number =>
    list.reduce((sum, { tensor }) => sum + tensor.shape.reduce((product, size) => product * size, 1), 0);
  const parameters = count(plan.tensors);
  const inputs = clientInterface.inputs.map((end) => ({
    name: end.name,
    protection: protectionOf(end),
  }));
  const outputs = clientInterface.outputs.map(({ name, axes }) => ({ name, protection: groupsOf(axes) }));
  return {
    parameters,
    protectedShare: parameters === 0 ? 0 : count(plan.tensors.filter(({ isProtected }) => isProtected)) / parameters,
    task: publicInterface.task,
    spaces: [...spaces].map(([id, { leaf, groups, tensors: named }]) => ({
      id,
      size: leaf.size,
      group: [...groups].toSorted((a, b) => b.length - a.length)[0] as string,
      within: leaf.within,
      tensors: named.size,
    })),
    tensors,
    inputs,
    outputs,
    boundary: {
      inputs: inputs.every(({ protection }) => protection !== "clear"),
      outputs: outputs.every(({ protection }) => protection !== "clear"),
    },
    notes: trace.notes,
    texts: clearTexts(traced.model.graph),
  };
}

/** The group that acts on a leaf, in the field's terms. */
export function groupName(leaf: LeafRecipe): string {
  const scales = leaf.scales.length > 0 ? (leaf.signs.length > 0 ? "scales" : "positive scales") : leaf.signs.length > 0 ? "signs" : "";
  switch (leaf.map) {
    case "general":
      return "general linear";
    case "orthogonal":
      return "orthogonal";
    case "ones":
      return "orthogonal fixing the all-ones vector";
    case "permutation":
      return scales ? `permutations x ${scales}` : "permutations";
    case "none":
      return scales || "identity";
  }
}

/** How an input crosses the boundary. */
function protectionOf(end: ClientInput): string {
  if (end.kind === "tensor") return groupsOf(end.axes);
  if (end.kind === "peaks") return "clear (the place of the highest id)";
  const order = end.order && !isIdentityRecipe(end.order) ? "secret order" : null;
  if (end.kind === "ids" && end.label === null) return order ?? "clear";
  if (end.kind === "ids") return order ? `permutation of the ids, ${order}` : "permutation of the ids";
  return order ?? "clear (no content)";
}

function groupsOf(axes: readonly (Recipe | null)[]): string {
  const acting = axes.flatMap((recipe) =>
    recipe && !isIdentityRecipe(recipe) ? recipeLeaves(recipe).filter((leaf) => !isIdentityLeaf(leaf)) : [],
  );
  return acting.length === 0 ? "clear" : [...new Set(acting.map(groupName))].join(", ");
}
