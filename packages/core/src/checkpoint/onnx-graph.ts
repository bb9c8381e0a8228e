/**
 * Whether a graph can be computed: every value has one origin, and no node needs its own result.
 * @module
 */
import { UnseenError } from "../errors.ts";
import { malformed, quote } from "./checks.ts";
import { duplicate } from "./onnx-text.ts";
import type { OnnxGraph, OnnxNode } from "./onnx.ts";

/** Names of values. */
export interface Scope {
  has(name: string): boolean;
}

const NOTHING: Scope = { has: () => false };

/**
 * The nodes of a graph in an order in which each comes after those that it needs; that of the file where it is one.
 *
 * Inner graphs (`If`, `Loop`, `Scan`) are checked too; they may use the values around them, but not name theirs the same.
 * @param outer the values around the graph
 * @throws UnseenError `CHECKPOINT_DUPLICATE` for a value with two origins; `CHECKPOINT_MALFORMED` for a value with none, or a cycle
 */
export function checkGraph(graph: OnnxGraph, outer: Scope = NOTHING): OnnxNode[] {
  const origins = findOrigins(graph, outer);
  const visible: Scope = { has: (name) => origins.has(name) || outer.has(name) };
  for (const node of graph.nodes) {
    for (const name of node.inputs) if (name !== "" && !visible.has(name)) throw undefined_(name, `node ${label(node)}`);
    for (const inner of innerGraphs(node)) checkGraph(inner, visible);
  }
  for (const { name } of graph.outputs) if (!visible.has(name)) throw undefined_(name, "the graph's outputs");
  return sort(graph.nodes, origins);
}

/** The names that the inner graphs of a node take from around it. */
export function capturedNames(node: OnnxNode): Set<string> {
  const captured = new Set<string>();
  for (const graph of innerGraphs(node)) for (const name of freeNames(graph)) captured.add(name);
  return captured;
}

/** Every value that a node needs: its inputs, and what its inner graphs take from around it. */
export function neededNames(node: OnnxNode): Set<string> {
  return new Set([...node.inputs.filter((name) => name !== ""), ...capturedNames(node)]);
}

/** How messages call a node. */
export function label(node: OnnxNode): string {
  return quote(node.name === "" ? `${node.operator} of ${node.outputs[0] ?? ""}` : node.name);
}

function freeNames(graph: OnnxGraph): Set<string> {
  const own = new Set([
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
  const used = new Set(graph.outputs.map(({ name }) => name));
  for (const node of graph.nodes) for (const name of neededNames(node)) used.add(name);
  return new Set([...used].filter((name) => !own.has(name)));
}

function innerGraphs(node: OnnxNode): OnnxGraph[] {
  return [...node.attributes.values()].flatMap((attribute) => (attribute.kind === "graph" ? [attribute.value] : []));
}

/** Where each value of a graph comes from; null = given from outside or constant. */
function findOrigins(graph: OnnxGraph, outer: Scope): Map<string, OnnxNode | null> {
  const origins = new Map<string, OnnxNode | null>();
  const define = (name: string, node: OnnxNode | null): void => {
    if (origins.has(name) || outer.has(name)) throw duplicate("the graph", "value", name);
    origins.set(name, node);
  };
  for (const { name } of graph.inputs) define(name, null);
  for (const name of graph.initializers.keys()) define(name, null);
  for (const node of graph.nodes) for (const name of node.outputs) if (name !== "") define(name, node);
  return origins;
}

/** Depth first: a node that is ready keeps its place, one that is not comes after what it needs. */
function sort(nodes: readonly OnnxNode[], origins: ReadonlyMap<string, OnnxNode | null>): OnnxNode[] {
  const needs = new Map<OnnxNode, Set<OnnxNode>>();
  for (const node of nodes) {
    const before = new Set<OnnxNode>();
    for (const name of neededNames(node)) {
      const origin = origins.get(name);
      if (origin) before.add(origin);
    }
    needs.set(node, before);
  }
  const done = new Set<OnnxNode>();
  // A stack of its own: a chain may be as long as the graph (CWE-674).
  for (const first of nodes) {
    const path: OnnxNode[] = [first];
    const open = new Set<OnnxNode>();
    while (path.length > 0) {
      const node = path.at(-1)!;
      open.add(node);
      const next = done.has(node) ? undefined : firstMissing(needs.get(node)!, done);
      if (next === undefined) {
        done.add(node);
        open.delete(node);
        path.pop();
      } else if (open.has(next)) throw cycle(next);
      else path.push(next);
    }
  }
  return [...done];
}

/** Takes away what is done, so that looking again costs nothing. */
function firstMissing(needed: Set<OnnxNode>, done: ReadonlySet<OnnxNode>): OnnxNode | undefined {
  for (const node of needed) {
    if (!done.has(node)) return node;
    needed.delete(node);
  }
  return undefined;
}

function cycle(node: OnnxNode): UnseenError {
  return malformed(`the graph has a cycle: node ${label(node)} needs its own result.`);
}

function undefined_(name: string, user: string): UnseenError {
  return malformed(`the graph: ${user} needs value ${quote(name)}, which nothing defines.`);
}
