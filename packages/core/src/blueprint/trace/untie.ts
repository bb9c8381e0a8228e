/**
 * Tied tables: an embedding that also scores the vocabulary at the end. Two copies let the gain of the last normalisation move into
 * the second one.
 * @module
 */
import type { OnnxGraph, OnnxNode, OnnxTensor } from "../../checkpoint/onnx.ts";

/** A graph in which no table has two roles. */
export interface Untied {
  readonly graph: OnnxGraph;
  /** Name of the copy -> name of the table. */
  readonly aliases: ReadonlyMap<string, string>;
}

/** Gives every table that is looked up and also multiplied with a copy for the latter. */
export function untie(graph: OnnxGraph): Untied {
  const isLookup = (node: OnnxNode, name: string): boolean => node.operator === "Gather" && node.inputs[0] === name;
  const aliases = new Map<string, string>();
  const copies = new Map<string, OnnxTensor>();
  for (const [name, tensor] of graph.initializers) {
    const consumers = graph.nodes.filter((node) => node.inputs.includes(name));
    if (tensor.shape.length !== 2 || !consumers.some((node) => isLookup(node, name)) || consumers.every((node) => isLookup(node, name)))
      continue;
    const copy = `${name}_output`;
    if (graph.initializers.has(copy)) continue;
    aliases.set(copy, name);
    copies.set(copy, { ...tensor, name: copy, read: () => tensor.read() });
  }
  if (aliases.size === 0) return { graph, aliases };
  const copyOf = new Map([...aliases].map(([copy, name]) => [name, copy]));
  const nodes = graph.nodes.map((node): OnnxNode => {
    if (!node.inputs.some((name) => copyOf.has(name) && !isLookup(node, name))) return node;
    return { ...node, inputs: node.inputs.map((name) => (isLookup(node, name) ? name : (copyOf.get(name) ?? name))) };
  });
  return { graph: { ...graph, nodes, initializers: new Map([...graph.initializers, ...copies]) }, aliases };
}
