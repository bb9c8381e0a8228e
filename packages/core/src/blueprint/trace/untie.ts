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

const names = new WeakMap<OnnxGraph, ReadonlySet<string>>();

/** A name that no value of a graph has. */
export function freeName(graph: OnnxGraph, wish: string): string {
  // Collected once: a graph may ask for thousands of names.
  const taken =
    names.get(graph) ??
    new Set([...graph.initializers.keys(), ...graph.inputs.map(({ name }) => name), ...graph.nodes.flatMap(({ outputs }) => outputs)]);
  names.set(graph, taken);
  let name = wish;
  for (let i = 2; taken.has(name); i++) name = `${wish}_${i}`;
  return name;
}

/** Gives every table that is looked up and also multiplied with a copy for the latter. */
export function untie(graph: OnnxGraph): Untied {
  const isLookup = (node: OnnxNode, name: string): boolean => node.operator === "Gather" && node.inputs[0] === name;
  const lookedUp = new Set<string>();
  const otherwise = new Set<string>();
  for (const node of graph.nodes) for (const name of node.inputs) (isLookup(node, name) ? lookedUp : otherwise).add(name);
  const aliases = new Map<string, string>();
  const copies = new Map<string, OnnxTensor>();
  for (const [name, tensor] of graph.initializers) {
    if (tensor.shape.length !== 2 || !lookedUp.has(name) || !otherwise.has(name)) continue;
    const copy = freeName(graph, `${name}_output`);
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
