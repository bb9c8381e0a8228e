/**
 * Finds rotary position embeddings (2104.09864) in the half layout: `x * cos + concat(-x[d/2:], x[:d/2]) * sin`.
 *
 * With the same angles in both halves this turns each pair (x_i, x_{i + d/2}), which is a product with a complex number and so
 * commutes with every such product; the single operations commute with nothing but signs.
 * @module
 */
import type { OnnxGraph, OnnxNode } from "../../checkpoint/onnx.ts";
import { GraphIndex, type KnownConstant } from "./graph-index.ts";
import { knownFromTensor, type Known } from "./known.ts";

/** One application of a rotary position embedding. */
export interface RotaryPattern {
  /** The value that is turned: queries or keys, `(..., 2 * half)`. */
  readonly input: string;
  readonly output: string;
  /** Values that broadcast to the input; equal in both halves of the last axis. */
  readonly cos: string;
  readonly sin: string;
  /** Pairs: element i of the last axis turns with element i + half. */
  readonly half: number;
  /** All nodes between input and output; nothing else sees what they make. */
  readonly nodes: readonly OnnxNode[];
}

/** The shape of a value; null where it, or a size in it, is unknown. */
export type ShapeOf = (valueName: string) => readonly (number | string | null)[] | null;

/** Steps back from cos or sin to where their halves are made (CWE-674). */
const DEPTH_LIMIT = 32;

/**
 * The rotary position embeddings of a graph whose angles are proven to be the same in both halves, in the order of their last nodes.
 *
 * @param knownConstant the content of a value that is known without running the model; stored tensors are read from the graph
 * @param shapeOf shapes that the caller has worked out; without it those that the graph states, which only its exporter vouches for
 */
export function findRotaryHalves(graph: OnnxGraph, knownConstant: KnownConstant, shapeOf: ShapeOf = statedShapes(graph)): RotaryPattern[] {
  const contents = new Map<string, Known | null>();
  const index = new GraphIndex(graph, (name) => {
    let content = contents.get(name);
    if (content === undefined) {
      const stored = graph.initializers.get(name);
      content = knownConstant(name) ?? (stored === undefined ? null : knownFromTensor(stored));
      contents.set(name, content);
    }
    return content;
  });
  const halves = new Halves(index, shapeOf);
  return graph.nodes.flatMap((node) => rotationEndingAt(node, index, shapeOf, halves) ?? []);
}

function statedShapes(graph: OnnxGraph): ShapeOf {
  const infos = new Map([...graph.values, ...[...graph.inputs, ...graph.outputs].map((info) => [info.name, info] as const)]);
  return (name) => infos.get(name)?.shape ?? graph.initializers.get(name)?.shape ?? null;
}

function rotationEndingAt(node: OnnxNode, index: GraphIndex, shapeOf: ShapeOf, halves: Halves): RotaryPattern | null {
  const output = node.outputs[0];
  if (output === undefined || index.maker(output, "Add") !== node) return null;
  for (const [straight, turned] of bothOrders(node)) {
    const [straightProduct, turnedProduct] = [index.maker(straight, "Mul"), index.maker(turned, "Mul")];
    if (straightProduct === null || turnedProduct === null) continue;
    for (const [rotated, sin] of bothOrders(turnedProduct)) {
      const turn = halfTurn(rotated, index, shapeOf);
      const cos = turn && otherFactor(straightProduct, turn.from);
      if (!turn || cos === null) continue;
      const nodes = [straightProduct, ...turn.nodes, turnedProduct, node];
      if (!index.isClosed(new Set(nodes), output) || !keepsShape(shapeOf(turn.from), shapeOf(output))) continue;
      if (!halves.areEqual(cos, turn.half) || !halves.areEqual(sin, turn.half)) continue;
      return { input: turn.from, output, cos, sin, half: turn.half, nodes };
    }
  }
  return null;
}

function bothOrders({ inputs: [a, b] }: OnnxNode): [string, string][] {
  return a === undefined || b === undefined
    ? []
    : [
        [a, b],
        [b, a],
      ];
}

/** Whether cos and sin, as far as is known, broadcast to the input and not the other way. */
function keepsShape(before: ReturnType<ShapeOf>, after: ReturnType<ShapeOf>): boolean {
  if (before === null || after === null) return true;
  return before.length === after.length && before.every((size, axis) => typeof size !== typeof after[axis] || size === after[axis]);
}

function otherFactor(product: OnnxNode, factor: string): string | null {
  return bothOrders(product).find(([a]) => a === factor)?.[1] ?? null;
}

interface HalfTurn {
  readonly from: string;
  readonly half: number;
  readonly nodes: readonly OnnxNode[];
}

/** concat(-x[half:], x[:half]) along the last axis. */
function halfTurn(name: string, index: GraphIndex, shapeOf: ShapeOf): HalfTurn | null {
  const join = index.maker(name, "Concat");
  const axis = join?.attributes.get("axis");
  if (join === null || join.inputs.length !== 2 || axis?.kind !== "int") return null;
  const negation = index.maker(join.inputs[0]!, "Neg", "Mul");
  const second = negation && negated(negation, index);
  if (negation === null || second === null) return null;
  const parts = [partOf(second, index), partOf(join.inputs[1]!, index)];
  const [upper, lower] = parts;
  if (!upper || !lower || upper.from !== lower.from) return null;
  const shape = shapeOf(upper.from);
  const size = shape?.at(-1);
  if (!shape || typeof size !== "number" || size < 2 || size % 2 !== 0) return null;
  const rank = shape.length;
  const isLast = (given: number): boolean => given === -1 || given === rank - 1;
  const half = size / 2;
  if (!isLast(axis.value) || !isLast(upper.axis) || !isLast(lower.axis)) return null;
  if (!spans(upper, half, size, size) || !spans(lower, 0, half, size)) return null;
  return { from: upper.from, half, nodes: [...new Set([...upper.nodes, ...lower.nodes, negation, join])] };
}

/** What Neg or a product with -1 negates. */
function negated(node: OnnxNode, index: GraphIndex): string | null {
  if (node.operator === "Neg") return node.inputs[0] ?? null;
  return bothOrders(node).find(([, factor]) => index.number(factor) === -1)?.[0] ?? null;
}

/** A part of a value: from `start` up to `end`, or the part of that index of equal ones. */
interface ValuePart {
  readonly from: string;
  readonly axis: number;
  readonly nodes: readonly OnnxNode[];
  readonly bounds: { readonly start: number; readonly end: number } | { readonly part: number; readonly sizes: readonly number[] | null };
}

function partOf(name: string, index: GraphIndex): ValuePart | null {
  const node = index.maker(name, "Slice", "Split");
  if (node === null || node.inputs[0] === undefined) return null;
  const list = (attribute: string, input: number): readonly number[] | null => {
    const given = node.attributes.get(attribute);
    return given === undefined ? index.integers(node.inputs[input]) : given.kind === "ints" ? given.value : null;
  };
  const common = { from: node.inputs[0], nodes: [node] };
  if (node.operator === "Split") {
    const axis = node.attributes.get("axis");
    const hasSizes = node.attributes.has("split") || (node.inputs[1] ?? "") !== "";
    const sizes = list("split", 1);
    if (node.outputs.length !== 2 || axis?.kind !== "int" || (hasSizes && sizes === null)) return null;
    return { ...common, axis: axis.value, bounds: { part: node.outputs.indexOf(name), sizes } };
  }
  const [starts, ends, axes] = [list("starts", 1), list("ends", 2), list("axes", 3)];
  const steps = (node.inputs[4] ?? "") === "" ? [1] : index.integers(node.inputs[4]);
  if (starts?.length !== 1 || ends?.length !== 1 || axes?.length !== 1 || steps?.length !== 1 || steps[0] !== 1) return null;
  return { ...common, axis: axes[0]!, bounds: { start: starts[0]!, end: ends[0]! } };
}

/** Whether a part of an axis of `size` is exactly `[start, end)`. */
function spans({ bounds }: ValuePart, start: number, end: number, size: number): boolean {
  if ("part" in bounds) {
    const half = size / 2;
    return bounds.part * half === start && end - start === half && (bounds.sizes?.every((each) => each === half) ?? true);
  }
  const place = (value: number): number => Math.max(0, Math.min(size, value < 0 ? value + size : value));
  return place(bounds.start) === start && place(bounds.end) === end;
}

/** Proves that a value's last axis holds the same twice: by its content, or by how it is made of a concatenation with itself. */
class Halves {
  readonly #index: GraphIndex;
  readonly #shapeOf: ShapeOf;
  readonly #proven = new Map<string, boolean>();

  constructor(index: GraphIndex, shapeOf: ShapeOf) {
    this.#index = index;
    this.#shapeOf = shapeOf;
  }

  /** Whether all elements i and i + half of the last axis are equal; an axis of size 1 broadcasts to such a one. */
  areEqual(name: string, half: number, depth = 0): boolean {
    const key = `${half} ${name}`;
    const proven = this.#proven.get(key);
    if (proven !== undefined) return proven;
    this.#proven.set(key, false); // a cycle proves nothing
    const result = depth < DEPTH_LIMIT && (this.#byContent(name, half) || this.#byMaking(name, half, depth + 1));
    this.#proven.set(key, result);
    return result;
  }

  #byContent(name: string, half: number): boolean {
    const known = this.#index.known(name);
    if (known === null) return false;
    const { shape, data } = known;
    const size = shape.at(-1) ?? 1;
    if (size === 1) return true;
    if (size !== 2 * half) return false;
    return data.every((value, i) => i % size >= half || Object.is(value, data[i + half]));
  }

  #byMaking(name: string, half: number, depth: number): boolean {
    const shape = this.#shapeOf(name);
    if (shape !== null && (shape.length === 0 || shape.at(-1) === 1)) return true;
    const join = this.#index.maker(name, "Concat");
    if (join !== null) {
      const axis = join.attributes.get("axis");
      const isLast = axis?.kind === "int" && (axis.value === -1 || (shape !== null && axis.value === shape.length - 1));
      return isLast && join.inputs.length === 2 && join.inputs[0] === join.inputs[1];
    }
    const each = this.#index.maker(name, "Cos", "Sin", "Cast", "Identity", "Neg");
    if (each !== null) return this.areEqual(each.inputs[0] ?? "", half, depth);
    const both = this.#index.maker(name, "Mul", "Add", "Sub", "Div");
    if (both !== null) return both.inputs.length === 2 && both.inputs.every((input) => this.areEqual(input, half, depth));
    // What moves rows about keeps them whole where the last axis has all its elements before and after.
    const moving = this.#index.maker(name, "Unsqueeze", "Squeeze", "Reshape", "Expand", "Slice");
    const source = (moving ?? this.#index.maker(name, "Gather"))?.inputs[0] ?? "";
    const before = this.#shapeOf(source);
    if (before?.at(-1) !== 2 * half || shape?.at(-1) !== 2 * half) return false;
    return (moving !== null || this.#picksRows(name, before.length)) && this.areEqual(source, half, depth);
  }

  /** Whether a Gather picks along another axis than the last. */
  #picksRows(name: string, rank: number): boolean {
    const axis = this.#index.maker(name, "Gather")!.attributes.get("axis");
    const value = axis === undefined ? 0 : axis.kind === "int" ? axis.value : -1;
    return (value < 0 ? value + rank : value) < rank - 1;
  }
}
