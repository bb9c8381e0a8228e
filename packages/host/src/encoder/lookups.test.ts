import assert from "node:assert/strict";
import { test } from "node:test";
import { onnxNode } from "@unseen/core/checkpoint/onnx-encode.ts";
import { tensorOf } from "@unseen/core/checkpoint/onnx-tensor.ts";
import type { OnnxGraph, OnnxNode } from "@unseen/core/checkpoint/onnx.ts";
import { lookupsOf, type Lookup } from "./lookups.ts";

const table = (rows: number): ReturnType<typeof tensorOf> => tensorOf("", "float32", [rows, 1], new Uint8Array(rows * 4));
const initializers = new Map([
  ["words", table(50)],
  ["positions", table(9)],
  ["one", tensorOf("one", "int64", [1], new Uint8Array(8))],
]);

function uses(...nodes: OnnxNode[]): Lookup {
  const graph: OnnxGraph = {
    name: "",
    nodes,
    initializers,
    inputs: [{ name: "ids", type: "int64", shape: ["b", "s"] }],
    outputs: [],
    values: new Map(),
  };
  return lookupsOf(graph, "ids");
}

const gather = onnxNode("Gather", ["words", "ids"], ["word"]);

test("a table's rows limit the ids, also behind a cast and in any order of nodes", () => {
  assert.deepEqual(uses(gather), { rows: 50, isCausal: true });
  assert.deepEqual(uses(onnxNode("Gather", ["words", "cast"], ["word"]), onnxNode("Cast", ["ids"], ["cast"])), {
    rows: 50,
    isCausal: true,
  });
  assert.deepEqual(uses(gather, onnxNode("Shape", ["ids"], ["shape"])), { rows: 50, isCausal: true });
  assert.deepEqual(uses(gather, onnxNode("Gather", ["positions", "ids"], ["other"])), { rows: 9, isCausal: true });
});

test("a table may be quantised or computed", () => {
  const stored = onnxNode("DequantizeLinear", ["words", "one"], ["table"]);
  assert.deepEqual(uses(onnxNode("Gather", ["table", "ids"], ["word"]), stored), { rows: 50, isCausal: true });
  const computed = onnxNode("MatMul", ["words", "positions"], ["table"]);
  assert.deepEqual(uses(onnxNode("Gather", ["table", "ids"], ["word"]), computed), { rows: null, isCausal: true });
});

test("positions counted from ids look back only, and their table limits no ids", () => {
  const counted = [
    onnxNode("Equal", ["ids", "one"], ["padding"]),
    onnxNode("Not", ["padding"], ["own"]),
    onnxNode("Cast", ["own"], ["number"]),
    onnxNode("CumSum", ["number", "one"], ["count"]),
    onnxNode("Add", ["count", "one"], ["position"]),
    onnxNode("Gather", ["positions", "position"], ["place"]),
  ];
  assert.deepEqual(uses(gather, ...counted), { rows: 50, isCausal: true });
  const backwards = onnxNode("CumSum", ["number", "one"], ["count"], { reverse: { kind: "int", value: 1 } });
  assert.equal(uses(gather, ...counted.with(3, backwards)).isCausal, false);
});

test("a search through the row is not causal", () => {
  assert.equal(uses(gather, onnxNode("ArgMax", ["ids"], ["end"])).isCausal, false);
  assert.equal(uses(gather, onnxNode("Equal", ["ids", "one"], ["ends"]), onnxNode("ReduceMax", ["ends"], ["any"])).isCausal, false);
  assert.equal(uses(onnxNode("Gather", ["ids", "one"], ["first"])).isCausal, false, "ids as the table");
});

test("what a sub-graph does with ids is not known", () => {
  const body: OnnxGraph = { name: "", nodes: [gather], initializers: new Map(), inputs: [], outputs: [], values: new Map() };
  assert.equal(uses(gather, onnxNode("If", ["one"], ["either"], { then_branch: { kind: "graph", value: body } })).isCausal, false);
});
