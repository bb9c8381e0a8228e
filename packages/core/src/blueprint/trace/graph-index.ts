/**
 * Which node makes a value and which use it, for finding patterns of nodes.
 * @module
 */
import { neededNames } from "../../checkpoint/onnx-graph.ts";
import type { OnnxGraph, OnnxNode } from "../../checkpoint/onnx.ts";
import { typeOfNumber } from "./known-case.ts";
import { isFloat, type Known } from "./known-tensor.ts";

/** Casts in a row that are looked through (CWE-400): every node of a pattern walks them anew. Real graphs have 2. */
const MAXIMUM_CASTS = 16;

/** The content of a value that is known without running the model, or null. */
export type KnownConstant = (valueName: string) => Known | null;

/** A graph, indexed by its values. */
export class GraphIndex {
  readonly #makers = new Map<string, OnnxNode>();
  readonly #users = new Map<string, Set<OnnxNode>>();
  readonly #outputs: ReadonlySet<string>;
  readonly #known: KnownConstant;

  constructor(graph: OnnxGraph, known: KnownConstant) {
    this.#known = known;
    this.#outputs = new Set(graph.outputs.map(({ name }) => name));
    for (const node of graph.nodes) {
      for (const name of node.outputs) if (name !== "") this.#makers.set(name, node);
      for (const name of neededNames(node)) {
        const users = this.#users.get(name);
        if (users === undefined) this.#users.set(name, new Set([node]));
        else users.add(node);
      }
    }
  }

  /** The node of ONNX's own domain that makes a value, where it is one of `operators`. */
  maker(name: string, ...operators: readonly string[]): OnnxNode | null {
    const node = this.#makers.get(name);
    if (node === undefined || (node.domain !== "" && node.domain !== "ai.onnx")) return null;
    return operators.includes(node.operator) ? node : null;
  }

  /** A value before the casts between floating-point types that led to it, and these, the last one first. */
  uncast(name: string): { readonly name: string; readonly casts: readonly OnnxNode[] } {
    const casts: OnnxNode[] = [];
    for (;;) {
      const cast = this.maker(name, "Cast");
      const to = cast?.attributes.get("to");
      const type = to?.kind === "int" ? typeOfNumber(to.value) : null;
      if (cast === null || type === null || !isFloat(type) || casts.length === MAXIMUM_CASTS) return { name, casts };
      casts.push(cast);
      name = cast.inputs[0]!;
    }
  }

  /** Content that is known without running the model, or null. */
  known(name: string): Known | null {
    return this.#known(name);
  }

  /** The only element of a constant that broadcasts without adding an axis, or null. */
  number(name: string | undefined): number | null {
    const known = name === undefined || name === "" ? null : this.#known(name);
    return known !== null && known.data.length === 1 && known.shape.length <= 1 ? known.data[0]! : null;
  }

  /** The integers of a constant, or null. */
  integers(name: string | undefined): readonly number[] | null {
    const known = name === undefined || name === "" ? null : this.#known(name);
    return known !== null && known.shape.length <= 1 && (known.type === "int64" || known.type === "int32") ? [...known.data] : null;
  }

  /** Whether nothing outside `nodes` sees a value that they make, but for `output`. */
  isClosed(nodes: ReadonlySet<OnnxNode>, output: string): boolean {
    for (const node of nodes) {
      for (const name of node.outputs) {
        if (name === "" || name === output) continue;
        if (this.#outputs.has(name)) return false;
        for (const user of this.#users.get(name) ?? []) if (!nodes.has(user)) return false;
      }
    }
    return true;
  }
}
