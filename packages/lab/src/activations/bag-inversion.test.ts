import assert from "node:assert/strict";
import { test } from "node:test";
import { ToyLanguage } from "../language.fixture.ts";
import { matrix, rowOf, takeRows, type Matrix } from "../numeric/matrix.ts";
import { seeded } from "../seed.ts";
import { BagInversion, bagsOf, tokensIn, tokensOfAll } from "./bag-inversion.ts";

const WIDTH = 48;
const texts = new ToyLanguage(200, 1).texts(500, 8, 1);
const bags = bagsOf(texts, new Set());
const tokens = tokensIn({ bags });
const own = gaussian(tokens.length, 2);

function gaussian(rows: number, seed: number): Matrix {
  const random = seeded(seed, "vectors");
  return matrix(
    rows,
    WIDTH,
    Float64Array.from({ length: rows * WIDTH }, () => random.gaussian()),
  );
}

/** The sum of its tokens' vectors, which is nearly what a mean-pooled encoder makes of a text. */
function pooled(): Matrix {
  const out = matrix(bags.length, WIDTH);
  for (const [text, bag] of bags.entries())
    for (const id of bag) for (const [k, value] of rowOf(own, tokens.indexOf(id)).entries()) out.values[text * WIDTH + k]! += value;
  return out;
}

const rows = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);
const held = bags.slice(400);

/** Share of the held-out texts' tokens that are found. */
function recovered(found: readonly ReadonlySet<number>[]): number {
  let [right, all] = [0, 0];
  for (const [index, bag] of held.entries())
    for (const id of bag) {
      all += 1;
      right += Number(found[index]?.has(id));
    }
  return right / all;
}

/** Trained on the first texts, asked about the others. */
function run(vectors: Matrix, alone = true): { inverted: number; frequent: number } {
  const corpus = { vectors: takeRows(vectors, rows(0, 400)), bags: bags.slice(0, 400) };
  const places = tokensIn(corpus).map((id) => tokens.indexOf(id));
  const inversion = new BagInversion(corpus, alone ? takeRows(own, places) : null);
  const sizes = held.map(({ size }) => size);
  return {
    inverted: recovered(inversion.invert(takeRows(vectors, rows(400, 500)), sizes)),
    frequent: recovered(sizes.map((size) => inversion.frequent(size))),
  };
}

test("tokens come back from a vector that is made of theirs", () => {
  const { inverted, frequent } = run(pooled());
  assert.ok(inverted > 0.75 && inverted > 2 * frequent, `${inverted}, ${frequent}`);
});

test("without the tokens' own vectors fewer do", () => {
  const { inverted, frequent } = run(pooled(), false);
  assert.ok(inverted > frequent + 0.1 && inverted < run(pooled()).inverted, `${inverted}, ${frequent}`);
});

test("a vector that has nothing to do with a text gives no more than frequency", () => {
  const { inverted, frequent } = run(gaussian(bags.length, 3));
  assert.ok(inverted < frequent + 0.05, `${inverted}, ${frequent}`);
});

test("what every text has is no news", () => {
  const everywhere = tokensOfAll([Uint32Array.of(1, 5, 2), Uint32Array.of(1, 6, 2)]);
  assert.deepEqual([...everywhere], [1, 2]);
  assert.deepEqual(bagsOf([Uint32Array.of(1, 5, 5, 2)], everywhere), [new Set([5])]);
});
