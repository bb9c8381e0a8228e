import assert from "node:assert/strict";
import { test } from "node:test";
import { ToyLanguage } from "../language.fixture.ts";
import { BigramModel } from "./ngrams.ts";

const VOCABULARY = 60;
const texts = new ToyLanguage(VOCABULARY, 1).texts(20, 50, 1);
const model = new BigramModel(texts, VOCABULARY);

test("what may follow an id sums to one, after frequent, rare and unseen ids", () => {
  const sparse = new BigramModel([[0, 1, 1, 2, 0, 1]], 50);
  for (const [each, size] of [
    [model, VOCABULARY],
    [sparse, 50],
  ] as const)
    for (let a = 0; a < size; a += 1) {
      let sum = 0;
      for (let b = 0; b < size; b += 1) sum += Math.exp(each.logProbability(a, b));
      assert.ok(Math.abs(sum - 1) < 1e-5, `after ${a}: ${sum}`);
    }
});

test("Witten and Bell's interpolation, by hand", () => {
  // 0 is followed by 1 twice and by 2 once: two of five parts go to what is new.
  const small = new BigramModel([[0, 1, 0, 1, 0, 2]], 4);
  const share = (count: number): number => (count + 0.1) / (6 + 0.4);
  assert.ok(Math.abs(Math.exp(small.logProbability(0, 1)) - (2 / 5 + (2 / 5) * share(2))) < 1e-6);
  assert.ok(Math.abs(Math.exp(small.logProbability(0, 2)) - (1 / 5 + (2 / 5) * share(1))) < 1e-6);
  assert.ok(Math.abs(Math.exp(small.logProbability(0, 3)) - (2 / 5) * share(0)) < 1e-6);
  // Nothing follows 2: frequency is all there is.
  assert.ok(Math.abs(Math.exp(small.logProbability(2, 0)) - share(3)) < 1e-6);
});

test("text of the language is likelier than the same words in another order", () => {
  const unseen = new ToyLanguage(VOCABULARY, 1).texts(5, 50, 2);
  const likelihood = (lists: readonly ArrayLike<number>[]): number => {
    let sum = 0;
    for (const list of lists)
      for (let place = 1; place < list.length; place += 1) sum += model.logProbability(list[place - 1]!, list[place]!);
    return sum;
  };
  assert.ok(likelihood(unseen) > likelihood(unseen.map((text) => text.toSorted())) + 100);
});

test("excess is what a pair has beyond its two ids, and never negative", () => {
  for (const side of ["followers", "predecessors"] as const) {
    const { start, ids } = model[side];
    const excess = model.excess(side);
    for (let row = 0; row < VOCABULARY; row += 1)
      for (let i = start[row]!; i < start[row + 1]!; i += 1) {
        const [a, b] = side === "followers" ? [row, ids[i]!] : [ids[i]!, row];
        const expected = model.logProbability(a, b) - model.logBackoff[a]! - model.logUnigram[b]!;
        assert.ok(expected > 0 && Math.abs(excess[i]! - expected) < 1e-5);
      }
  }
});

test("ids by frequency, those that occur first", () => {
  const small = new BigramModel([[3, 3, 1]], 5);
  assert.equal(small.occurring, 2);
  assert.deepEqual([...small.order.subarray(0, 2)], [3, 1]);
});
