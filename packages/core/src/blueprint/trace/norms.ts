/**
 * Gains that can be folded: where all that follows a normalisation are products with stored matrices, its gain and offset can
 * move into these, and the normalisation then commutes with rotations (literature: norm folding, QuaRot and SliceGPT).
 * @module
 */
import type { OnnxNode } from "../../checkpoint/onnx.ts";
import { Opaque, type Step } from "./operator.ts";
import type { Value } from "./value.ts";

/** A matrix that reads a normalised value along one of its axes. */
export interface Reader {
  readonly tensor: string;
  readonly axis: number;
}

/** A normalisation whose gain can be folded. */
export interface FoldableNorm {
  /** The node that applies the gain (a fused normalisation, or a product). */
  readonly gainNode: OnnxNode;
  /** The node that adds the offset, where it is a node of its own. */
  readonly offsetNode: OnnxNode | null;
  readonly gain: string;
  readonly offset: string | null;
  readonly readers: readonly Reader[];
}

/** What is asked of the graph. */
export interface NormContext {
  readonly steps: readonly Step[];
  readonly values: ReadonlyMap<string, Value>;
  readonly consumers: ReadonlyMap<string, readonly Step[]>;
  readonly outputs: ReadonlySet<string>;
  /** Values that come out of decomposed normalisations, before their gain. */
  readonly decomposed: ReadonlyMap<string, "layer" | "rms">;
}

interface Context extends NormContext {
  /** First output -> step. */
  readonly makers: ReadonlyMap<string, Step>;
}

const FUSED: Readonly<Record<string, "layer" | "rms">> = {
  LayerNormalization: "layer",
  SimplifiedLayerNormalization: "rms",
  RMSNormalization: "rms",
};

/** Every normalisation whose gain can move into the matrices behind it. */
export function foldableNorms(asked: NormContext): FoldableNorm[] {
  const context: Context = { ...asked, makers: new Map(asked.steps.map((step) => [step.node.outputs[0] as string, step])) };
  const candidates = context.steps.flatMap((step): FoldableNorm[] => {
    try {
      const found = fusedNorm(step, context) ?? decomposedNorm(step, context);
      return found ? [found] : [];
    } catch (error) {
      // Somewhere behind it stands an operator that is not followed.
      if (error instanceof Opaque) return [];
      throw error;
    }
  });
  // A matrix behind two normalisations, or read along both of its axes, could take only one gain.
  const readers = new Map<string, Set<FoldableNorm>>();
  for (const norm of candidates) for (const { tensor } of norm.readers) readers.set(tensor, (readers.get(tensor) ?? new Set()).add(norm));
  return candidates.filter(
    (norm) =>
      norm.readers.length > 0 &&
      norm.readers.every(
        ({ tensor, axis }) =>
          readers.get(tensor)!.size === 1 &&
          usesOf(tensor, context) === norm.readers.filter((other) => other.tensor === tensor && other.axis === axis).length,
      ),
  );
}

function usesOf(tensor: string, context: Context): number {
  return (
    (context.consumers.get(tensor) ?? []).reduce(
      // Inner graphs take what they need without naming it among the inputs.
      (count, { node }) => count + Math.max(1, node.inputs.filter((name) => name === tensor).length),
      0,
    ) + (context.outputs.has(tensor) ? 1 : 0)
  );
}

/** A stored vector over the last axis that nothing else uses. */
function vectorOf(name: string | undefined, size: number, context: Context): string | null {
  const value = name ? context.values.get(name) : undefined;
  if (!value || value.origin !== "parameter" || usesOf(value.name, context) !== 1) return null;
  const { shape } = value;
  return shape.at(-1) === size && shape.slice(0, -1).every((each) => each === 1) ? value.name : null;
}

function fusedNorm(step: Step, context: Context): FoldableNorm | null {
  const kind = step.node.domain === "" || step.node.domain === "com.microsoft" ? FUSED[step.node.operator] : undefined;
  const input = context.values.get(step.node.inputs[0] ?? "");
  if (!kind || !input?.axes || step.node.outputs.slice(1).some((name) => name !== "")) return null;
  const rank = input.axes.length;
  const axis = step.int("axis", -1);
  if (axis !== -1 && axis !== rank - 1) return null;
  const size = input.shape.at(-1) as number;
  const gain = vectorOf(step.node.inputs[1], size, context);
  const offsetName = step.node.inputs[2];
  const offset = offsetName ? vectorOf(offsetName, size, context) : null;
  if (!gain || (offsetName && (!offset || kind === "rms"))) return null;
  const readers = linearReaders(step.node.outputs[0] as string, rank - 1, context);
  return readers && { gainNode: step.node, offsetNode: null, gain, offset, readers };
}

/** [normalised value] · gain [+ offset], each a node. */
function decomposedNorm(step: Step, context: Context): FoldableNorm | null {
  if (step.node.operator !== "Mul" || step.node.domain !== "") return null;
  for (const [source, factor] of [step.node.inputs, step.node.inputs.toReversed()] as [string, string][]) {
    const kind = context.decomposed.get(source);
    const input = context.values.get(source);
    if (!kind || !input?.axes || usesOf(source, context) !== 1) continue;
    const size = input.shape.at(-1) as number;
    const gain = vectorOf(factor, size, context);
    if (!gain) continue;
    const product = step.node.outputs[0] as string;
    const axis = input.axes.length - 1;
    const direct = linearReaders(product, axis, context);
    if (direct) return { gainNode: step.node, offsetNode: null, gain, offset: null, readers: direct };
    const [addition, ...others] = context.consumers.get(product) ?? [];
    if (kind !== "layer" || !addition || others.length > 0 || addition.node.operator !== "Add" || context.outputs.has(product)) continue;
    const offset = vectorOf(
      addition.node.inputs.find((name) => name !== product),
      size,
      context,
    );
    const readers = offset && linearReaders(addition.node.outputs[0] as string, axis, context);
    if (readers) return { gainNode: step.node, offsetNode: addition.node, gain, offset, readers };
  }
  return null;
}

/** Nodes between a normalisation and the matrices that read it (CWE-674); real graphs have 5. */
const MAXIMUM_DEPTH = 64;

/**
 * The stored matrices that read a value along one axis, if nothing else reads it. Averages and choices of other axes may come
 * between: they keep an offset that is the same everywhere.
 */
function linearReaders(name: string, axis: number, context: Context, depth = 0): Reader[] | null {
  if (context.outputs.has(name) || depth > MAXIMUM_DEPTH) return null;
  const value = context.values.get(name);
  const size = value?.axes?.[axis]?.size;
  if (size === undefined) return null;
  const readers: Reader[] = [];
  for (const step of context.consumers.get(name) ?? []) {
    const found = readersThrough(step, name, axis, context, depth + 1);
    if (!found) return null;
    readers.push(...found);
  }
  return readers;
}

function readersThrough(step: Step, name: string, axis: number, context: Context, depth: number): Reader[] | null {
  const { node } = step;
  const input = context.values.get(name) as Value;
  const rank = input.axes!.length;
  const isLast = axis === rank - 1;
  const first = node.inputs[0] === name && !node.inputs.slice(1).includes(name);
  const follow = (to: number): Reader[] | null => {
    const all: Reader[] = [];
    for (const output of node.outputs) {
      if (output === "") continue;
      const found = linearReaders(output, to, context, depth);
      if (!found) return null;
      all.push(...found);
    }
    return all;
  };
  if (!first || (node.domain !== "" && node.operator !== "Attention")) return null;
  switch (node.operator) {
    case "Shape":
    case "Size":
      return [];
    case "Identity":
    case "Dropout":
      return follow(axis);
    case "MatMul":
      return isLast ? matrix(node.inputs[1], 0, context) : null;
    case "Gemm":
      return isLast && step.int("transA", 0) === 0 ? matrix(node.inputs[1], step.int("transB", 0) === 0 ? 0 : 1, context) : null;
    case "Attention":
      return isLast && node.domain === "com.microsoft" ? matrix(node.inputs[1], 0, context) : null;
    case "Reshape":
    case "Flatten": {
      const output = context.values.get(node.outputs[0] as string);
      const last = (output?.axes?.length ?? 0) - 1;
      return isLast && output?.axes?.[last]?.size === input.axes![axis]!.size ? follow(last) : null;
    }
    case "Squeeze":
    case "Unsqueeze": {
      // Only axes of one element come and go, and the normalised one has more.
      const output = context.values.get(node.outputs[0] as string);
      const same = (output?.axes ?? []).flatMap(({ root }, at) => (root === input.axes![axis]!.root ? [at] : []));
      return same.length === 1 ? follow(same[0] as number) : null;
    }
    case "Transpose": {
      const order = step.ints("perm");
      return order?.includes(axis) ? follow(order.indexOf(axis)) : null;
    }
    case "Slice": {
      const output = context.values.get(node.outputs[0] as string);
      return output?.axes?.[axis]?.root === input.axes![axis]!.root ? follow(axis) : null;
    }
    case "Gather": {
      const at = step.int("axis", 0);
      const picked = at < 0 ? at + rank : at;
      const extra = (context.values.get(node.inputs[1] ?? "")?.axes?.length ?? 0) - 1;
      if (picked === axis) return null;
      return follow(picked < axis ? axis + extra : axis);
    }
    case "ReduceMean": {
      const axes = step.wholeNumbers("axes", 1)?.map((each) => (each < 0 ? each + rank : each));
      if (!axes || axes.length === 0 || axes.includes(axis)) return null;
      return follow(step.int("keepdims", 1) !== 0 ? axis : axis - axes.filter((each) => each < axis).length);
    }
    default:
      return null;
  }
}

/** A stored matrix that is contracted along `axis`, possibly behind a transposition. */
function matrix(name: string | undefined, axis: number, context: Context): Reader[] | null {
  const value = name ? context.values.get(name) : undefined;
  if (!value?.axes || value.axes.length !== 2) return null;
  if (value.origin === "parameter") return [{ tensor: value.name, axis }];
  const source = context.makers.get(value.name);
  if (source?.node.operator !== "Transpose" || usesOf(value.name, context) !== 1) return null;
  const stored = context.values.get(source.node.inputs[0] as string);
  const order = source.ints("perm") ?? [1, 0];
  return stored?.origin === "parameter" && stored.axes?.length === 2 ? [{ tensor: stored.name, axis: order[axis] as number }] : null;
}
