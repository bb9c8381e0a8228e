import assert from "node:assert/strict";
import { test } from "node:test";
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import { sizeOf, type Layer } from "@unseen/fhe/layer.ts";
import { convolution, headOf, identityHead } from "./heads.fixture.ts";
import { Patches } from "./patches.ts";

const picture = { channels: 2, height: 23, width: 20 };

for (const [kernel, stride, pad, dilation] of [
  [1, 1, 0, 1],
  [3, 2, 1, 1],
  [5, 1, 0, 1],
  [7, 3, 0, 1],
  [3, 1, 2, 2],
  [2, 2, 0, 1],
] as const)
  test(`blocks cover each pixel once: kernel ${kernel}, stride ${stride}, pad ${pad}, dilation ${dilation}`, () => {
    const one = convolution({ input: picture, out: 3, kernel, stride, pad, dilation });
    const two = convolution({ input: one.output, out: 2, kernel: 3, stride: 2, pad: 1 });
    for (const layers of [[one], [one, two]]) {
      const patches = new Patches(headOf(layers));
      const seen = new Int32Array(sizeOf(picture));
      for (let block = 0; block < patches.blocks; block += 1) for (const place of patches.pixels(block)) if (place >= 0) seen[place]! += 1;
      assert.ok(seen.every((times) => times === 1));
    }
  });

test("the feature in the middle of sight is the one above the block, zeros lie beyond the edge", () => {
  const head = identityHead(6);
  const patches = new Patches(head);
  assert.equal(patches.outputs, 1);
  const values = Float32Array.from({ length: 36 }, (_, at) => at + 1);
  const guess = values.map((value) => -value);
  for (let block = 0; block < patches.blocks; block += 1) {
    const inputs = new Float64Array(patches.inputs);
    patches.look(Float32Array.from(runClear(head, Float64Array.from(values))), guess, block, inputs, 0);
    const [place] = patches.pixels(block);
    assert.equal(inputs[4], values[place!]);
    assert.equal(inputs[9 + 2 + 12], guess[place!]);
    if (place! < 6) assert.deepEqual([...inputs.subarray(0, 3)], [0, 0, 0]);
  }
});

test("a vector is in sight of one block, the whole picture", () => {
  const dense: Layer = {
    kind: "dense",
    value: "d",
    title: "",
    input: picture,
    output: { channels: 7, height: 1, width: 1 },
    weight: new Float64Array(7 * sizeOf(picture)),
    bias: new Float64Array(7),
  };
  const patches = new Patches(headOf([dense]));
  assert.deepEqual([patches.blocks, patches.inputs], [1, 7]);
  assert.deepEqual(
    [...patches.pixels(0)],
    Array.from({ length: sizeOf(picture) }, (_, at) => at),
  );
});
