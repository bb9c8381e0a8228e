/**
 * Traces a model as it will be encrypted: cut, untied, and at two sizes, of which nothing may depend.
 * @module
 */
import { openOnnx, type OnnxModel } from "../../checkpoint/onnx.ts";
import { UnseenError } from "../../errors.ts";
import type { Pooling, Task } from "../interface.ts";
import { isIdentityRecipe, recipeLeaves, type Recipe } from "../recipe.ts";
import { cutModel, type InputMode } from "./cut.ts";
import { taskOf } from "./ends.ts";
import { isSealed } from "./metadata.ts";
import { axisRecipe, planOf, type TracePlan } from "./plan.ts";
import { orderedInputs, requireOrder } from "./secret-order.ts";
import { probeSizes, SIZE_FAMILIES } from "./sizes.ts";
import { Space } from "./space.ts";
import { traceGraph, type Trace } from "./trace.ts";
import { untie, type Untied } from "./untie.ts";

/** What a model is for, where its file does not say. */
export interface Usage {
  readonly task?: Task | undefined;
  readonly pooling?: Pooling | null | undefined;
  readonly maximumLength?: number | null | undefined;
}

export interface OnnxOptions extends Usage {
  /** How pictures enter; default `clear`. */
  readonly input?: InputMode | undefined;
  /** Tokens of every sequence, which the client then sends in secret order; for encoders. Default: as they stand. */
  readonly secretOrder?: number | undefined;
  /** Sizes of named dimensions that the tracer should assume. */
  readonly dimensions?: ReadonlyMap<string, number> | undefined;
}

/** A traced model and what is done to it. */
export interface Traced {
  /** The part that the host computes. */
  readonly model: OnnxModel;
  readonly stem: Uint8Array | null;
  readonly trace: Trace;
  readonly plan: TracePlan;
  /** Copies of tensors with two roles: name of the copy -> name of the tensor. */
  readonly aliases: ReadonlyMap<string, string>;
  /** How sizes of open dimensions were chosen. */
  readonly family: number;
}

/** Opens a model that is not encrypted. Throws `USAGE` for one that is. */
export async function openPlain(path: string): Promise<OnnxModel> {
  const model = await openOnnx(path);
  if (!isSealed(model)) return model;
  throw new UnseenError("USAGE", `${path} is encrypted already.`, { hint: "Start from the plain model." });
}

/** Traces a model and makes sure that nothing depends on the sizes of open dimensions. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function traceModel(whole: OnnxModel, options: OnnxOptions, permuteOnly: boolean): Traced {
  const cut = options.input === undefined || options.input === "clear" ? null : cutModel(whole, options.input);
  const model = cut?.host ?? whole;
  const ordered = options.secretOrder === undefined ? null : orderedInputs(model.graph.inputs, options.secretOrder);
  const isometric = (): boolean => taskOf(model, options) === "embedding";
  const entering = (input: string, axis: number, size: number): Space | null => {
    // What the client computes itself it may also transform, all but the order of the batch.
    if (cut?.frontier.includes(input)) return axis > 0 ? Space.leaf(size) : null;
    // The first token keeps its place: poolers look for it there.
    if (ordered?.names.has(input) && axis === 1) return Space.sum([Space.frozen(1, "the first token"), Space.leaf(size - 1)]);
    return null;
  };
  const inputs = ordered?.infos ?? model.graph.inputs;
  const isOpen = inputs.some(({ shape }) => shape?.some((size) => typeof size !== "number"));
  const run = (probe: 0 | 1 | 2, { graph, aliases }: Untied, fixed: ReadonlySet<string>, family: number): Traced => {
    const trace = traceGraph(
      { ...model, graph: { ...graph, inputs } },
      {
        sizes: probeSizes(probe, options.dimensions, family),
        permuteOnly,
        isometric,
        entering: (input, axis, size) => (fixed.has(`${axis}:${input}`) ? null : entering(input, axis, size)),
        fixed: (tensor, axis) => fixed.has(`${axis}:${tensor}`),
      },
    );
    return { model, stem: cut?.stem ?? null, trace, plan: planOf(trace), aliases, family };
  };
  const settled = (traced: Traced): Traced => {
    requireOrder(traced.trace, ordered?.names);
    return traced;
  };
  const settle = (form: Untied): Traced => {
    const fixed = new Set<string>();
    const family = isOpen ? bestFamily((each) => run(0, form, fixed, each).trace.notes.length) : 0;
    for (let round = 0; round < MAXIMUM_ROUNDS; round++) {
      const first = run(0, form, fixed, family);
      if (!isOpen) return settled(first);
      const second = run(1, form, fixed, family);
      const unlike = unlikeAxes(first, second);
      if (unlike.length === 0 && JSON.stringify(essence(first)) === JSON.stringify(essence(second))) {
        const large = run(2, form, fixed, family);
        // Beyond the tokens or pixels that a model has positions for, tracing fails, which says nothing about those it takes.
        if (JSON.stringify(large.trace.notes) === JSON.stringify(first.trace.notes)) unlike.push(...unlikeAxes(first, large));
        if (unlike.length === 0) return settled(first);
      }
      for (const axis of unlike) fixed.add(axis);
      if (unlike.length === 0) break;
    }
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", "what can be transformed in this graph depends on the sizes of its inputs.", {
      hint: "Export the model with fixed sizes, or name them: --dimension NAME=SIZE.",
    });
  };
  const asIs: Untied = { graph: model.graph, aliases: new Map() };
  const untied = permuteOnly ? asIs : untie(model.graph);
  if (untied.aliases.size === 0) return settle(asIs);
  const result = settle(untied);
  // A second copy of a table is worth its place only where it sets rotations free.
  return result.trace.folded.length > 0 ? result : settle(asIs);
}

/** The way to choose sizes that leaves the fewest operators which cannot be followed. Throws what tracing throws where none is taken. */
function bestFamily(notesOf: (family: number) => number): number {
  let best = 0;
  let fewest = Infinity;
  let refusal: unknown = null;
  for (let family = 0; family < SIZE_FAMILIES && fewest > 0; family++) {
    try {
      const notes = notesOf(family);
      if (notes < fewest) [best, fewest] = [family, notes];
    } catch (error) {
      if (!UnseenError.isInstance(error)) throw error;
      refusal ??= error;
    }
  }
  if (fewest === Infinity) throw refusal;
  return best;
}

/** Rounds in which axes are found that only some sizes leave free. */
const MAXIMUM_ROUNDS = 8;

/**
 * Axes on which two runs would do different things: of stored tensors, such as the rows of a table that only long inputs reach; and of
 * inputs and outputs, such as tokens and channels in one axis, whose map would have as many sizes as there are requests.
 */
function unlikeAxes(first: Traced, second: Traced): string[] {
  const others = new Map(second.plan.tensors.map((tensor) => [tensor.name, tensor]));
  const tensors = first.plan.tensors.flatMap(({ name, axes }) =>
    axes.flatMap((recipe, axis) => {
      const other = others.get(name)?.axes[axis];
      return other && JSON.stringify(kindsOf(recipe)) === JSON.stringify(kindsOf(other)) ? [] : [`${axis}:${name}`];
    }),
  );
  const { inputs, outputs } = first.trace.model.graph;
  const ends = [...inputs, ...outputs].flatMap(({ name }) => {
    const others = second.trace.values.get(name)?.axes ?? [];
    return (first.trace.values.get(name)?.places ?? []).flatMap((place) =>
      place.space.size === others[place.axis]?.size || isIdentityRecipe(axisRecipe(first.trace, place)) ? [] : [`${place.axis}:${name}`],
    );
  });
  return [...tensors, ...ends];
}

/** What acts on an axis, without the labels. */
function kindsOf(recipe: Recipe): unknown {
  return recipeLeaves(recipe)
    .filter((leaf) => !isIdentityRecipe(leaf))
    .map(({ size, map, scales, signs, within }) => [size, map, scales.map(({ power }) => power), signs.length, within.length]);
}

/** All that a key acts on, without the sizes of what stays as it is. */
function essence({ trace, plan }: { trace: Trace; plan: TracePlan }): unknown {
  const acts = (recipe: Recipe): unknown => recipeLeaves(recipe).filter((leaf) => !isIdentityRecipe(leaf));
  return [
    plan.tensors.map(({ name, axes, folds }) => [name, axes.map(acts), folds.map(({ kind }) => kind)]),
    plan.changes,
    [...plan.ids],
    trace.model.graph.outputs.map(({ name }) => trace.values.get(name)?.places.map((place) => acts(axisRecipe(trace, place)))),
  ];
}
