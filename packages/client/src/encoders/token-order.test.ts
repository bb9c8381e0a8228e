import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientInterface } from "@unseen/core/blueprint/interface.ts";
import type { LeafMap, Recipe } from "@unseen/core/blueprint/recipe.ts";
import type { UnseenError } from "@unseen/core/errors.ts";
import fc from "fast-check";
import { leaf, ordered, orderOf, SECRET, toyClassifier, toyEmbedder } from "./toy-host.fixture.ts";
import { volume } from "./tensor.ts";
import { cutAlong, TokenOrder } from "./token-order.ts";

const { ends } = ordered(toyEmbedder("orthogonal"), 16);
const order = TokenOrder.of(ends, SECRET)!;
const iota = Array.from({ length: 16 }, (_, place) => place);
/** Which plain place each sent place shows. */
const places = order.send({ ids: iota, segments: null }, -1).ids;

test("one key has one order, which keeps the first token and moves most others", () => {
  assert.equal(order.length, 16);
  assert.equal(places[0], 0);
  assert.deepEqual(
    places.toSorted((one, other) => one - other),
    iota,
  );
  assert.ok(places.filter((place, at) => place === at).length < 6);
  const other = TokenOrder.of(ends, SECRET.toReversed())!;
  assert.notDeepEqual(other.send({ ids: iota, segments: null }, -1).ids, places);
});

test("ids, mask and segments of any text move together, and padding fills the rest", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 16 }), (ids) => {
      const segments = ids.map((_, place) => place % 2);
      const sent = order.send({ ids, segments }, 77);
      places.forEach((place, at) => {
        assert.equal(sent.ids[at], ids[place] ?? 77);
        assert.equal(sent.mask[at], Number(place < ids.length));
        assert.equal(sent.segments![at], segments[place] ?? 0);
      });
      assert.equal(order.send({ ids, segments: null }, 77).segments, null);
    }),
  );
});

test("a model without an order has none", () => {
  assert.equal(TokenOrder.of(toyEmbedder("orthogonal").ends, SECRET), null);
  assert.ok(order.runsAlong(orderOf(16)));
  assert.ok(!order.runsAlong(orderOf(15)) && !order.runsAlong(null));
});

const within = (map: LeafMap, changes: object = {}): Recipe => ({ kind: "sum", parts: [leaf("", 1, "none"), { ...leaf("order", 15, map), ...changes }] as Recipe[] }); // prettier-ignore
const withOrder = (recipe: Recipe, length = 16): ClientInterface => {
  const inputs = ends.inputs.map((input) => ({ ...input, order: recipe }) as (typeof ends.inputs)[number]);
  return { ...ends, inputs, fixedLength: length };
};
const [ids, mask, segments] = ends.inputs as readonly [(typeof ends.inputs)[0], (typeof ends.inputs)[0], (typeof ends.inputs)[0]];
const wrong: readonly (readonly [name: string, ends: ClientInterface, message: RegExp])[] = [
  ["an order without a length", { ...ends, fixedLength: null }, /fixedLength/],
  ["a length without an order", { ...toyEmbedder("orthogonal").ends, fixedLength: 16 }, /same secret order/],
  ["another length than the order's", { ...ends, fixedLength: 17 }, /order of 17 tokens/],
  ["a length that no request could carry", { ...ends, fixedLength: 1 << 24 }, /at most/],
  ["no mask", { ...ends, inputs: [ids, segments] }, /a mask/],
  ["a mask as it stands", { ...ends, inputs: [ids, { name: "attention_mask", kind: "mask" }, segments] }, /same secret order/],
  ["a mask in another order", { ...ends, inputs: [ids, { ...mask, order: within("permutation", { id: "other" }) } as typeof mask, segments] }, /same secret order/], // prettier-ignore
  ["places of the highest ids", { ...ends, inputs: [...ends.inputs, { name: "peak", kind: "peaks", of: "input_ids" }] }, /tokens alone/],
  ["numbers beside tokens", { ...ends, inputs: [...ends.inputs, { name: "x", kind: "tensor", axes: [null] }] }, /tokens alone/],
  ["an order that mixes ids", withOrder(within("orthogonal")), /only moves/],
  ["an order that changes signs", withOrder(within("permutation", { signs: ["sign"] })), /only moves/],
  ["an order that scales", withOrder(within("permutation", { scales: [{ id: "scale", power: 1 }] })), /only moves/],
  ["an order that moves the first token away", { ...withOrder(leaf("order", 16, "permutation")), pooling: "cls" }, /keeps the first/],
];
for (const [name, value, message] of wrong) {
  test(`${name} is BUNDLE_INVALID`, () => {
    assert.throws(
      () => TokenOrder.of(value, SECRET),
      (error: UnseenError) => error.code === "BUNDLE_INVALID" && message.test(error.message),
    );
  });
}

test("a classifier's order needs no token axis in its output", () => {
  assert.equal(TokenOrder.of(ordered(toyClassifier(["a", "b"]), 8).ends, SECRET)!.length, 8);
});

test("a tensor is cut along any axes", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), fc.nat(), fc.nat(5), (shape, seed, length) => {
      const axes = shape.flatMap((_, axis) => ((seed >> axis) & 1 ? [axis] : []));
      const kept = Math.max(1, length);
      const cut = cutAlong({ shape, values: Float64Array.from({ length: volume(shape) }, (_, i) => i) }, axes, kept);
      assert.deepEqual(
        cut.shape,
        shape.map((size, axis) => (axes.includes(axis) ? Math.min(size, kept) : size)),
      );
      const strides = shape.map((_, axis) => volume(shape.slice(axis + 1)));
      cut.values.forEach((value, at) => {
        const index = cut.shape.map((size, axis) => Math.floor(at / volume(cut.shape.slice(axis + 1))) % size);
        assert.equal(value, index.reduce((sum, place, axis) => sum + place * strides[axis]!, 0)); // prettier-ignore
      });
      assert.equal(cut.values.length, volume(cut.shape));
    }),
  );
});
