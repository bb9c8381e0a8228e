import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../seed.ts";
import { drawChest, drawPictures } from "./synthetic.ts";

const shape = { channels: 1, height: 28, width: 28 };
const mean = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum + byte, 0) / bytes.length;

test("lungs are darker than the body, and a shadow makes one brighter", () => {
  const [clear, shadowed] = [false, true].map((shadow) => drawChest(seeded(3, "chest"), shadow)) as [Uint8Array, Uint8Array];
  const region = (of: Uint8Array, x: number, y: number): number =>
    mean(of.filter((_, at) => Math.hypot((at % 28) - x, Math.floor(at / 28) - y) < 2));
  for (const lung of [9, 19]) assert.ok(region(clear, 14, 12) > region(clear, lung, 12) + 30);
  assert.ok(region(clear, 14, 12) > mean(clear.subarray(0, 3)) + 50);
  assert.ok(mean(shadowed) > mean(clear) + 1);
});

test("the same seed draws the same, another something else, of any size", () => {
  const counts = { train: 12, test: 8, seed: 1 };
  const drawn = drawPictures(shape, counts);
  assert.deepEqual(drawPictures(shape, counts), drawn);
  assert.notDeepEqual(drawPictures(shape, { ...counts, seed: 2 }).train.bytes, drawn.train.bytes);
  assert.notDeepEqual(drawn.train.bytes.subarray(0, 784), drawn.test.bytes.subarray(0, 784));
  assert.deepEqual([...new Set(drawn.train.labels[0]!.values)].toSorted(), [0, 1]);
  assert.equal(drawPictures({ channels: 3, height: 20, width: 40 }, counts).test.bytes.length, 8 * 3 * 20 * 40);
});
