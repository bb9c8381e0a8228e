/**
 * Texts inside a graph, which encryption leaves as they are: vocabularies of tokenizers, names of classes.
 * @module
 */
import type { OnnxAttribute, OnnxGraph, OnnxNode } from "../../checkpoint/onnx.ts";

/** An operator that carries texts. */
export interface ClearTexts {
  /** As `DOMAIN:NAME`, ONNX's own without a domain; `initializer` for stored texts. */
  readonly operator: string;
  /** Texts, or the elements of stored ones. */
  readonly count: number;
}

/** Domains whose single texts are modes and equations. */
const PLAIN_DOMAINS: ReadonlySet<string> = new Set(["", "ai.onnx", "com.microsoft"]);

/** Every operator of a graph, and of the graphs inside it, that carries texts which could be words or names. */
export function clearTexts(graph: OnnxGraph): ClearTexts[] {
  const counts = new Map<string, number>();
  const add = (operator: string, count: number): void => {
    if (count > 0) counts.set(operator, (counts.get(operator) ?? 0) + count);
  };
  const visit = ({ nodes, initializers }: OnnxGraph): void => {
    for (const tensor of initializers.values()) if (tensor.type === "string") add("initializer", elements(tensor.shape));
    for (const node of nodes) {
      for (const [name, attribute] of node.attributes) {
        if (attribute.kind === "graph") visit(attribute.value);
        else add(operatorName(node), textsOf(node, name, attribute));
      }
    }
  };
  visit(graph);
  return [...counts].map(([operator, count]) => ({ operator, count }));
}

function textsOf({ domain }: OnnxNode, name: string, attribute: OnnxAttribute): number {
  const isPlain = PLAIN_DOMAINS.has(domain);
  switch (attribute.kind) {
    case "tensor":
      return attribute.value.type === "string" ? elements(attribute.value.shape) : 0;
    case "strings":
      // Of recurrent layers.
      return isPlain && name === "activations" ? 0 : attribute.value.length;
    case "string":
      return isPlain && name !== "value_string" ? 0 : 1;
    default:
      return 0;
  }
}

function operatorName({ domain, operator }: OnnxNode): string {
  return domain === "" || domain === "ai.onnx" ? operator : `${domain}:${operator}`;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
