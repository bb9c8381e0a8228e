import assert from "node:assert/strict";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import { RANKS } from "../guess.ts";
import { ToyLanguage } from "../language.fixture.ts";
import { seeded } from "../seed.ts";
import { decipher } from "./decipher.ts";
import { BigramModel } from "./ngrams.ts";
import { propagate } from "./propagation.ts";
import { SearchState } from "./search-state.ts";
import { Traffic } from "./traffic.ts";

const VOCABULARY = 300;
const language = new ToyLanguage(VOCABULARY, 1);
const model = new BigramModel(language.texts(800, 50, 1), VOCABULARY);
const alien = new BigramModel(new ToyLanguage(VOCABULARY, 2).texts(300, 50, 1), VOCABULARY);
const key = permutation(seeded(1, "key"), VOCABULARY);
const traffic = new Traffic(
  language.texts(400, 50, 2).map((text) => text.map((plain) => key[plain]!)),
  VOCABULARY,
);
const truth = Int32Array.from(traffic.cipherOf, (cipher) => key.indexOf(cipher));
const nothing = new Int32Array(VOCABULARY).fill(-1);
const known = truth.map((plain, symbol) => (symbol % 15 === 0 ? plain : -1));
const always = async (): Promise<boolean> => true;

/** Share of the seen symbols, beyond those that were given, that are read right. */
function right(plain: ArrayLike<number>, given: Int32Array): number {
  const asked = [...Array(traffic.seen).keys()].filter((symbol) => given[symbol] === -1);
  return asked.filter((symbol) => plain[symbol] === truth[symbol]).length / asked.length;
}

test("one symbol in fifteen gives the others, one to one", async () => {
  const reading = await propagate(traffic, model, known, nothing, always);
  assert.ok(reading.finished);
  assert.ok(right(reading.plain, known) > 0.8, `${right(reading.plain, known)}`);
  const read = [...reading.plain].filter((plain) => plain >= 0);
  assert.equal(new Set(read).size, read.length);
  for (const [symbol, plain] of known.entries()) if (plain >= 0) assert.equal(reading.plain[symbol], plain);
});

test("what is likely comes first, and what is certain is nobody else's", async () => {
  const { plain, ranked } = await propagate(traffic, model, known, nothing, always);
  const taken = new Set(known.filter((id) => id >= 0));
  let [best, among] = [0, 0];
  for (let symbol = 0; symbol < traffic.seen; symbol += 1) {
    const row = [...ranked.subarray(symbol * RANKS, (symbol + 1) * RANKS)].filter((id) => id >= 0);
    assert.equal(new Set(row).size, row.length);
    if (known[symbol]! >= 0) {
      assert.deepEqual(row, [known[symbol]]);
      continue;
    }
    assert.ok(row.every((id) => !taken.has(id)));
    assert.ok(plain[symbol] === -1 || row.includes(plain[symbol]!));
    best += Number(row[0] === truth[symbol]);
    among += Number(row.includes(truth[symbol]!));
  }
  assert.ok(among > best && best > 200);
});

test("another language gives chance", async () => {
  assert.ok(right((await propagate(traffic, alien, known, nothing, always)).plain, known) < 0.05);
});

test("frequency alone is enough to begin with, and the likeliest beginning is kept", async () => {
  const read = await decipher(traffic, model, nothing, always);
  assert.ok(right(read.order, nothing) > 0.8, `${right(read.order, nothing)}`);
  assert.deepEqual(
    [...read.order].toSorted((a, b) => a - b),
    [...Array(VOCABULARY).keys()],
  );
  assert.equal(new SearchState(traffic, model, read.order).total(), read.logLikelihood);
  assert.ok(right((await decipher(traffic, alien, nothing, always)).order, nothing) < 0.05);
});

test("when the time is up, what was read so far is there", async () => {
  let looks = 0;
  const reading = await propagate(traffic, model, known, nothing, async () => (looks += 1) < 8);
  assert.equal(reading.finished, false);
  assert.ok(right(reading.plain, known) > 0.1);
  const read = await decipher(traffic, model, nothing, async () => false);
  assert.equal(read.finished, false);
  assert.equal(new Set(read.order).size, VOCABULARY);
});
