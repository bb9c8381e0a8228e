import assert from "node:assert/strict";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import { ToyLanguage } from "../language.fixture.ts";
import { seeded } from "../seed.ts";
import { BigramModel } from "./ngrams.ts";
import { SearchState } from "./search-state.ts";
import { Traffic } from "./traffic.ts";

const VOCABULARY = 40;
const language = new ToyLanguage(VOCABULARY, 1);
const model = new BigramModel(language.texts(40, 50, 1), VOCABULARY);
// Few texts, so that some ids do not occur; doubled words, so that an id follows itself.
const texts = [...language.texts(2, 20, 2), Uint32Array.from([5, 5, 5, 6, 5, 6, 6, 5])];

test("symbols are cipher ids by frequency, the unseen ones last", () => {
  const traffic = new Traffic([Uint32Array.from([7, 3, 7, 7, 3, 1])], 9);
  assert.equal(traffic.seen, 3);
  assert.equal(traffic.tokens, 6);
  assert.deepEqual([...traffic.cipherOf.subarray(0, 3)], [7, 3, 1]);
  assert.deepEqual([...traffic.counts], [3, 2, 1, 0, 0, 0, 0, 0, 0]);
  assert.ok(traffic.cipherOf.every((cipher, symbol) => traffic.symbolOf[cipher] === symbol));
});

test("the gain of an exchange is the difference of the totals, whatever the two symbols are to each other", () => {
  const traffic = new Traffic(texts, VOCABULARY);
  assert.ok(traffic.seen < VOCABULARY);
  const random = seeded(1, "gain");
  const state = new SearchState(traffic, model, permutation(random, VOCABULARY));
  let beside = 0;
  for (let move = 0; move < 2000; move += 1) {
    // Each symbol with each, itself and those that do not occur among them.
    const [x, y] = [random.below(VOCABULARY), random.below(VOCABULARY)];
    const row = traffic.followers.ids.subarray(traffic.followers.start[x], traffic.followers.start[x + 1]);
    beside += Number(row.includes(y));
    const before = state.total();
    const gain = state.gain(x, y);
    state.swap(x, y);
    assert.ok(Math.abs(state.total() - before - gain) < 1e-9, `${x} and ${y}`);
  }
  assert.ok(beside > 20);
});

test("the total is the log-likelihood of the traffic as read", () => {
  const traffic = new Traffic(texts, VOCABULARY);
  const state = new SearchState(traffic, model, permutation(seeded(2, "total"), VOCABULARY));
  const mapping = state.mapping();
  let expected = 0;
  for (const text of texts)
    for (let place = 1; place < text.length; place += 1)
      expected += model.logProbability(mapping[text[place - 1]!]!, mapping[text[place]!]!);
  assert.ok(Math.abs(state.total() - expected) < 1e-9);
});

test("a state stays one to one, and says nothing of ids that do not occur", () => {
  const traffic = new Traffic(texts, VOCABULARY);
  const state = new SearchState(traffic, model, permutation(seeded(3, "state"), VOCABULARY));
  state.swap(0, VOCABULARY - 1);
  state.swap(4, 4);
  assert.deepEqual(
    [...state.plain].toSorted((a, b) => a - b),
    [...Array(VOCABULARY).keys()],
  );
  assert.ok(state.plain.every((plain, symbol) => state.symbolOf[plain] === symbol));
  const mapping = state.mapping();
  for (const [symbol, cipher] of traffic.cipherOf.entries())
    assert.equal(mapping[cipher], symbol < traffic.seen ? state.plain[symbol] : -1);
});
