/**
 * Conditional parts of a graph, laid open: scripted code that asks for sizes becomes `If` nodes. The nodes of both branches
 * take the place of each, so that the laws of both hold, whichever is run.
 * @module
 */
import type { OnnxGraph, OnnxNode, OnnxTensor } from "../../checkpoint/onnx.ts";

/** The nodes of a graph without branches. */
export interface FlatGraph {
  /** In topological order. An `If` is left with the inputs condition, value if so, value if not, one for each of its outputs. */
  readonly nodes: readonly OnnxNode[];
  /** Node of a branch -> the node of the graph that holds it. */
  readonly holders: ReadonlyMap<OnnxNode, OnnxNode>;
  /** Tensors that stand in branches. */
  readonly constants: ReadonlyMap<string, OnnxTensor>;
}

/** Lays all branches open that hold no other inner graphs (`Loop`, `Scan`). */
export function flattenBranches(nodes: readonly OnnxNode[]): FlatGraph {
  const holders = new Map<OnnxNode, OnnxNode>();
  const constants = new Map<string, OnnxTensor>();
  const flatten = (node: OnnxNode, holder: OnnxNode): OnnxNode[] => {
    const graphs = ["then_branch", "else_branch"].map((name) => node.attributes.get(name));
    if (node.operator !== "If" || node.domain !== "" || !graphs.every((each) => each?.kind === "graph")) return [node];
    const branches = graphs.map(({ value }, i) => inline(value, `${node.outputs[0] ?? ""}/${i === 0 ? "then" : "else"}/`));
    if (branches.some((branch) => branch === null || branch.results.length !== node.outputs.length)) return [node];
    const inner = branches.flatMap((branch) => {
      for (const [name, tensor] of branch!.constants) constants.set(name, tensor);
      return branch!.nodes.flatMap((each) => flatten(each, holder));
    });
    const choices = node.outputs.map((output, i): OnnxNode => {
      const inputs = [node.inputs[0] as string, ...branches.map((branch) => branch!.results[i] as string)];
      return { ...node, inputs, outputs: [output], attributes: new Map() };
    });
    for (const each of [...inner, ...choices]) holders.set(each, holder);
    return [...inner, ...choices];
  };
  return { nodes: nodes.flatMap((node) => flatten(node, node)), holders, constants };
}

interface Inlined {
  readonly nodes: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  readonly results: readonly string[];
}

/** A branch with names of its own, for two branches may name their values the same. Null where other graphs stand inside it. */
function inline(graph: OnnxGraph, prefix: string): Inlined | null {
  const own = new Set([...graph.initializers.keys(), ...graph.nodes.flatMap(({ outputs }) => outputs)]);
  const rename = (name: string): string => (name !== "" && own.has(name) ? prefix + name : name);
  const nodes: OnnxNode[] = [];
  for (const node of graph.nodes) {
    const attributes = new Map(node.attributes);
    for (const [name, attribute] of attributes) {
      if (attribute.kind !== "graph") continue;
      if (node.operator !== "If") return null;
      attributes.set(name, { kind: "graph", value: renamed(attribute.value, rename) });
    }
    nodes.push({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename), attributes });
  }
  return {
    nodes,
    constants: new Map([...graph.initializers].map(([name, tensor]) => [rename(name), tensor])),
    results: graph.outputs.map(({ name }) => rename(name)),
  };
}

/** An inner graph whose outer values have other names now. Values inside never hide those around them. */
function renamed(graph: OnnxGraph, rename: (name: string) => string): OnnxGraph {
  return {
    ...graph,
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      attributes: new Map(
        [...node.attributes].map(([name, attribute]) => [
          name,
          attribute.kind === "graph" ? { kind: "graph" as const, value: renamed(attribute.value, rename) } : attribute,
        ]),
      ),
    })),
    outputs: graph.outputs.map((info) => ({ ...info, name: rename(info.name) })),
  };
}
