import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compile } from "@unseen/fhe/compile/compile.ts";
import { convolution, Draws, headOf, randomHead, randomPicture } from "@unseen/fhe/compile/random-head.fixture.ts";
import { nominalChain } from "@unseen/fhe/compile/nominal-chain.ts";
import { simulate } from "@unseen/fhe/compile/simulate.ts";
import { trackResults } from "@unseen/fhe/evaluator/track.ts";
import { sizeOf, type Head, type Layer } from "@unseen/fhe/layer.ts";
import { deep, exact, type Parameters } from "@unseen/fhe/parameters.ts";
import { headOfOutline, outlineOf } from "./outline.ts";
import { outlineSchema, type PublishedCut } from "./protocol.ts";

/** What a user makes of a published head. */
function published(head: Head, parameters: Parameters): Head {
  const { channels, height, width } = head.output;
  const outline = outlineSchema.parse(JSON.parse(JSON.stringify(outlineOf(head))));
  const normalise = head.normalise && { factor: [...head.normalise.factor], summand: [...head.normalise.summand] };
  const cut = { outline, normalise, value: head.value, features: [channels, height, width], parameters } as unknown as PublishedCut;
  return headOfOutline(cut, [head.shape.channels, head.shape.height, head.shape.width]);
}

/** The same head with a part of its weights zero, as sparse models have them. */
function sparse(head: Head, draws: Draws): Head {
  const thin = (layer: Layer): Layer =>
    "weight" in layer ? { ...layer, weight: layer.weight.map((value) => (draws.whole(0, 2) === 0 ? 0 : value)) } : layer;
  return { ...head, layers: head.layers.map(thin) };
}

describe("an outline", () => {
  test("packs pictures and unpacks features as the creator's own layers do", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const draws = new Draws(seed);
      const head = sparse(randomHead(draws, { channels: draws.whole(1, 3), height: 6, width: 5 }, draws.whole(1, 2)), draws);
      const own = compile(head, deep);
      const user = compile(published(head, deep), deep, { gains: own.gains });
      assert.deepEqual([user.inputs, user.outputs.length, user.relinearises], [own.inputs, own.outputs.length, own.relinearises]);
      const chain = nominalChain(deep);
      assert.deepEqual(trackResults(user, chain), trackResults(own, chain), "results have the level and scale that the user expects");
      const picture = randomPicture(draws, head.shape);
      assert.deepEqual(user.pack(picture), own.pack(picture));
      const slots = simulate(own, own.pack(picture), { noise: 0, uniform: () => 0.5 });
      assert.deepEqual(user.unpack(slots), own.unpack(slots));
      assert.equal(user.unpack(slots).length, sizeOf(head.output));
    }
  });

  test("holds no weight", () => {
    const head = randomHead(new Draws(5), { channels: 1, height: 6, width: 6 }, 2);
    const text = JSON.stringify(outlineOf(head));
    for (const layer of head.layers)
      if ("weight" in layer) for (const weight of layer.weight) assert.ok(weight === 0 || !text.includes(String(weight)));
  });

  test("of whole numbers packs alike", () => {
    const shape = { channels: 1, height: 6, width: 6 };
    const head = headOf(shape, [convolution(new Draws(9), shape, 3, { pads: [1, 1, 1, 1] })]);
    const picture = Float64Array.from({ length: 36 }, (_, index) => index / 255);
    assert.deepEqual(compile(published(head, exact), exact).pack(picture), compile(head, exact).pack(picture));
  });
});
