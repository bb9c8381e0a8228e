import assert from "node:assert/strict";
import { test } from "node:test";
import type { Recipe } from "@unseen/core/blueprint/recipe.ts";
import { elementOf } from "@unseen/core/blueprint/recipe.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import fc from "fast-check";
import { isIsometric } from "./isometry.ts";
import { AxisElements, volume } from "./tensor.ts";
import { leaf, SECRET } from "./toy-host.fixture.ts";

const maps = ["none", "permutation", "orthogonal", "ones", "general"] as const;
const recipe = (id: string, size: number): fc.Arbitrary<Recipe | null> =>
  fc.option(fc.constantFrom(...maps).map((map) => leaf(id, size, map)));

const shapeAndRecipes = fc
  .array(fc.integer({ min: 1, max: 5 }), { minLength: 0, maxLength: 3 })
  .chain((sizes) =>
    fc.tuple(fc.constant(sizes), fc.tuple(...sizes.map((size, axis) => recipe(`axis${axis}`, size))), fc.integer({ min: 1, max: 3 })),
  );

test("what is enciphered along its axes deciphers to itself", () => {
  fc.assert(
    fc.property(shapeAndRecipes, ([sizes, recipes, batch]) => {
      const shape = [batch, ...sizes];
      const elements = new AxisElements("x", [null, ...recipes], SECRET);
      const plain = Float64Array.from({ length: volume(shape) }, (_, i) => Math.sin(i + 1));
      const tensor = { shape, values: plain.slice() };
      elements.encipher(tensor);
      elements.decipher(tensor);
      plain.forEach((value, i) => assert.ok(Math.abs(tensor.values[i]! - value) < 1e-9));
    }),
    { numRuns: 200 },
  );
});

test("along one axis each vector is multiplied by the element's matrix, whatever axes lie around", () => {
  const size = 4;
  const general = leaf("general", size, "general");
  const element = elementOf(general, SECRET)!;
  const matrix = new Float64Array(size * size); // column j: the image of unit vector j
  for (let i = 0; i < size; i++) matrix[i * size + i] = 1;
  element.apply(matrix, size);
  for (const axis of [1, 2, 3]) {
    const shape = [2, 3, 3, 3].with(axis, size);
    const recipes = shape.map((_, place) => (place === axis ? general : null));
    const plain = Float64Array.from({ length: volume(shape) }, (_, i) => Math.cos(i));
    const tensor = { shape, values: plain.slice() };
    new AxisElements("x", recipes, SECRET).encipher(tensor);
    const inner = volume(shape.slice(axis + 1));
    for (let place = 0; place < plain.length; place++) {
      const j = Math.floor(place / inner) % size;
      const start = place - j * inner;
      const expected = Array.from({ length: size }, (_, i) => plain[start + i * inner]! * matrix[j * size + i]!).reduce((a, b) => a + b);
      assert.ok(Math.abs(tensor.values[place]! - expected) < 1e-12);
    }
  }
});

test("recipes that do not fit the tensor are BUNDLE_INVALID, before anything large is derived", () => {
  const refused = (work: () => unknown): void => assert.throws(work, (error: UnseenError) => error.code === "BUNDLE_INVALID");
  const elements = new AxisElements("x", [null, leaf("a", 4, "permutation")], SECRET);
  refused(() => elements.encipher({ shape: [1, 5], values: new Float64Array(5) }));
  refused(() => elements.encipher({ shape: [4], values: new Float64Array(4) }));
  refused(() => new AxisElements("x", [leaf("batch", 4, "permutation")], SECRET));
  refused(() => new AxisElements("x", [null, leaf("huge", 2 ** 27, "permutation")], SECRET).inverse(1));
  assert.equal(elements.fits([7, 4]), true);
  assert.equal(elements.fits([7, 5]), false);
  assert.equal(elements.fits([4]), false);
});

test("permutations, signs and rotations keep lengths; scales and general maps do not", () => {
  const scaled: Recipe = { ...leaf("s", 16, "permutation"), scales: [{ id: "g", power: 1 }] } as Recipe;
  const signed: Recipe = { ...leaf("s", 16, "permutation"), signs: ["g"] } as Recipe;
  const isometric = (of: Recipe): boolean => isIsometric(elementOf(of, SECRET)!.inverse());
  assert.equal(isIsometric(null), true);
  for (const map of ["permutation", "orthogonal", "ones"] as const) assert.equal(isometric(leaf("x", 48, map)), true, map);
  assert.equal(isometric(signed), true);
  assert.equal(isometric(scaled), false);
  assert.equal(isometric(leaf("x", 16, "general")), false);
});
