/** Words and names that sit inside operators are found, modes and equations are not taken for them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeOnnx, onnxNode } from "../../checkpoint/onnx-encode.ts";
import { decodeOnnx, type OnnxAttribute, type OnnxGraph, type OnnxNode } from "../../checkpoint/onnx.ts";
import { clearTexts } from "./clear-texts.ts";

const text = (value: string): OnnxAttribute => ({ kind: "string", value: Buffer.from(value) });
const texts = (...value: string[]): OnnxAttribute => ({ kind: "strings", value: value.map((each) => Buffer.from(each)) });

function graphOf(nodes: readonly OnnxNode[]): OnnxGraph {
  const outputs = [{ name: "y", type: "float32", shape: [2] }] as const;
  return decodeOnnx(encodeOnnx({ nodes, inputs: [{ name: "x", type: "float32", shape: [2] }], outputs: [...outputs] })).graph;
}

test("modes, equations and activations are no texts", () => {
  const graph = graphOf([
    onnxNode("Einsum", ["x", "x"], ["a"], { equation: text("i,j->ij") }),
    onnxNode("RNN", ["a"], ["y"], { activations: texts("Tanh"), direction: text("forward") }),
  ]);
  assert.deepEqual(clearTexts(graph), []);
});

test("class names, vocabularies and texts of vendors are counted, in inner graphs too", () => {
  const inner = graphOf([onnxNode("Constant", [], ["y"], { value_strings: texts("malignant", "benign") })]);
  const graph = graphOf([
    onnxNode("LabelEncoder", ["x"], ["a"], { keys_strings: texts("one", "two"), default_string: text("none") }, { domain: "ai.onnx.ml" }),
    onnxNode("If", ["x"], ["y"], { then_branch: { kind: "graph", value: inner }, else_branch: { kind: "graph", value: inner } }),
    onnxNode("LabelEncoder", ["x"], ["b"], { values_strings: texts("three") }, { domain: "ai.onnx.ml" }),
  ]);
  assert.deepEqual(clearTexts(graph), [
    { operator: "ai.onnx.ml:LabelEncoder", count: 4 },
    { operator: "Constant", count: 4 },
  ]);
});
