/**
 * How a graph uses an input of indices: how long the tables are that it is looked up in, and whether padding behind a row could matter.
 * A graph that searches a row for an end id, say, may take its padding for one, whatever the mask says.
 * @module
 */
import type { OnnxGraph, OnnxNode } from "@unseen/core/checkpoint/onnx.ts";

/** The uses of one input. */
export interface Lookup {
  /** Rows of the shortest table; null where none is known. */
  readonly rows: number | null;
  /** Up to the tables, what becomes of a token depends on no token behind it. */
  readonly isCausal: boolean;
}

/** The same indices under another type or shape. */
const PASSING: ReadonlySet<string> = new Set(["Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"]);
/** Element by element: RoBERTa and MPNet count the ids that are no padding, and look the count up as the position. */
const ELEMENTWISE: ReadonlySet<string> = new Set(["Cast", "Not", "Equal", "Add", "Sub", "Mul", "Expand"]);
/** The same table. */
const TABLE_PASSING: ReadonlySet<string> = new Set(["DequantizeLinear", "Cast", "Identity"]);
/** ONNX Runtime's fused embedding: which input of it is looked up in which. */
const FUSED_TABLES: ReadonlyMap<number, number> = new Map([[0, 2], [1, 4]]); // prettier-ignore

/** Follows an input through the graph. Indices that enter a sub-graph are not followed: there padding could matter. */
export function lookupsOf(graph: OnnxGraph, input: string): Lookup {
  /** Values that hold the indices themselves, and values that are computed of them. */
  const same = new Set([input]);
  const derived = new Set<string>();
  let rows: number | null = null;
  let isCausal = true;
  // Nodes may stand in any order, so names are collected until none is new.
  for (let known = 0; known !== same.size + derived.size;) {
    known = same.size + derived.size;
    rows = null;
    isCausal = !graph.outputs.some(({ name }) => same.has(name) || derived.has(name));
    for (const node of graph.nodes) {
      if (readsInside(node, same) || readsInside(node, derived)) isCausal = false;
      node.inputs.forEach((name, index) => {
        const isSame = same.has(name);
        if ((!isSame && !derived.has(name)) || node.operator === "Shape") return;
        const table = tableOf(node, index);
        if (table !== null) {
          const length = isSame ? tableRows(graph, table) : null;
          if (length !== null) rows = Math.min(rows ?? length, length);
        } else if (isSame && PASSING.has(node.operator) && node.domain === "" && index === 0) same.add(node.outputs[0]!);
        else if (isElementwise(node)) derived.add(node.outputs[0]!);
        else isCausal = false;
      });
    }
  }
  return { rows, isCausal };
}

/** The table that a node looks its input `index` up in, or null where it does something else. */
function tableOf({ operator, domain, attributes, inputs }: OnnxNode, index: number): string | null {
  const axis = attributes.get("axis");
  const isFirstAxis = axis === undefined || (axis.kind === "int" && axis.value === 0);
  if (domain === "" && index === 1 && ((operator === "Gather" && isFirstAxis) || operator === "GatherElements")) return inputs[0]!;
  if (operator === "EmbedLayerNormalization") return inputs[FUSED_TABLES.get(index) ?? -1] ?? null;
  return null;
}

/** A sum over all tokens so far looks back only, unless it is reversed. */
function isElementwise({ operator, domain, attributes }: OnnxNode): boolean {
  if (domain !== "") return false;
  const reverse = attributes.get("reverse");
  return ELEMENTWISE.has(operator) || (operator === "CumSum" && (reverse?.kind !== "int" || reverse.value === 0));
}

function tableRows(graph: OnnxGraph, name: string): number | null {
  let at: string | undefined = name;
  for (let hops = 0; at !== undefined && hops < 8; hops++) {
    const table = graph.initializers.get(at);
    if (table) return table.shape[0] ?? null;
    const wanted: string = at;
    const producer: OnnxNode | undefined = graph.nodes.find(({ outputs }) => outputs.includes(wanted));
    if (producer?.operator === "Constant") {
      const value = producer.attributes.get("value");
      return value?.kind === "tensor" ? (value.value.shape[0] ?? null) : null;
    }
    at = producer && TABLE_PASSING.has(producer.operator) ? producer.inputs[0] : undefined;
  }
  return null;
}

/** Whether a sub-graph of a node (the branch of an If, the body of a Loop) reads any of the names. */
function readsInside({ attributes }: OnnxNode, names: ReadonlySet<string>): boolean {
  const bodies = [...attributes.values()].flatMap((value) => (value.kind === "graph" ? [value.value] : []));
  return bodies.some((body) => body.nodes.some((node) => node.inputs.some((name) => names.has(name)) || readsInside(node, names)));
}
