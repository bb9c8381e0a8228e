/**
 * For tests: draws a small graph node by node.
 * @module
 */
import { encodeOnnx, onnxNode } from "../../checkpoint/onnx-encode.ts";
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxValueInfo } from "../../checkpoint/onnx.ts";
import { knownFromTensor, type Known } from "./known.ts";
import { known } from "./known-questions.fixture.ts";
import { stored } from "./one-node.fixture.ts";

/** A graph being drawn; each method gives the name of the value it makes. */
export class Sketch {
  readonly nodes: OnnxNode[] = [];
  readonly initializers = new Map<string, OnnxTensor>();
  readonly outputs: string[] = [];
  readonly values = new Map<string, OnnxValueInfo>();

  /** A stored tensor. */
  hold(content: Known): string {
    const name = `c${this.initializers.size}`;
    this.initializers.set(name, stored(content, name));
    return name;
  }

  /** A float32 scalar. */
  number(value: number): string {
    return this.hold(known("float32", [], [value]));
  }

  /** A list of int64. */
  integers(...values: number[]): string {
    return this.hold(known("int64", [values.length], values));
  }

  /** A node of one output; numbers among the attributes are integers. */
  node(operator: string, inputs: readonly string[], attributes: Readonly<Record<string, number | readonly number[]>> = {}): string {
    return this.nodeOf(operator, inputs, 1, attributes)[0]!;
  }

  nodeOf(
    operator: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Readonly<Record<string, number | readonly number[]>> = {},
  ): string[] {
    const names = Array.from({ length: outputs }, (_, index) => `v${this.nodes.length}.${index}`);
    const named = Object.entries(attributes).map(([name, value]): [string, OnnxAttribute] => [
      name,
      typeof value === "number" ? { kind: "int", value } : { kind: "ints", value },
    ]);
    this.nodes.push(onnxNode(operator, inputs, names, Object.fromEntries(named)));
    return names;
  }

  /** States a value's shape, as exporters do. */
  shape(name: string, ...shape: (number | string | null)[]): string {
    this.values.set(name, { name, type: "float32", shape });
    return name;
  }

  get graph(): OnnxGraph {
    const { nodes, initializers, values } = this;
    return {
      name: "sketch",
      nodes,
      initializers,
      values,
      inputs: [],
      outputs: this.outputs.map((name) => ({ name, type: null, shape: null })),
    };
  }

  /** The content of stored tensors, as a tracer knows it. */
  readonly known = (name: string): Known | null => {
    const tensor = this.initializers.get(name);
    return tensor === undefined ? null : knownFromTensor(tensor);
  };

  /** A model that computes `outputs` from what is held. */
  encode(outputs: readonly string[], opset: number): Uint8Array {
    return encodeOnnx({
      nodes: this.nodes,
      initializers: this.initializers,
      inputs: [],
      outputs: outputs.map((name) => ({ name, type: null, shape: null })),
      opsets: new Map([["", opset]]),
    });
  }
}
