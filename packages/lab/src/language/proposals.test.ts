import assert from "node:assert/strict";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import { ToyLanguage } from "../language.fixture.ts";
import { seeded } from "../seed.ts";
import { BigramModel } from "./ngrams.ts";
import { Proposals } from "./proposals.ts";
import { SearchState } from "./search-state.ts";
import { Traffic } from "./traffic.ts";

const VOCABULARY = 200;
const language = new ToyLanguage(VOCABULARY, 1);
const model = new BigramModel(language.texts(100, 50, 1), VOCABULARY);
const key = permutation(seeded(1, "key"), VOCABULARY);
const traffic = new Traffic(
  language.texts(40, 50, 2).map((text) => text.map((plain) => key[plain]!)),
  VOCABULARY,
);
const truth = Uint32Array.from(traffic.cipherOf, (cipher) => key.indexOf(cipher));

/** Share of draws that would undo one wrong exchange, of those for a symbol of it. */
function mending(context: BigramModel | null): number {
  const random = seeded(1, "mending");
  const state = new SearchState(traffic, model, truth);
  const [wrong, far] = [10, 120];
  state.swap(wrong, far);
  const source = new Proposals(state, random, context);
  let [all, right] = [0, 0];
  for (let draw = 0; draw < 200_000; draw += 1) {
    source.draw();
    if (source.x !== wrong) continue;
    all += 1;
    right += Number(source.y === far);
  }
  return right / all;
}

test("the context proposes what fits beside the neighbours, far from it in frequency", () => {
  const byChance = 1 / VOCABULARY;
  assert.ok(mending(model) > 2 * byChance, `${mending(model)}`);
  assert.ok(mending(null) < byChance / 10);
});

test("symbols that occur are drawn, common ones more often, and the same ones for a seed", () => {
  const draw = (): number[] => {
    const source = new Proposals(new SearchState(traffic, model, truth), seeded(2, "draws"), model);
    return Array.from({ length: 4000 }, () => {
      source.draw();
      assert.ok(source.x < traffic.seen && source.y >= 0 && source.y < VOCABULARY);
      return source.x * VOCABULARY + source.y;
    });
  };
  const drawn = draw();
  assert.deepEqual(draw(), drawn);
  const common = drawn.filter((pair) => Math.floor(pair / VOCABULARY) < traffic.seen / 2).length;
  assert.ok(common > 2400);
});
