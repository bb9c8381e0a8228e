/** Graphs: order, one origin per value, cycles, and what inner graphs take from around them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { capturedNames, checkGraph, neededNames } from "./onnx-graph.ts";
import { onnxNode } from "./onnx-encode.ts";
import { floats, throwsWith } from "./onnx.fixture.ts";
import type { OnnxGraph, OnnxNode, OnnxValueInfo } from "./onnx.ts";

const info = (name: string): OnnxValueInfo => ({ name, type: "float32", shape: null });

function graphOf(nodes: readonly OnnxNode[], { inputs = ["x"], outputs = [] as string[], weights = [] as string[] } = {}): OnnxGraph {
  return {
    name: "g",
    nodes,
    initializers: new Map(weights.map((name) => [name, floats(name, [1], [1])])),
    inputs: inputs.map(info),
    outputs: outputs.map(info),
    values: new Map(),
  };
}

const relu = (input: string, output: string): OnnxNode => onnxNode("Relu", [input], [output], {}, { name: `to ${output}` });
const branch = (name: string, input: string, value: OnnxGraph): OnnxNode =>
  onnxNode("If", [input], [name], { then_branch: { kind: "graph", value } });

test("a sorted graph keeps its order, ready nodes of an unsorted one too", () => {
  const [a, b, c, d] = [relu("x", "a"), relu("x", "b"), relu("a", "c"), onnxNode("Add", ["c", "w"], ["d"])];
  assert.deepEqual(checkGraph(graphOf([a, b, c, d], { outputs: ["d", "x"], weights: ["w"] })), [a, b, c, d]);
  assert.deepEqual(checkGraph(graphOf([d, b, c, a], { weights: ["w"] })), [a, c, d, b]);
  assert.deepEqual(checkGraph(graphOf([])), []);
});

test("any acyclic graph in any order is sorted", () => {
  const scrambled = fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 30 }).chain((needs) => {
    const nodes = needs.map((from, index) => onnxNode("F", index === 0 ? ["x"] : from.map((each) => `v${each % index}`), [`v${index}`]));
    return fc.shuffledSubarray(nodes, { minLength: nodes.length });
  });
  fc.assert(
    fc.property(scrambled, (nodes) => {
      const order = checkGraph(graphOf(nodes));
      assert.deepEqual(new Set(order), new Set(nodes));
      const made = new Set(["x"]);
      for (const node of order) {
        assert.ok(node.inputs.every((name) => made.has(name)));
        for (const name of node.outputs) made.add(name);
      }
    }),
  );
});

test("a chain of 200,000 nodes in reverse is sorted without a deep stack", () => {
  const nodes = Array.from({ length: 200_000 }, (_, index) => relu(index === 0 ? "x" : `v${index - 1}`, `v${index}`));
  assert.deepEqual(checkGraph(graphOf(nodes.toReversed())).at(-1), nodes.at(-1));
});

test("a cycle is refused and a node on it named", () => {
  const nodes = [
    relu("x", "before"),
    onnxNode("Add", ["before", "c"], ["a"], {}, { name: "on the cycle" }),
    relu("c", "after"),
    onnxNode("Neg", ["a"], ["c"], {}, { name: "on the cycle" }),
  ];
  throwsWith(() => checkGraph(graphOf(nodes)), "CHECKPOINT_MALFORMED", /cycle: node "on the cycle"/);
  throwsWith(() => checkGraph(graphOf([onnxNode("Neg", ["a"], ["a"])])), "CHECKPOINT_MALFORMED", /cycle: node "Neg of a"/);
});

test("a value has one origin", () => {
  for (const graph of [
    graphOf([relu("x", "a"), relu("x", "a")]),
    graphOf([relu("x", "x")]),
    graphOf([relu("x", "w")], { weights: ["w"] }),
    graphOf([onnxNode("Split", ["x"], ["a", "a"])]),
    graphOf([], { inputs: ["x", "x"] }),
    graphOf([branch("y", "x", graphOf([relu("x", "y")], { inputs: [], outputs: ["y"] }))]),
  ])
    throwsWith(() => checkGraph(graph), "CHECKPOINT_DUPLICATE", /occurs twice/);
  checkGraph(graphOf([onnxNode("Split", ["x"], ["", ""])]));
});

test("a value that nothing defines is refused, in inner graphs too", () => {
  throwsWith(() => checkGraph(graphOf([relu("nothing", "a")])), "CHECKPOINT_MALFORMED", /node "to a" needs value "nothing"/);
  throwsWith(() => checkGraph(graphOf([], { outputs: ["nothing"] })), "CHECKPOINT_MALFORMED", /outputs needs? value "nothing"/);
  const inner = graphOf([relu("nothing", "inner")], { inputs: [] });
  throwsWith(() => checkGraph(graphOf([branch("y", "x", inner)])), "CHECKPOINT_MALFORMED", /"nothing"/);
  // What an inner graph defines is not seen around it.
  const defines = branch("y", "x", graphOf([relu("x", "inner")], { inputs: [], outputs: ["inner"] }));
  throwsWith(() => checkGraph(graphOf([defines, relu("inner", "z")])), "CHECKPOINT_MALFORMED", /"inner"/);
});

test("what inner graphs take from around them orders nodes, at any depth", () => {
  const deepest = graphOf([onnxNode("Add", ["late", "own"], ["sum"])], { inputs: ["own"], outputs: ["sum"] });
  const middle = graphOf([branch("deep", "flag", deepest)], { inputs: ["flag"], outputs: ["deep", "through"] });
  const outer = branch("y", "x", middle);
  assert.deepEqual(capturedNames(outer), new Set(["through", "late"]));
  assert.deepEqual(neededNames(outer), new Set(["x", "through", "late"]));
  const [late, through] = [relu("x", "late"), relu("x", "through")];
  assert.deepEqual(checkGraph(graphOf([outer, late, through])), [through, late, outer]);
  const cyclic = [outer, relu("y", "late"), through];
  throwsWith(() => checkGraph(graphOf(cyclic)), "CHECKPOINT_MALFORMED", /cycle/);
});
