/**
 * The numbers of a graph that do not depend on the picture: stored ones, and what nodes make of them.
 * @module
 */
import { evaluate } from "@unseen/core/blueprint/trace/known.ts";
import { knownFromTensor } from "@unseen/core/blueprint/trace/known-creation.ts";
import { isFloat, type Known } from "@unseen/core/blueprint/trace/known-tensor.ts";
import { decode } from "@unseen/core/checkpoint/format.ts";
import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxType } from "@unseen/core/checkpoint/onnx.ts";
import { Beyond, type Budget } from "./beyond.ts";

/** Numbers in one stored tensor (CWE-770). */
export const MAXIMUM_WEIGHTS = 2 ** 24;
/** Nodes in a row between stored numbers and their use (CWE-674). Exporters write up to 6. */
const MAXIMUM_CHAIN = 32;

const FORMATS: Partial<Record<OnnxType, "F32" | "F16" | "BF16">> = { float32: "F32", float16: "F16", bfloat16: "BF16" };

/** Reads constants when they are asked for, each once. */
export class Constants {
  readonly #graph: OnnxGraph;
  readonly #opset: number;
  readonly #budget: Budget;
  readonly #makers = new Map<string, OnnxNode>();
  readonly #known = new Map<string, Known | null>();

  constructor(graph: OnnxGraph, opset: number, budget: Budget) {
    this.#graph = graph;
    this.#opset = opset;
    this.#budget = budget;
    for (const node of graph.nodes) for (const name of node.outputs) this.#makers.set(name, node);
  }

  /** States a value that is known though it hangs on the picture: sizes, for one picture at a time. */
  define(name: string, known: Known): void {
    this.#known.set(name, known);
  }

  /** The content of a value, or null where it depends on the picture or is not followed. */
  read(name: string, depth = 0): Known | null {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (name === "" || depth > MAXIMUM_CHAIN) return null;
    const tensor = this.#graph.initializers.get(name);
    const found = tensor ? this.#stored(tensor) : this.#made(name, depth);
    this.#known.set(name, found);
    return found;
  }

  #made(name: string, depth: number): Known | null {
    const node = this.#makers.get(name);
    if (node === undefined) return null;
    const value = node.operator === "Constant" && node.domain === "" ? node.attributes.get("value") : undefined;
    if (value?.kind === "tensor") return this.#stored(value.value);
    const inputs: (Known | null)[] = [];
    for (const input of node.inputs) {
      const known = input === "" ? null : this.read(input, depth + 1);
      if (known === null && input !== "") return null;
      inputs.push(known);
    }
    const result = evaluate(node, inputs, this.#opset)?.[node.outputs.indexOf(name)] ?? null;
    if (result) this.#budget.take(result.data.length);
    return result;
  }

  #stored(tensor: OnnxTensor): Known | null {
    const { type, shape } = tensor;
    const count = shape.reduce((product, size) => product * size, 1);
    if (count > MAXIMUM_WEIGHTS) throw new Beyond(`a tensor of ${count} weights exceeds the limit of ${MAXIMUM_WEIGHTS}`);
    this.#budget.take(count);
    if (!isFloat(type)) return knownFromTensor(tensor);
    const data = new Float64Array(count);
    const bytes = tensor.read();
    const format = FORMATS[type];
    if (format) decode(format, bytes, data);
    else new Uint8Array(data.buffer).set(bytes); // float64, little-endian as every machine that Node runs on
    return { type, shape, data };
  }
}
