/**
 * Walks a graph from the picture on and finds every place where the model can be cut.
 * @module
 */
import { Case } from "@unseen/core/blueprint/trace/known-case.ts";
import { evaluate } from "@unseen/core/blueprint/trace/known.ts";
import { quote } from "@unseen/core/checkpoint/checks.ts";
import { checkGraph, neededNames } from "@unseen/core/checkpoint/onnx-graph.ts";
import type { OnnxGraph, OnnxModel, OnnxNode } from "@unseen/core/checkpoint/onnx.ts";
import type { Head } from "../layer.ts";
import { Beyond, Budget, whyBeyond } from "./beyond.ts";
import { Constants } from "./constants.ts";
import { elementwise } from "./elementwise.ts";
import { layout } from "./layout.ts";
import { findPicture } from "./picture.ts";
import { products } from "./products.ts";
import { dimensions, resultOf, settled, type Operation, type Operator, type Tracked } from "./tracked.ts";

const operators: ReadonlyMap<string, Operator> = new Map([...products, ...elementwise, ...layout]);

/** A legal cut. */
export interface Cut {
  readonly head: Head;
  /** The shape of the value at the cut as the graph has it, without the batch: (channels, height, width) or (n). */
  readonly dimensions: readonly number[];
}

/**
 * All legal cuts, and why there are no more. A cut is legal where all that is computed later depends on the picture through one value.
 *
 * @throws UnseenError `CUT_UNAVAILABLE` for a model that takes no picture; `CHECKPOINT_MALFORMED`, `CHECKPOINT_DUPLICATE`
 */
export function findCuts(model: OnnxModel): { cuts: Cut[]; end: string } {
  const { name: input, shape } = findPicture(model.graph);
  const opset = model.opsets.get("")!; // no file without one is opened
  const cuts: Cut[] = [];
  const budget = new Budget();
  const constants = new Constants(model.graph, opset, budget);
  const values = new Map<string, Tracked>([[input, resultOf({ normalise: null, layers: [], shape }, false)]]);
  const own = new Set(model.functions.map(({ domain, name }) => `${domain}:${name}`));
  const nodes = dependentNodes(model.graph, input);
  const live = new Live(model.graph, nodes, input);
  try {
    for (const node of nodes) {
      if (own.has(`${node.domain}:${node.operator}`)) throw new Beyond(whyBeyond(node.operator));
      if (node.operator === "Shape" || node.operator === "Size") define(node, values, constants, opset);
      else if ([...neededNames(node)].some((name) => values.has(name)))
        values.set(resultName(node), apply(node, values, constants, budget, opset));
      const name = live.after(node);
      const value = name === null ? undefined : values.get(name);
      if (name === null || value === undefined) continue;
      // Nothing later can be combined with what came before: the value may become a layer's result.
      const stage = settled(value, name, budget);
      values.set(name, resultOf(stage, value.flat));
      if (stage.layers.length === 0 || cuts.at(-1)?.head.layers === stage.layers) continue;
      const { normalise, layers } = stage;
      const cut: Cut = {
        head: { input, shape, normalise, layers, value: name, output: stage.shape },
        dimensions: dimensions(value).slice(1),
      };
      // A bias or a normalisation became part of the layer: the cut moves behind it.
      if (cuts.at(-1)?.head.layers.length === layers.length) cuts.pop();
      cuts.push(cut);
    }
  } catch (error) {
    if (error instanceof Beyond) return { cuts, end: error.message };
    throw error;
  }
  return { cuts, end: "the model ends there: nothing would be left for its creator" };
}

function apply(node: OnnxNode, values: ReadonlyMap<string, Tracked>, constants: Constants, budget: Budget, opset: number): Tracked {
  const operator = node.domain === "" ? operators.get(node.operator) : undefined;
  if (!operator) throw new Beyond(whyBeyond(node.operator));
  const operation: Operation = {
    node,
    the: new Case(node, [], opset),
    tracked: (index) => values.get(node.inputs[index] ?? "") ?? null,
    constant: (index) => constants.read(node.inputs[index] ?? ""),
    budget,
  };
  return operator(operation);
}

/** The first result, which alone is followed: others are masks and statistics. */
function resultName(node: OnnxNode): string {
  const [name] = node.outputs;
  if (!name) throw new Beyond(`${quote(node.operator)} without its first result is not done on ciphertext`);
  return name;
}

/** Sizes are known, for one picture at a time. */
function define(node: OnnxNode, values: ReadonlyMap<string, Tracked>, constants: Constants, opset: number): void {
  const value = values.get(node.inputs[0] ?? "");
  const known = value && evaluate(node, [{ type: "float32", shape: dimensions(value), data: new Float64Array(0) }], opset);
  if (known?.[0]) constants.define(resultName(node), known[0]);
}

/** The nodes that the outputs need and that need the picture, in order. */
function dependentNodes(graph: OnnxGraph, input: string): OnnxNode[] {
  const order = checkGraph(graph);
  const needed = new Set(graph.outputs.map(({ name }) => name));
  const used = order.toReversed().filter((node) => {
    if (!node.outputs.some((name) => needed.has(name))) return false;
    for (const name of neededNames(node)) needed.add(name);
    return true;
  });
  const dependent = new Set([input]);
  return used.toReversed().filter((node) => {
    if (![...neededNames(node)].some((name) => dependent.has(name))) return false;
    for (const name of node.outputs) if (name !== "") dependent.add(name);
    return true;
  });
}

/** Values that depend on the picture and are still needed. */
class Live {
  readonly #uses = new Map<string, number>();
  readonly #live = new Set<string>();

  constructor(graph: OnnxGraph, nodes: readonly OnnxNode[], input: string) {
    const use = (name: string): unknown => this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
    for (const node of nodes) neededNames(node).forEach(use);
    for (const { name } of graph.outputs) use(name);
    this.#live.add(input);
  }

  /** Goes on behind a node: the only value that is still needed, or null where there are several. */
  after(node: OnnxNode): string | null {
    for (const name of neededNames(node)) {
      const left = this.#uses.get(name)! - 1;
      this.#uses.set(name, left);
      if (left === 0) this.#live.delete(name);
    }
    for (const name of node.outputs) if (name !== "" && (this.#uses.get(name) ?? 0) > 0) this.#live.add(name);
    const [first, ...others] = this.#live;
    return first === undefined || others.length > 0 ? null : first;
  }
}
