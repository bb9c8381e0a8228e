/**
 * Which nodes depend on the picture, and where all of them that come later do so through one value.
 * @module
 */
import { checkGraph, neededNames } from "@unseen/core/checkpoint/onnx-graph.ts";
import type { OnnxGraph, OnnxNode } from "@unseen/core/checkpoint/onnx.ts";

/**
 * The nodes that the outputs need and that need the picture, in an order in which each comes after those that it needs.
 *
 * @throws UnseenError `CHECKPOINT_MALFORMED`, `CHECKPOINT_DUPLICATE`, as `checkGraph`
 */
export function dependentNodes(graph: OnnxGraph, input: string): OnnxNode[] {
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

/** Values that depend on the picture and are still needed, while the nodes are walked in order. */
export class Live {
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
    return this.#live.size === 1 ? ([...this.#live][0] as string) : null;
  }
}
