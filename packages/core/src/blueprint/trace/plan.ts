/**
 * From a trace to a plan: what happens to every stored tensor, which nodes change, and what the client does at the ends.
 * @module
 */
import { freeName } from "./untie.ts";
import type { OnnxNode, OnnxTensor, OnnxType } from "../../checkpoint/onnx.ts";
import { elementOf, isIdentityRecipe, recipeSize, type Recipe } from "../recipe.ts";
import { Monomial } from "../../algebra/monomial.ts";
import type { AxisPlace } from "./laws.ts";
import type { Trace } from "./trace.ts";
import type { Tree } from "./tree.ts";
import type { IdSpace, Value } from "./value.ts";

/** What happens to one stored tensor. */
export interface TensorPlan {
  readonly name: string;
  readonly tensor: OnnxTensor;
  /** One per axis. */
  readonly axes: readonly Recipe[];
  /** Steps before the elements act. */
  readonly folds: readonly Fold[];
  /** Nothing changes. */
  readonly isIdentity: boolean;
  /** Something of a key acts on it. */
  readonly isProtected: boolean;
}

/** A change that depends on other stored tensors. */
export type Fold =
  /** Every number becomes 1. */
  | { readonly kind: "ones" }
  /** Rows or columns times a normalisation's gain; and, for its offset, (column·offset)/n added to every coordinate. */
  | { readonly kind: "gain"; readonly axis: number; readonly gain: OnnxTensor; readonly offset: OnnxTensor | null }
  /** Times √(1 + ε)/√(variance + ε): the variance that becomes 1 elsewhere. */
  | { readonly kind: "variance"; readonly variance: OnnxTensor; readonly epsilon: number };

/** A change of the graph's nodes, by index. */
export type NodeChange =
  /** Ids are compared with a constant, which moves along. `input`: which of the node's inputs is the constant. */
  | {
      readonly kind: "comparison";
      readonly index: number;
      readonly ids: string;
      readonly input: number;
      readonly plainId: number;
      /** Of the constant, which may be spread over a sequence. */
      readonly shape: readonly number[];
      readonly type: OnnxType;
    }
  /** The place of the highest id, which no longer shows: the client says it, by a new input. */
  | {
      readonly kind: "peak";
      readonly index: number;
      readonly ids: string;
      readonly name: string;
      /** (batch) */
      readonly shape: readonly (number | string)[];
      /** The graph asks for (batch, 1). */
      readonly keeps: boolean;
    };

export interface TracePlan {
  readonly tensors: readonly TensorPlan[];
  readonly changes: readonly NodeChange[];
  /** Token-id inputs whose ids are permuted: label of the permutation and number of ids. */
  readonly ids: ReadonlyMap<string, { readonly label: string; readonly size: number }>;
}

/** The recipe of an axis. */
export function axisRecipe(trace: Trace, place: AxisPlace): Recipe {
  const leaves = trace.groups.leaves(place);
  let next = 0;
  const build = (tree: Tree): Recipe => {
    if (tree.kind !== "leaf") return { kind: tree.kind, parts: tree.parts.map(build) };
    const { recipe } = leaves[next++]!;
    if (!recipe) return identityRecipe(tree.size);
    return { kind: "leaf", size: tree.size, ...recipe };
  };
  return build(trace.groups.tree(place.space));
}

function identityRecipe(size: number): Recipe {
  return { kind: "leaf", id: "", size, map: "none", dual: false, scales: [], signs: [], within: [] };
}

/** What is done to every stored tensor, and to the graph. */
export function planOf(trace: Trace): TracePlan {
  const folds = new Map<string, Fold[]>();
  const fold = (name: string, ...steps: Fold[]): void => void folds.set(name, [...(folds.get(name) ?? []), ...steps]);
  const parameter = (name: string): OnnxTensor => trace.parameters.get(name) as OnnxTensor;
  for (const { gain, offset, readers } of trace.folded) {
    fold(gain, { kind: "ones" });
    if (offset) fold(offset, { kind: "ones" });
    for (const { tensor, axis } of readers)
      fold(tensor, { kind: "gain", axis, gain: parameter(gain), offset: offset ? parameter(offset) : null });
  }
  for (const step of trace.batchNorms) {
    const [, gain, , , variance] = step.node.inputs as [string, string, string, string, string];
    if (![1, 0].some((i) => hasScales(trace, (i === 1 ? step.output() : step.input(0)).axis(1)))) continue;
    fold(gain, { kind: "variance", variance: parameter(variance), epsilon: step.number("epsilon") ?? 1e-5 });
    fold(variance, { kind: "ones" });
  }
  const folded = new Set(trace.folded.flatMap(({ gain, offset }) => [gain, offset]));
  const tensors = [...trace.parameters].map(([name, tensor]): TensorPlan => {
    const value = trace.values.get(name) as Value;
    // A folded gain is all ones now, which every key leaves alone.
    const axes = folded.has(name) ? tensor.shape.map(identityRecipe) : value.places.map((place) => axisRecipe(trace, place));
    const own = folds.get(name) ?? [];
    const isProtected = folded.has(name) || axes.some((recipe) => !isIdentityRecipe(recipe));
    return { name, tensor, axes, folds: own, isIdentity: own.length === 0 && !isProtected, isProtected };
  });
  return { tensors, ...idPlan(trace) };
}

function hasScales(trace: Trace, place: AxisPlace): boolean {
  return trace.groups.leaves(place).some(({ recipe }) => recipe !== null && recipe.scales.length > 0);
}

function idPlan(trace: Trace): Pick<TracePlan, "changes" | "ids"> {
  const ids = new Map<string, { label: string; size: number }>();
  const changes: NodeChange[] = [];
  const steps = new Map(trace.steps.map((step) => [step.index, step]));
  for (const [input, space] of trace.ids) {
    const label = labelOf(trace, space);
    if (!label || !space.space) continue;
    const { size } = space.space;
    ids.set(input, { label, size });
    for (const { node, input: at } of space.comparisons) {
      const step = steps.get(node)!;
      const constant = step.input(at);
      changes.push({
        kind: "comparison",
        index: node,
        input: at,
        ids: input,
        plainId: constant.uniform as number,
        shape: constant.shape,
        type: constant.known!.type,
      });
    }
    for (const node of space.peaks) {
      const step = steps.get(node)!;
      const batch = trace.model.graph.inputs.find(({ name }) => name === input)?.shape?.[0] ?? "batch";
      const keeps = step.int("keepdims", 1) !== 0;
      changes.push({ kind: "peak", index: node, ids: input, name: freeName(trace.model.graph, `${input}_peak`), shape: [batch], keeps });
    }
  }
  return { changes, ids };
}

/** The label of the permutation of an id space, or null where ids stay as they are. */
function labelOf(trace: Trace, { space, exposed }: IdSpace): string | null {
  if (!space || exposed !== null) return null;
  for (const value of trace.values.values()) {
    const place = value.places.find((each) => each.space.root === space.root);
    const leaf = place && trace.groups.leaves(place)[0]?.recipe;
    if (leaf) return leaf.map === "permutation" ? leaf.id : null;
  }
  return null;
}

/** Where plain id `id` goes under a key. */
export function cipherId(secret: Uint8Array, { label, size }: { readonly label: string; readonly size: number }, id: number): number {
  const element = elementOf({ kind: "leaf", id: label, size, map: "permutation", dual: false, scales: [], signs: [], within: [] }, secret);
  if (id < 0 || id >= size) return id; // an id that no table has can be compared with, too
  return element instanceof Monomial ? (element.target()[id] as number) : id;
}

/** The nodes that take the place of a changed one, and the constants they read. */
export function changedNodes(node: OnnxNode, change: NodeChange, constantName: string): OnnxNode[] {
  if (change.kind === "comparison") return [{ ...node, inputs: node.inputs.map((name, i) => (i === change.input ? constantName : name)) }];
  // (batch) flattened from axis 1 on is (batch, 1).
  const operator = change.keeps ? "Flatten" : "Identity";
  return [{ name: node.name, operator, domain: "", inputs: [change.name], outputs: node.outputs, attributes: new Map() }];
}

/** The number of coordinates along all axes but the first. */
export function columnsOf(axes: readonly Recipe[]): number {
  return axes.slice(1).reduce((product, recipe) => product * recipeSize(recipe), 1);
}
