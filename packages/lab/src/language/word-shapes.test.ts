import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeModel, shapeOf } from "./word-shapes.ts";

test("tokens of one shape share a number, others do not", () => {
  const alike = [
    [".", "!", '."', "?"],
    [",", " -", ";"],
    [" the", " of"],
    [" The", " Once"],
    ["ing", "ed"],
    [" 12", "7"],
    ["\n", "  "],
    ["'s", "’ll"],
    ["", "\u0000x", "a1"],
  ];
  const shapes = alike.map((tokens) => new Set(tokens.map(shapeOf)));
  for (const [index, shape] of shapes.entries()) assert.equal(shape.size, 1, JSON.stringify(alike[index]));
  assert.equal(new Set(shapes.flatMap((shape) => [...shape])).size, alike.length);
});

test("the model knows that a capital follows a full stop, also for words that it never saw there", () => {
  const spelling = [".", " The", " the", " dog", " One", " ran", " one"];
  const texts = Array.from({ length: 30 }, () => Uint32Array.from([1, 3, 5, 0, 1, 3, 5, 0]));
  const model = new ShapeModel(texts, spelling, spelling.length);
  assert.ok(model.logProbability(0, 4) > model.logProbability(0, 6) + 1);
  assert.ok(model.logProbability(3, 5) > model.logProbability(3, 1) + 1);
  // Which words follow each other is not known to it: "dog ran" and "ran dog" are words after words.
  assert.ok(Math.abs(model.logProbability(5, 3) - model.logProbability(3, 5)) < 1e-9);
});
