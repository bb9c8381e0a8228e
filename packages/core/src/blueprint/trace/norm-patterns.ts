/**
 * Finds normalisations that an exporter wrote out as single operations: RMSNorm (1910.07467), x / sqrt(mean(x^2) + epsilon), and
 * LayerNorm (1607.06450), the same of x - mean(x).
 *
 * A normalisation as a whole commutes with rotations, of which its single operations know nothing; so the tracer must see it whole.
 * @module
 */
import type { OnnxGraph, OnnxNode } from "../../checkpoint/onnx.ts";
import { GraphIndex, type KnownConstant } from "./graph-index.ts";

/** A normalisation without gain and offset. */
export interface NormPattern {
  readonly kind: "layer" | "rms";
  /** The value that is normalised. */
  readonly input: string;
  /** The normalised value, before any gain. */
  readonly output: string;
  /** The axes of the mean as the graph gives them, so negative ones count from the last. */
  readonly axes: readonly number[];
  /** All nodes between input and output; nothing else sees what they make. */
  readonly nodes: readonly OnnxNode[];
  readonly epsilon: number;
}

/** A part of a pattern: the value it starts from, and its nodes. */
interface Part {
  readonly from: string;
  readonly nodes: readonly OnnxNode[];
}

interface Mean extends Part {
  readonly axes: readonly number[];
}

/**
 * The decomposed normalisations of a graph, in the order of their last nodes. Casts between floating-point types may lie between.
 *
 * @param knownConstant the content of a value that is known without running the model: exponents, epsilons, axes
 */
export function findNorms(graph: OnnxGraph, knownConstant: KnownConstant): NormPattern[] {
  const index = new GraphIndex(graph, knownConstant);
  return graph.nodes.flatMap((node) => normEndingAt(node, index) ?? []);
}

function normEndingAt(node: OnnxNode, index: GraphIndex): NormPattern | null {
  const output = node.outputs[0];
  if (output === undefined || output === "" || index.maker(output, "Mul", "Div") !== node) return null;
  const [a, b] = node.inputs as [string, string];
  // x · (1 / root) in either order, or x / root.
  const readings: [string, Part | null][] = [];
  if (node.operator === "Div") readings.push([a, squareRoot(b, index)]);
  else readings.push([a, inverseRoot(b, index)], [b, inverseRoot(a, index)]);
  for (const [factor, root] of readings) {
    const deviation = root && meanSquare(root.from, index);
    if (root && deviation) return wholeNorm(node, factor, root, deviation, index);
  }
  return null;
}

/** The pattern where the factor is what was squared: that or, where it is a centred value that nothing else sees, of a LayerNorm. */
function wholeNorm(node: OnnxNode, factor: string, root: Part, deviation: Deviation, index: GraphIndex): NormPattern | null {
  const output = node.outputs[0]!;
  const { axes, epsilon } = deviation;
  const common = [...deviation.nodes, ...root.nodes, node];
  const input = sameValue(factor, deviation.from, index);
  const [left, right] = [centred(factor, axes, index), centred(deviation.from, axes, index)];
  const origin = left && right && sameValue(left.from, right.from, index);
  if (origin) {
    const nodes = new Set([...left.nodes, ...right.nodes, ...common]);
    if (index.isClosed(nodes, output)) return { kind: "layer", input: origin, output, axes, nodes: [...nodes], epsilon };
  }
  if (!input || !index.isClosed(new Set(common), output)) return null;
  return { kind: "rms", input, output, axes, nodes: common, epsilon };
}

/** The name under which two values are the same but for casts; null where they are not. */
function sameValue(a: string, b: string, index: GraphIndex): string | null {
  if (a === b) return a;
  const origin = index.uncast(a).name;
  return origin === index.uncast(b).name ? origin : null;
}

/** 1 / sqrt(from): Reciprocal or a division of 1 by a root, or the power -1/2. */
function inverseRoot(name: string, index: GraphIndex): Part | null {
  const { name: inner, casts } = index.uncast(name);
  const node = index.maker(inner, "Reciprocal", "Div", "Pow");
  if (node === null) return null;
  if (node.operator === "Pow") {
    return index.number(node.inputs[1]) === -0.5 ? { from: node.inputs[0]!, nodes: [node, ...casts] } : null;
  }
  if (node.operator === "Div" && index.number(node.inputs[0]) !== 1) return null;
  const root = squareRoot(node.inputs[node.operator === "Div" ? 1 : 0]!, index);
  return root && { from: root.from, nodes: [...root.nodes, node, ...casts] };
}

/** sqrt(from): Sqrt, or the power 1/2. */
function squareRoot(name: string, index: GraphIndex): Part | null {
  const { name: inner, casts } = index.uncast(name);
  const node = index.maker(inner, "Sqrt", "Pow");
  if (node === null || (node.operator === "Pow" && index.number(node.inputs[1]) !== 0.5)) return null;
  return { from: node.inputs[0]!, nodes: [node, ...casts] };
}

interface Deviation extends Mean {
  readonly epsilon: number;
}

/** mean(from^2) + epsilon. */
function meanSquare(name: string, index: GraphIndex): Deviation | null {
  const { name: inner, casts } = index.uncast(name);
  const sum = index.maker(inner, "Add");
  if (sum === null) return null;
  for (const [term, constant] of [sum.inputs, sum.inputs.toReversed()] as [string, string][]) {
    const epsilon = index.number(constant);
    const average = epsilon !== null && epsilon >= 0 && Number.isFinite(epsilon) ? mean(term, index) : null;
    const squared = average && square(average.from, index);
    if (epsilon !== null && average && squared)
      return { from: squared.from, axes: average.axes, epsilon, nodes: [...squared.nodes, ...average.nodes, sum, ...casts] };
  }
  return null;
}

/** The mean over constant axes, which stay as axes of size 1. */
function mean(name: string, index: GraphIndex): Mean | null {
  const { name: inner, casts } = index.uncast(name);
  const node = index.maker(inner, "ReduceMean");
  if (node === null) return null;
  const keeps = node.attributes.get("keepdims");
  if (keeps !== undefined && (keeps.kind !== "int" || keeps.value !== 1)) return null;
  const given = node.attributes.get("axes");
  const axes = given === undefined ? index.integers(node.inputs[1]) : given.kind === "ints" ? given.value : null;
  return axes === null || axes.length === 0 ? null : { from: node.inputs[0]!, axes, nodes: [node, ...casts] };
}

/** from^2: the power 2, or a product with itself. */
function square(name: string, index: GraphIndex): Part | null {
  const { name: inner, casts } = index.uncast(name);
  const node = index.maker(inner, "Pow", "Mul");
  if (node === null) return null;
  const [a, b] = node.inputs as [string, string];
  const from = node.operator === "Mul" ? sameValue(a, b, index) : index.number(b) === 2 ? a : null;
  return from === null ? null : { from, nodes: [node, ...casts] };
}

/** from - mean(from) over the same axes. Casts behind it belong to it. */
function centred(name: string, axes: readonly number[], index: GraphIndex): Part | null {
  const { name: inner, casts } = index.uncast(name);
  const node = index.maker(inner, "Sub");
  const average = node && mean(node.inputs[1]!, index);
  if (!node || !average || average.axes.length !== axes.length || average.axes.some((axis) => !axes.includes(axis))) return null;
  const from = sameValue(node.inputs[0]!, average.from, index);
  return from === null ? null : { from, nodes: [...average.nodes, node, ...casts] };
}
