/**
 * Graphs without insides: the nodes of both branches take the place of an `If`, so that the laws of both hold, whichever is run;
 * and the nodes of a function take the place of its call. Scripted code that asks for sizes becomes such branches.
 * @module
 */
import { checkGraph } from "../../checkpoint/onnx-graph.ts";
import type { OnnxFunction, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from "../../checkpoint/onnx.ts";

/** The nodes of a model's graph, laid open. */
export interface FlatGraph {
  /** In topological order. An `If` is left with the inputs condition, value if so, value if not, one for each of its outputs. */
  readonly nodes: readonly OnnxNode[];
  /** Nodes that stand in branches and functions, and what is left of an `If`: they cannot be changed. */
  readonly inner: ReadonlySet<OnnxNode>;
  /** Tensors that stand in branches. */
  readonly constants: ReadonlyMap<string, OnnxTensor>;
}

/** Functions that call functions (CWE-674). */
const CALL_DEPTH = 16;
/** Nodes that calls may become: a function that calls another twice, which does the same, doubles at each step (CWE-409). */
const FLAT_NODES = 100_000;
/** Domains of operators that runtimes bring. */
const RUNTIME_DOMAINS = new Set(["", "com.microsoft"]);
/** Between a node's result and a name inside it. No name of a file holds it. */
const INSIDE = "\u0000";

/** Lays open all branches that hold no other inner graphs (`Loop`, `Scan`), and all calls of functions of the same operator set. */
export function flattenGraph({ graph, functions, opsets }: Pick<OnnxModel, "graph" | "functions" | "opsets">): FlatGraph {
  const inner = new Set<OnnxNode>();
  const constants = new Map<string, OnnxTensor>();
  const called = new Map(functions.filter((each) => isCallable(each, opsets)).map((each) => [`${each.domain}:${each.name}`, each]));
  const flatten = (node: OnnxNode, depth: number): OnnxNode[] => {
    const body = called.get(`${node.domain}:${node.operator}`);
    const parts = inner.size > FLAT_NODES ? null : body ? (depth < CALL_DEPTH ? openCall(node, body) : null) : openBranches(node);
    if (!parts) return [node];
    for (const [name, tensor] of parts.constants) constants.set(name, tensor);
    for (const each of [...parts.nodes, ...parts.results]) inner.add(each);
    return [...parts.nodes.flatMap((each) => flatten(each, depth + 1)), ...parts.results];
  };
  return { nodes: checkGraph(graph).flatMap((node) => flatten(node, 0)), inner, constants };
}

/** Functions of other versions would mean other operators; those of domains that runtimes know may mean either. */
function isCallable(body: OnnxFunction, opsets: ReadonlyMap<string, number>): boolean {
  return (
    !RUNTIME_DOMAINS.has(body.domain) &&
    [...body.opsets].every(([domain, version]) => opsets.get(domain) === undefined || opsets.get(domain) === version)
  );
}

/** What takes the place of a node. */
interface Opened {
  readonly nodes: readonly OnnxNode[];
  /** Those that make the node's outputs. */
  readonly results: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, OnnxTensor>;
}

function openBranches(node: OnnxNode): Opened | null {
  const graphs = ["then_branch", "else_branch"].map((name) => node.attributes.get(name));
  if (node.operator !== "If" || node.domain !== "" || !graphs.every((each) => each?.kind === "graph")) return null;
  const branches = graphs.map(({ value }, i) => {
    const own = new Set([...value.initializers.keys(), ...value.nodes.flatMap(({ outputs }) => outputs)]);
    const rename = renaming(node, `${i}`, own, new Map());
    const constants = new Map([...value.initializers].map(([name, tensor]) => [rename(name), tensor]));
    // What comes from around the branch was there before it.
    const nodes = renamed(checkGraph(value, { has: (name) => !own.has(name) }), rename);
    return nodes && { nodes, constants, outputs: value.outputs.map(({ name }) => rename(name)) };
  });
  const [yes, no] = branches;
  if (!yes || !no || [yes, no].some(({ outputs }) => outputs.length !== node.outputs.length)) return null;
  return {
    nodes: [...yes.nodes, ...no.nodes],
    constants: new Map([...yes.constants, ...no.constants]),
    results: node.outputs.map((output, i) => ({
      ...node,
      inputs: [node.inputs[0] as string, yes.outputs[i] as string, no.outputs[i] as string],
      outputs: [output],
      attributes: new Map(),
    })),
  };
}

function openCall(node: OnnxNode, body: OnnxFunction): Opened | null {
  const given = new Map(body.inputs.map((name, i) => [name, node.inputs[i] ?? ""]));
  const own = new Set(body.nodes.flatMap(({ outputs }) => outputs));
  const rename = renaming(node, "", own, given);
  const infos = (names: readonly string[]): OnnxValueInfo[] => names.map((name) => ({ name, type: null, shape: null }));
  const sorted = checkGraph({
    name: body.name,
    nodes: body.nodes,
    initializers: new Map(),
    inputs: infos(body.inputs),
    outputs: infos(body.outputs),
    values: new Map(),
  });
  const nodes = renamed(sorted, rename, (name) => node.attributes.get(name) ?? body.defaults.get(name) ?? null);
  if (!nodes || body.outputs.length < node.outputs.length) return null;
  return {
    nodes,
    constants: new Map(),
    results: node.outputs.flatMap((output, i) =>
      output === ""
        ? []
        : [
            {
              name: node.name,
              operator: "Identity",
              domain: "",
              inputs: [rename(body.outputs[i] as string)],
              outputs: [output],
              attributes: new Map(),
            },
          ],
    ),
  };
}

/** Names inside a node: two branches, or two calls, may name their values the same. */
function renaming(node: OnnxNode, part: string, own: ReadonlySet<string>, given: ReadonlyMap<string, string>): (name: string) => string {
  const prefix = `${node.outputs.find((name) => name !== "") ?? ""}${INSIDE}${part}${INSIDE}`;
  return (name) => given.get(name) ?? (name !== "" && own.has(name) ? prefix + name : name);
}

type AttributeOf = (name: string) => OnnxNode["attributes"] extends ReadonlyMap<string, infer A> ? A | null : never;

/** Nodes with other names, and with the attributes that their function was called with. Null where other inner graphs stand inside. */
function renamed(nodes: readonly OnnxNode[], rename: (name: string) => string, attributeOf: AttributeOf = () => null): OnnxNode[] | null {
  const result: OnnxNode[] = [];
  for (const node of nodes) {
    const attributes = new Map(node.attributes);
    for (const [name, attribute] of attributes) {
      if (attribute.kind === "other" && attribute.reference !== undefined) {
        const value = attributeOf(attribute.reference);
        if (value) attributes.set(name, value);
        else attributes.delete(name);
      } else if (attribute.kind === "graph") {
        const graph = node.operator === "If" && node.domain === "" ? renamedGraph(attribute.value, rename, attributeOf) : null;
        if (!graph) return null;
        attributes.set(name, { kind: "graph", value: graph });
      }
    }
    result.push({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename), attributes });
  }
  return result;
}

/** An inner graph whose outer values have other names now. Values inside never hide those around them. */
function renamedGraph(graph: OnnxGraph, rename: (name: string) => string, attributeOf: AttributeOf): OnnxGraph | null {
  const nodes = renamed(graph.nodes, rename, attributeOf);
  return nodes && { ...graph, nodes, outputs: graph.outputs.map((info) => ({ ...info, name: rename(info.name) })) };
}
