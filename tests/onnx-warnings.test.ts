/**
 * What stays in clear of an ONNX model is said aloud when it is encrypted.
 * @module
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodeOnnx, onnxNode } from "@unseen/core/checkpoint/onnx-encode.ts";
import { runCommand, temporaryDirectory } from "./command-line.ts";

test("encrypt warns of names inside operators, of inputs in clear, and of a model that no key acts on", async () => {
  const place = temporaryDirectory("warnings");
  const source = join(place, "model.onnx");
  const labels = { kind: "strings", value: [Buffer.from("malignant"), Buffer.from("benign")] } as const;
  const keys = { kind: "ints", value: [0, 1] } as const;
  const bytes = encodeOnnx({
    nodes: [
      onnxNode("ArgMax", ["x"], ["place"], { axis: { kind: "int", value: 1 }, keepdims: { kind: "int", value: 0 } }),
      onnxNode("LabelEncoder", ["place"], ["label"], { keys_int64s: keys, values_strings: labels }, { domain: "ai.onnx.ml" }),
    ],
    inputs: [{ name: "x", type: "float32", shape: ["batch", 2] }],
    outputs: [{ name: "label", type: "string", shape: ["batch"] }],
    opsets: new Map([
      ["", 17],
      ["ai.onnx.ml", 3],
    ]),
  });
  writeFileSync(source, bytes);
  const { code, stderr } = await runCommand(["encrypt", source, "--no-measure", "--json"], { home: place });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /the host will see x IN CLEAR/);
  assert.match(stderr, /the host will see texts IN CLEAR, inside ai\.onnx\.ml:LabelEncoder \(2\)/);
  assert.match(stderr, /only 0\.0 % of this model's weights are under the key/);
  assert.doesNotMatch(stderr, /malignant/);
});
