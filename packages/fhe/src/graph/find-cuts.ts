/**
 * Walks a graph from the picture on and finds every place where the model can be cut.
 * @module
 */
import { Case } from "@unseen/core/blueprint/trace/known-case.ts";
import { evaluate } from "@unseen/core/blueprint/trace/known.ts";
import { quote } from "@unseen/core/checkpoint/checks.ts";
import { neededNames } from "@unseen/core/checkpoint/onnx-graph.ts";
import type { OnnxModel, OnnxNode } from "@unseen/core/checkpoint/onnx.ts";
import type { Head } from "../layer.ts";
import { Beyond, Budget, whyBeyond } from "./beyond.ts";
import { Constants } from "./constants.ts";
import { dependentNodes, Live } from "./dependence.ts";
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
